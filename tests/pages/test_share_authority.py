"""An authority for several environments, as one cluster in two regions needs it."""

from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from addons.authorities import authority_ensure, authority_share, issuing_authority
from addons.models import Authority, EnvironmentAuthority
from addons.pki.keys import KeyType
from instances.errors import Conflict
from instances.models import AuditEvent, Environment
from tests.pages.world import World

SHARE = "/environments/us/-/authority/"
CERTIFICATES = "/environments/us/-/certificates/"


def text(answer: HttpResponse) -> str:
    return strip_tags(answer.content.decode())


@pytest.fixture
def europe(world: World) -> Environment:
    group = world.group("eu", "cache")
    world.authority(group.environment)
    return group.environment


@pytest.fixture
def america(world: World) -> Environment:
    return world.group("us", "cache").environment


def test_a_page_shares_it_and_both_environments_say_so(
    signed_in: Client, europe: Environment, america: Environment
) -> None:
    empty = signed_in.get(CERTIFICATES)
    assert SHARE in empty.content.decode()

    told = signed_in.post(SHARE, {"environment": "eu"}, follow=True)

    assert told.redirect_chain == [(CERTIFICATES, 302)]
    assert "us issues from the authority of eu now." in told.content.decode()
    assert "us shares eu authority with eu:" in text(told)
    there = signed_in.get("/environments/eu/-/certificates/")
    assert "eu shares eu authority with us:" in text(there)
    (event,) = AuditEvent.objects.filter(verb="authority.share")
    assert event.detail == {"environment": "us", "owner": "eu"}


def test_the_first_install_issues_from_the_shared_one(
    europe: Environment, america: Environment, world: World
) -> None:
    shared = authority_share(actor=world.actor, environment=america, owner=europe)

    now = timezone.now() + timedelta(days=1)
    assert authority_ensure(environment=america, key_type=KeyType.RSA_3072, now=now) == shared
    assert Authority.objects.count() == 1


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "This field is required"),
        ("nowhere", "There is no environment of that name"),
        ("us", "This is the environment itself"),
        ("bare", "Environment “bare” has no authority yet"),
    ],
)
def test_what_cannot_be_shared_is_said_at_the_field(
    signed_in: Client, world: World, america: Environment, typed: str, told: str
) -> None:
    world.group("bare", "cache")
    answer = signed_in.post(SHARE, {"environment": typed})
    assert told in text(answer)
    assert f'value="{typed}"' in answer.content.decode()
    assert not EnvironmentAuthority.objects.exists()


def test_an_environment_with_an_authority_keeps_it(
    signed_in: Client, world: World, europe: Environment, america: Environment
) -> None:
    world.authority(america)
    own = issuing_authority(america)
    with pytest.raises(Conflict, match="issues from “us authority” already"):
        authority_share(actor=world.actor, environment=america, owner=europe)
    answer = signed_in.post(SHARE, {"environment": "eu"})
    assert "Only an environment without an authority can share" in text(answer)
    assert issuing_authority(america) == own
