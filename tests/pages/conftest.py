"""The cast: ada works here, eve has not signed in."""

import pytest
from django.test import Client

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
    return client


@pytest.fixture
def world(ada: User) -> World:
    return World(Actor(ada.pk, "ada", "10.0.0.5"))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect which nodes a worker is told to look at; there is no worker."""
    asked: list[int] = []
    monkeypatch.setattr(tasks.node_look, "delay", asked.append)
    return asked
