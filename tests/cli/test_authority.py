"""``manage.py authority``: printed for clients, and shared by environments."""

import pytest
from django.utils import timezone

from addons.authorities import authority_ensure
from addons.models import Authority
from addons.pki.keys import KeyType
from instances.models import Environment
from tests.cli.conftest import Call


@pytest.fixture
def europe(ready: None) -> Authority:
    made = Environment.objects.create(name="eu")
    return authority_ensure(environment=made, key_type=KeyType.EC_P256, now=timezone.now())


def test_an_environment_shares_the_authority_of_another(call: Call, europe: Authority) -> None:
    Environment.objects.create(name="us")
    assert call("authority", "export", "us").status != 0

    said = call("authority", "share", "us", "--of", "eu")

    assert said.status == 0, said.err
    assert said.out == f"us issues from “{europe}” now, as eu does.\n"
    assert call("authority", "export", "us").out.strip() == europe.certificate.strip()


def test_it_is_refused_where_there_is_one_already(call: Call, europe: Authority) -> None:
    Environment.objects.create(name="us")
    said = call("authority", "share", "eu", "--of", "us")
    assert said.status != 0
    assert "issues from" in said.err
