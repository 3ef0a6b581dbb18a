"""The Connect tab: lines that work when pasted, and never a password in one."""

import pytest
from django.test import Client
from django.utils import timezone

from addons.authorities import authority_ensure
from addons.clients.selectors import endpoints_of
from addons.models import Installation
from addons.pki.keys import KeyType
from instances.models import Environment, Node
from panel.pages.connect import redis_cli
from tests.pages.world import FACTS, PASSWORD, SPEC, VERIFIED, World

ADDRESS = "/environments/shop/cache/connect/"
ROOT = "/environments/shop/-/root.crt"


def test_without_encryption_only_the_plain_line_and_the_way_to_install(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache")
    page = signed_in.get(ADDRESS).content.decode()
    assert "redis-cli -h cache-1.shop.example -p 6379" in page
    assert "--tls" not in page
    assert ROOT not in page
    assert "/addons/encryption/install/" in page


def test_with_encryption_the_line_checks_the_server_and_holds_no_password(
    signed_in: Client, world: World
) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    page = signed_in.get(ADDRESS).content.decode()
    assert "redis-cli -h cache-1.shop.example -p 6380 --tls --cacert root.crt" in page
    assert "export REDISCLI_AUTH=" in page
    assert PASSWORD not in page
    assert "--cert " not in page
    assert ROOT in page


def test_where_client_certificates_are_required_the_line_presents_one(
    signed_in: Client, world: World
) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    Installation.objects.update(spec={**SPEC, "tls_auth_clients": "required"})
    page = signed_in.get(ADDRESS).content.decode()
    assert "--cacert root.crt --cert client.crt --key client.key" in page


def test_a_node_that_was_added_since_gets_no_line_that_would_fail(
    signed_in: Client, world: World
) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED)
    page = signed_in.get(ADDRESS).content.decode()
    assert "-h cache-1.shop.example -p 6380 --tls" in page
    assert "-h cache-2.shop.example -p 6379" in page
    assert "Not installed here" in page


def test_the_primary_comes_first(signed_in: Client, world: World) -> None:
    group = world.group("shop", "cache")
    replica = {**FACTS, "runtime": {"role": "replica", "clients": 1}}
    Node.objects.filter(name="cache-1").update(facts=replica)
    lines = signed_in.get(ADDRESS).context["connect"].lines
    assert group.nodes.get(name="cache-2").address in lines


def test_a_sentinel_is_met_on_its_own_port(signed_in: Client, world: World) -> None:
    world.installed(world.group("shop", "cache"), VERIFIED, VERIFIED)
    server = {**FACTS["server"], "sentinel": True, "port": 26379, "tls_port": 0}
    Node.objects.filter(name="cache-2").update(facts={**FACTS, "server": server})
    page = signed_in.get(ADDRESS).content.decode()
    assert "redis-cli -h cache-2.shop.example -p 26379" in page
    assert "-h cache-2.shop.example -p 26379 --tls" not in page
    assert [each.name for each in endpoints_of(Environment.objects.get())] == ["cache-1"]


def test_a_group_that_was_never_seen_has_no_line(signed_in: Client, world: World) -> None:
    world.node(world.group("shop", "cache", nodes=0), "cache-1", seen=False)
    assert b"No port is known yet" in signed_in.get(ADDRESS).content
    world.group("shop", "empty", nodes=0)
    assert b"Add a node" in signed_in.get("/environments/shop/empty/connect/").content


@pytest.mark.parametrize("address", ["a b; rm -rf ~", "$(id)"])
def test_an_odd_address_is_quoted(address: str) -> None:
    assert f"'{address}'" in redis_cli(address, 6379, tls=False, certificate=False)


def test_the_authority_is_sent_as_a_file(signed_in: Client, eve: Client, world: World) -> None:
    environment = world.group("shop", "cache", nodes=0).environment
    authority_ensure(environment=environment, key_type=KeyType.EC_P256, now=timezone.now())
    response = signed_in.get(ROOT)
    assert response["Content-Type"] == "application/x-pem-file"
    assert response["Content-Disposition"] == 'attachment; filename="root.crt"'
    assert response.content.startswith(b"-----BEGIN CERTIFICATE-----")
    assert b"PRIVATE" not in response.content
    assert eve.get(ROOT).status_code == 302


def test_without_an_authority_the_page_says_how_there_will_be_one(
    signed_in: Client, world: World
) -> None:
    world.group("shop", "cache", nodes=0)
    response = signed_in.get(ROOT)
    assert response.status_code == 404
    assert b"The first install of the encryption add-on makes one" in response.content
    Environment.objects.update(name="other")
    assert b"There is nothing at this address" in signed_in.get(ROOT).content
