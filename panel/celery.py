"""The Celery app. Tasks are doors: each calls one service with ids."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.settings")

app = Celery("redoubt")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
