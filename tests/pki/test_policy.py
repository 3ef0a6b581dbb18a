from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.pki.authority import KeyType
from addons.pki.errors import CertificateError
from addons.pki.facts import LeafFacts
from addons.pki.policy import reasons_to_reissue, reasons_to_replace_authority, validate_lifetime

from .conftest import NOW, Authority, make_authority, request

ISSUER = make_authority("policy", years=2)
LEAF = ISSUER.issue(lifetime_days=90).public


def codes(
    current: LeafFacts | None = LEAF,
    *,
    authority: Authority = ISSUER,
    now: datetime = NOW,
    **wanted: Any,
) -> list[str]:
    found = reasons_to_reissue(
        current=current,
        wanted=request(**{"lifetime_days": 90} | wanted),
        authority=authority.facts,
        now=now,
    )
    return [reason.code for reason in found]


def test_what_was_just_issued_is_not_issued_again() -> None:
    assert codes() == []


def test_no_certificate_is_missing() -> None:
    assert codes(None) == ["Missing"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [(59, []), (61, ["NearingExpiry"]), (89, ["NearingExpiry"]), (91, ["Expired"])],
)
def test_a_certificate_is_renewed_with_a_third_of_its_life_left(
    days: int, expected: list[str]
) -> None:
    assert codes(now=NOW + timedelta(days=days)) == expected


def test_the_message_says_how_long_is_left() -> None:
    (reason,) = reasons_to_reissue(
        current=LEAF,
        wanted=request(lifetime_days=90),
        authority=ISSUER.facts,
        now=NOW + timedelta(days=80),
    )
    assert reason.message == "The certificate expires in 10 days."


def test_a_certificate_of_the_future_is_reported() -> None:
    assert codes(now=NOW - timedelta(hours=2)) == ["NotYetValid"]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"dns_names": ("redis-1.example", "more.example")}, "NamesDiffer"),
        ({"ip_addresses": ()}, "NamesDiffer"),
        ({"common_name": "redis-2"}, "SubjectDiffers"),
        ({"key_type": KeyType.RSA_3072}, "KeyTypeDiffers"),
        ({"lifetime_days": 30}, "LifetimeDiffers"),
        ({"lifetime_days": 91}, "LifetimeDiffers"),
    ],
)
def test_what_is_wanted_otherwise_is_a_reason(wanted: dict[str, Any], code: str) -> None:
    assert codes(**wanted) == [code]


def test_names_in_another_order_or_spelling_are_the_same() -> None:
    leaf = ISSUER.issue(lifetime_days=90, dns_names=("a.example", "b.example")).public
    assert codes(leaf, dns_names=("B.example", "A.example.")) == []


def test_the_difference_of_names_is_spelt_out() -> None:
    (reason,) = reasons_to_reissue(
        current=LEAF,
        wanted=request(lifetime_days=90, dns_names=("new.example",)),
        authority=ISSUER.facts,
        now=NOW,
    )
    assert reason.message == "The certificate lacks new.example and still names redis-1.example."


def test_a_client_certificate_in_a_servers_place_differs() -> None:
    client = ISSUER.issue(
        lifetime_days=90, purpose="client", dns_names=LEAF.dns_names, ip_addresses=LEAF.ip_addresses
    )
    assert codes(client.public) == ["PurposeDiffers"]


def test_a_rotated_authority_differs_even_under_the_same_subject() -> None:
    assert codes(authority=make_authority("policy", years=2)) == ["AuthorityDiffers"]
    rekeyed = replace(LEAF, authority_key_id="00" * 20)
    assert codes(rekeyed) == ["AuthorityDiffers"]


def test_a_leaf_that_ends_with_its_authority_is_not_renewed_in_vain() -> None:
    late = NOW + timedelta(days=720)
    leaf = ISSUER.issue(now=late, lifetime_days=90).public
    assert leaf.not_after == ISSUER.facts.not_after
    assert codes(leaf, now=late + timedelta(days=9)) == []
    assert codes(leaf, now=late + timedelta(days=11)) == ["Expired"]


@settings(deadline=None)
@given(days=st.integers(1, 3650), age=st.integers(0, 729))
def test_a_new_leaf_is_never_a_reason_for_another(days: int, age: int) -> None:
    now = NOW + timedelta(days=age)
    leaf = ISSUER.issue(now=now, lifetime_days=days).public
    assert codes(leaf, now=now, lifetime_days=days) == []


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, []),
        (500, ["AuthorityNearingExpiry"]),
        (700, ["AuthorityNearingExpiry", "AuthorityShortensLeaves"]),
        (800, ["AuthorityExpired"]),
    ],
)
def test_an_authority_asks_to_be_rotated_in_time(age: int, expected: list[str]) -> None:
    found = reasons_to_replace_authority(
        authority=ISSUER.facts, now=NOW + timedelta(days=age), leaf_lifetime_days=90
    )
    assert [reason.code for reason in found] == expected


def test_lifetimes_are_one_to_3650_days() -> None:
    validate_lifetime(1)
    validate_lifetime(3650)
    with pytest.raises(CertificateError, match="1 to 3650 days; 0 was"):
        validate_lifetime(0)
