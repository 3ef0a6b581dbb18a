"""Every test process gets a state directory of its own: no test meets the developer's panel.

pytest-django loads the settings before this file is read, so what depends on the directory is set
here once more.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.contenttypes.management import create_contenttypes
from django.db.models.signals import post_migrate

from instances.keyring import KeyRing

_STATE = Path(tempfile.mkdtemp(prefix="redoubt-test-"))
atexit.register(shutil.rmtree, _STATE, ignore_errors=True)
(_STATE / "static").mkdir()

# For the processes that tests start.
os.environ["REDOUBT_STATE"] = str(_STATE)
for name in ("REDOUBT_KEY_FILE", "REDOUBT_SECRET_KEY", "CELERY_BROKER_URL"):
    os.environ.pop(name, None)

settings.STATE_DIR = _STATE
settings.STATIC_ROOT = _STATE / "static"
settings.KEY_FILE = _STATE / "keys.json"
settings.SECRET_KEY = "only-for-tests-" + "x" * 40
settings.BROKER_SOCKET = _STATE / "broker.sock"
# Nobody listens in the process of a test: what is enqueued stays there.
settings.CELERY_BROKER_URL = "memory://"
# In a file, so that processes that a test starts or forks see the same database.
settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(_STATE / "test.sqlite3")
# A manifest wants `collectstatic` first; a slow password hash is not what tests are about.
settings.STORAGES = {
    **settings.STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
(_STATE / "secret_key").write_text(settings.SECRET_KEY)
KeyRing.create(settings.KEY_FILE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured, with other processes' too."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)]
    told = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name == "measured"
    ]
    if told:
        terminalreporter.section("measured")
        terminalreporter.write("\n".join([*told, ""]))


@pytest.fixture(scope="session", autouse=True)
def _no_permissions() -> None:
    """Nobody is given Django's own permissions: to make them anew took each test half a second."""
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)
