from datetime import datetime, timedelta

import pytest
from cryptography import x509

from addons.pki.authority import KeyType
from addons.pki.errors import CertificateError
from addons.pki.facts import load, matches_key
from addons.pki.serial import new_serial

from .conftest import NOW, Authority, make_authority


def test_an_authority_can_sign_leaves_and_nothing_below_them(authority: Authority) -> None:
    found = load(authority.pem).extensions
    basic = found.get_extension_for_class(x509.BasicConstraints)
    usage = found.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.crl_sign) == (True, True, True)
    assert not usage.value.digital_signature


def test_an_authority_holds_from_one_hour_back_for_ten_years(authority: Authority) -> None:
    facts = authority.facts
    assert facts.not_before == NOW.replace(microsecond=0) - timedelta(hours=1)
    assert facts.not_after == NOW.replace(microsecond=0) + timedelta(days=3652.5)


def test_an_authority_is_named_for_people(authority: Authority) -> None:
    assert authority.facts.common_name == "Redoubt authority eu-west"
    assert "O=Redoubt" in authority.facts.subject
    assert authority.facts.purpose == "authority"


def test_two_authorities_of_one_name_have_different_subjects() -> None:
    assert make_authority("same").facts.subject != make_authority("same").facts.subject


@pytest.mark.parametrize("name", ["x" * 47, "line\nbreak"])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(CertificateError) as caught:
        make_authority(name)
    assert caught.value.code == "NameInvalid"


def test_an_rsa_authority_has_its_key(rsa_authority: Authority) -> None:
    assert rsa_authority.facts.key_type == KeyType.RSA_3072
    assert matches_key(rsa_authority.pem, rsa_authority.key)


def test_a_naive_clock_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        make_authority(now=datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_lifetime_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="30 years"):
        make_authority(years=31)


def test_a_new_serial_fits_twenty_octets() -> None:
    drawn = {new_serial() for _ in range(50)}
    assert len(drawn) == 50
    assert all(0 < serial < 2**159 for serial in drawn)
