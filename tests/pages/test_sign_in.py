"""Who gets in."""

from django.test import Client
from django.urls import reverse

from panel.models import User

RIGHT = {"login": "ada", "password": "correct-horse-battery"}


def test_ada_signs_in_and_lands_on_the_dashboard(ada: User, eve: Client) -> None:
    response = eve.post(reverse("account_login"), RIGHT)
    assert response["Location"] == reverse("dashboard")
    assert eve.get("/").status_code == 200


def test_ada_lands_on_the_page_she_asked_for(ada: User, eve: Client) -> None:
    asked = eve.get("/runs/")["Location"]
    form = eve.get(asked).content.decode()
    assert 'name="next"' in form
    assert eve.post(asked, {**RIGHT, "next": "/runs/"})["Location"] == "/runs/"


def test_a_wrong_password_is_said_above_the_form(ada: User, eve: Client) -> None:
    response = eve.post(reverse("account_login"), {**RIGHT, "password": "wrong"})
    assert response.status_code == 200
    assert b"not correct" in response.content
    assert b'role="alert"' in response.content


def test_nobody_signs_up_by_themselves(eve: Client) -> None:
    response = eve.post(
        reverse("account_signup"),
        {"username": "eve", "password1": "a-long-password-x", "password2": "a-long-password-x"},
    )
    assert b"No sign-up here" in response.content
    assert not User.objects.filter(username="eve").exists()


def test_signing_out_takes_a_post(signed_in: Client) -> None:
    assert signed_in.get(reverse("account_logout")).status_code == 200
    assert signed_in.get("/").status_code == 200
    signed_in.post(reverse("account_logout"))
    assert signed_in.get("/").status_code == 302


def test_health_is_told_to_anybody(eve: Client) -> None:
    response = eve.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")


def test_health_is_bad_while_a_migration_is_missing(eve: Client, monkeypatch: object) -> None:
    from django.db.migrations.executor import MigrationExecutor

    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: ["one"])  # type: ignore[attr-defined]
    response = eve.get("/healthz")
    assert response.status_code == 503
    assert b"manage.py migrate" in response.content


def test_health_is_bad_while_the_database_is_silent(eve: Client, monkeypatch: object) -> None:
    from django.db import OperationalError

    from panel.views import health

    def silent(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(health, "MigrationExecutor", silent)  # type: ignore[attr-defined]
    assert eve.get("/healthz").status_code == 503
