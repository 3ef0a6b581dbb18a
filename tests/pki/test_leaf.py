from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from addons.pki.authority import KeyType
from addons.pki.errors import CertificateError
from addons.pki.facts import facts_of, load, matches_key, read_certificate
from addons.pki.keys import SigningKey, read_signing_key
from addons.pki.leaf import LeafRequest, Signed, issue_from_csr, issue_leaf
from addons.pki.verify import verify

from .conftest import NOW, Authority, make_authority, request

WHOLE = NOW.replace(microsecond=0)
SHARED = make_authority("shared")
SHARED_YEAR = make_authority("one year", years=1)


def usages(pem: str) -> set[x509.ObjectIdentifier]:
    return set(load(pem).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_server_leaf_serves_as_a_client_too(authority: Authority) -> None:
    both = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert usages(authority.issue().certificate_pem) == both


def test_a_client_leaf_cannot_serve(authority: Authority) -> None:
    leaf = authority.issue(purpose="client")
    assert usages(leaf.certificate_pem) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert leaf.public.purpose == "client"


def test_a_leaf_is_no_authority_and_says_so_critically(authority: Authority) -> None:
    found = load(authority.issue().certificate_pem).extensions
    basic = found.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca) == (True, False)


@pytest.mark.parametrize(
    ("kind", "enciphers"), [(KeyType.EC_P256, False), (KeyType.RSA_3072, True)]
)
def test_only_an_rsa_leaf_enciphers_keys(
    authority: Authority, kind: KeyType, enciphers: bool
) -> None:
    leaf = authority.issue(key_type=kind)
    usage = load(leaf.certificate_pem).extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.key_encipherment is enciphers
    assert leaf.public.key_type == kind


def test_a_leaf_points_at_its_authoritys_key(authority: Authority) -> None:
    public = authority.issue().public
    assert public.authority_key_id == authority.facts.subject_key_id != ""
    assert public.subject_key_id


def test_the_private_key_belongs_to_the_leaf_and_does_not_show(authority: Authority) -> None:
    leaf = authority.issue()
    assert matches_key(leaf.certificate_pem, leaf.key)
    assert not matches_key(authority.pem, leaf.key)
    assert "PRIVATE" not in repr(leaf)
    assert leaf.key.reveal().startswith("-----BEGIN PRIVATE KEY-----")


def test_a_leaf_holds_from_one_hour_back_for_its_lifetime(authority: Authority) -> None:
    public = authority.issue(now=NOW + timedelta(days=5), lifetime_days=90).public
    assert public.not_before == WHOLE + timedelta(days=5, hours=-1)
    assert public.not_after == WHOLE + timedelta(days=95)


@settings(deadline=None)
@given(age=st.integers(0, 365), days=st.integers(1, 3650))
def test_a_leaf_never_outlives_its_authority(age: int, days: int) -> None:
    public = SHARED_YEAR.issue(now=NOW + timedelta(days=age), lifetime_days=days).public
    assert SHARED_YEAR.facts.not_before <= public.not_before < public.not_after
    assert public.not_after <= SHARED_YEAR.facts.not_after


def test_an_expired_authority_issues_nothing(authority: Authority) -> None:
    with pytest.raises(CertificateError, match="Rotate") as caught:
        authority.issue(now=NOW + timedelta(days=3653))
    assert caught.value.code == "AuthorityExpired"


def test_a_leaf_cannot_issue(authority: Authority) -> None:
    leaf = authority.issue()
    with pytest.raises(CertificateError) as caught:
        Authority(leaf.certificate_pem, leaf.key).issue()
    assert caught.value.code == "NotAnAuthority"


def test_another_authoritys_key_is_refused(authority: Authority) -> None:
    with pytest.raises(CertificateError) as caught:
        Authority(authority.pem, SHARED.key).issue()
    assert caught.value.code == "KeyMismatch"


def test_the_serial_is_the_one_passed_in(authority: Authority) -> None:
    issued = issue_leaf(
        request=request(),
        authority_pem=authority.pem,
        authority_key=authority.key,
        now=NOW,
        serial=0xBEEF,
    )
    assert issued.public.serial == "beef"


def test_a_server_without_names_is_refused() -> None:
    with pytest.raises(CertificateError) as caught:
        LeafRequest("redis-1")
    assert caught.value.code == "NamesMissing"


