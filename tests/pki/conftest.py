"""One authority and a clock that stands still."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from addons.pki.authority import KeyType, create_authority
from addons.pki.facts import LeafFacts, read_certificate
from addons.pki.leaf import Issued, LeafRequest, issue_leaf
from instances.secret import Secret

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
_serials = count(1000)


@dataclass(frozen=True)
class Authority:
    pem: str
    key: Secret

    @property
    def facts(self) -> LeafFacts:
        return read_certificate(self.pem)

    def issue(self, *, now: datetime = NOW, **wanted: Any) -> Issued:
        return issue_leaf(
            request=request(**wanted),
            authority_pem=self.pem,
            authority_key=self.key,
            now=now,
            serial=next(_serials),
        )


def request(**wanted: Any) -> LeafRequest:
    if wanted.get("purpose") != "client":
        wanted = {"dns_names": ("redis-1.example",), "ip_addresses": ("10.0.0.1",)} | wanted
    return LeafRequest(**{"common_name": "redis-1"} | wanted)


def make_authority(
    name: str = "eu-west",
    *,
    key_type: KeyType = KeyType.EC_P256,
    now: datetime = NOW,
    years: int = 10,
) -> Authority:
    pem, key = create_authority(
        name=name, key_type=key_type, now=now, serial=next(_serials), years=years
    )
    return Authority(pem, key)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return make_authority()


@pytest.fixture(scope="session")
def rsa_authority() -> Authority:
    return make_authority("rsa", key_type=KeyType.RSA_3072)
