"""The cast: ada works here and has just typed her password, eve has not signed in."""

import time

import pytest
from django.test import Client
from django.utils import timezone

from instances import tasks
from instances.audit import Actor
from panel.models import User
from tests.pages.world import World


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password="correct-horse-battery")


@pytest.fixture
def eve(db: None) -> Client:
    return Client()


@pytest.fixture
def signed_in(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    confirm(client, ada)
    return client


def confirm(client: Client, user: User) -> None:
    """Note in a session what django-allauth notes there once the password was typed again."""
    session = client.session
    session["account_authentication_methods_user"] = str(user.pk)
    session["account_authentication_methods"] = [
        {"method": "password", "at": time.time(), "reauthenticated": True}
    ]
    session.save()


@pytest.fixture
def world(ada: User) -> World:
    return World(Actor(ada.pk, "ada", "10.0.0.5"))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect which nodes a worker is told to look at; there is no worker."""
    asked: list[int] = []
    monkeypatch.setattr(tasks.node_look, "delay", asked.append)
    return asked


@pytest.fixture
def clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages that show how long something has taken are made at the same moment."""
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