def test_names_are_put_in_one_spelling_without_doubles() -> None:
    wanted = LeafRequest(
        " redis-1 ", ("Redis-1.Example.", "redis-1.example"), ("2001:DB8:0::1", "10.0.0.1")
    )
    assert wanted.common_name == "redis-1"
    assert wanted.dns_names == ("redis-1.example",)
    assert wanted.ip_addresses == ("2001:db8::1", "10.0.0.1")


@pytest.mark.parametrize(
    "name", ["", "a b", "-a.example", "bücher.example", "10.0.0.1", "a..b", "*", "a.*.b", "x" * 64]
)
def test_what_is_not_a_dns_name_is_refused(name: str) -> None:
    with pytest.raises(CertificateError) as caught:
        LeafRequest("redis-1", (name,))
    assert caught.value.code == "NameInvalid"


@pytest.mark.parametrize("address", ["redis-1", "10.0.0.256", "fe80::1%eth0", "10.0.0.0/8"])
def test_what_is_not_an_address_is_refused(address: str) -> None:
    with pytest.raises(CertificateError) as caught:
        LeafRequest("redis-1", (), (address,))
    assert caught.value.code == "NameInvalid"


@pytest.mark.parametrize("days", [-1, 0, 3651])
def test_a_lifetime_out_of_range_is_refused(days: int) -> None:
    with pytest.raises(CertificateError) as caught:
        request(lifetime_days=days)
    assert caught.value.code == "LifetimeInvalid"


def signing_request(
    key: SigningKey, *, names: tuple[str, ...] = ("billing",), greedy: bool = False
) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if greedy:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName("redis-1.example")]), False
        )
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def sign(csr: str, authority: Authority = SHARED) -> Signed:
    return issue_from_csr(
        csr_pem=csr,
        common_name="billing",
        lifetime_days=30,
        authority_pem=authority.pem,
        authority_key=authority.key,
        now=NOW,
        serial=7,
    )


def test_a_signing_request_gives_a_client_certificate_for_its_key() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    signed = sign(signing_request(key))
    assert (signed.public.common_name, signed.public.purpose) == ("billing", "client")
    assert load(signed.certificate_pem).public_key() == key.public_key()
    assert verify(signed.certificate_pem, SHARED.pem, name=None, now=NOW) is None


def test_what_a_signing_request_asks_for_is_not_copied() -> None:
    signed = sign(signing_request(ec.generate_private_key(ec.SECP256R1()), greedy=True))
    assert signed.public.subject == "CN=billing,O=Redoubt"
    assert signed.public.dns_names == ()
    assert usages(signed.certificate_pem) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert facts_of(load(signed.certificate_pem)).purpose == "client"


def test_a_weak_key_is_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(CertificateError) as caught:
        sign(signing_request(weak))
    assert caught.value.code == "KeyTooWeak"


def test_a_request_with_the_authoritys_own_key_is_refused() -> None:
    with pytest.raises(CertificateError) as caught:
        sign(signing_request(read_signing_key(SHARED.key)))
    assert caught.value.code == "KeyReused"


@pytest.mark.parametrize("names", [(), ("a", "b"), ("default",)])
def test_the_holders_name_stands_whatever_a_request_calls_itself(names: tuple[str, ...]) -> None:
    signed = sign(signing_request(ec.generate_private_key(ec.SECP256R1()), names=names))
    assert signed.public.subject == "CN=billing,O=Redoubt"


def test_an_altered_request_is_refused() -> None:
    csr = x509.load_pem_x509_csr(
        signing_request(ec.generate_private_key(ec.SECP256R1())).encode()
    ).public_bytes(Encoding.DER)
    altered = csr.replace(b"billing", b"balling")
    pem = x509.load_der_x509_csr(altered).public_bytes(Encoding.PEM).decode()
    with pytest.raises(CertificateError) as caught:
        sign(pem)
    assert caught.value.code == "RequestNotSigned"


@pytest.mark.parametrize("text", ["", "hello", SHARED.pem])
def test_what_is_not_a_signing_request_is_refused(text: str) -> None:
    with pytest.raises(CertificateError) as caught:
        sign(text)
    assert caught.value.code == "RequestUnreadable"


def test_facts_of_an_issued_leaf_are_those_of_its_text(authority: Authority) -> None:
    leaf = authority.issue()
    assert read_certificate(leaf.certificate_pem) == leaf.public
