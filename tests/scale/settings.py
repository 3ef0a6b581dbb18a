"""The panel's settings with two databases: a small fleet's and a large one's."""

import os

import dj_database_url

from panel.settings import *  # noqa: F403 -- settings are a module's names
from panel.settings import DATABASES, STORAGES

SQLITE_OPTIONS = DATABASES["default"]["OPTIONS"]
DATABASES = {
    name: dj_database_url.parse(os.environ[f"{name.upper()}_URL"], conn_max_age=60)
    for name in ("default", "large")
}
for each in DATABASES.values():
    each["OPTIONS"] = SQLITE_OPTIONS if "sqlite" in each["ENGINE"] else {}
DATABASE_ROUTERS = ["tests.scale.aside.Router"]
# A manifest wants `collectstatic` first.
STORAGES = STORAGES | {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
}
