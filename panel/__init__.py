"""The web project: settings, URLs, the Celery app, sign-in, and the pages that compose others."""

from panel.celery import app as celery_app

__all__ = ["celery_app"]
