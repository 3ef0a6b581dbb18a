"""Whether a client would accept a certificate, and why not."""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from addons.pki import names
from addons.pki.bundle import split
from addons.pki.facts import LeafFacts, extension, facts_of, load, text_of
from addons.pki.reason import Reason
from addons.pki.validity import days, whole_seconds


def verify(
    leaf: str | bytes, authorities: str | Sequence[str], *, name: str | None, now: datetime
) -> Reason | None:
    """Check a leaf as a TLS peer does (RFC 5280, section 6; RFC 9525 for the name).

    Args:
        leaf: The certificate, PEM or DER.
        authorities: What the peer trusts: PEM texts, each of one or more certificates.
        name: The DNS name or address that a client connects to; None checks a client's
            certificate, which servers do not match against a name.
        now: An aware moment.

    Returns:
        None where it is accepted; else why not: ``NotYetValid``, ``Expired``, ``NameMismatch``,
        ``UnknownAuthority``, ``AuthorityExpired``, ``BadSignature``, ``UsageDiffers``, or
        ``NotTrusted`` for a flaw of another kind.

    Raises:
        CertificateError: One of the certificates cannot be read.
    """
    texts = [authorities] if isinstance(authorities, str) else authorities
    anchors = [load(pem) for text in texts for pem in split(text)]
    moment = whole_seconds(now)
    certificate = load(leaf)
    return (
        _validity_problem(facts_of(certificate), moment)
        or _name_problem(facts_of(certificate), name)
        or _issuer_problem(certificate, anchors, moment)
        or _usage_problem(certificate, name)
        or _path_problem(certificate, anchors, moment)
    )


def _validity_problem(facts: LeafFacts, now: datetime) -> Reason | None:
    if now < facts.not_before:
        return Reason(
            "NotYetValid",
            f"The certificate holds only from {facts.not_before:%Y-%m-%d %H:%M} UTC. "
            "Check the clock.",
        )
    if now > facts.not_after:
        return Reason("Expired", f"The certificate expired {days(now - facts.not_after)} ago.")
    return None


def _name_problem(facts: LeafFacts, name: str | None) -> Reason | None:
    if name is None or names.covers(name, dns=facts.dns_names, ips=facts.ip_addresses):
        return None
    listed = ", ".join((*facts.dns_names, *facts.ip_addresses)) or "no names"
    return Reason("NameMismatch", f"The certificate is not for {name}; it is for {listed}.")


def _issuer_problem(
    certificate: x509.Certificate, anchors: list[x509.Certificate], now: datetime
) -> Reason | None:
    issuers = [anchor for anchor in anchors if anchor.subject == certificate.issuer]
    issuer = text_of(certificate.issuer)
    if not issuers:
        return Reason("UnknownAuthority", f"Its authority, {issuer}, is not among the trusted.")
    signers = [anchor for anchor in issuers if _signed_by(certificate, anchor)]
    if not signers:
        return Reason("BadSignature", f"{issuer} is trusted, but its key did not sign this.")
    if all(now > signer.not_valid_after_utc for signer in signers):
        return Reason("AuthorityExpired", f"Its authority, {issuer}, has expired.")
    return None


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001  # Whatever is wrong, the signature was not confirmed.
        return False
    return True


def _usage_problem(certificate: x509.Certificate, name: str | None) -> Reason | None:
    usages = extension(certificate, x509.ExtendedKeyUsage)
    wanted = ExtendedKeyUsageOID.CLIENT_AUTH if name is None else ExtendedKeyUsageOID.SERVER_AUTH
    allowed = {wanted, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if usages is None or allowed.intersection(usages):
        return None
    side = "a client's" if name is None else "a server's"
    return Reason("UsageDiffers", f"The certificate may not be used as {side}.")


def _path_problem(
    certificate: x509.Certificate, anchors: list[x509.Certificate], now: datetime
) -> Reason | None:
    # The client verifier for servers too: the server's one knows no names with underscores, and
    # names and usages are checked above.
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(anchors))
        .time(now)
        .extension_policies(ca_policy=_AUTHORITY_POLICY, ee_policy=_LEAF_POLICY)
        .build_client_verifier()
    )
    try:
        verifier.verify(certificate, [])
    except verification.VerificationError as error:
        return Reason("NotTrusted", f"The certificate would be refused: {error}.")
    return None


def _may_sign(
    _policy: verification.Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    if usage and not usage.key_cert_sign:
        raise ValueError("the authority's key usage lacks keyCertSign")


def _is_authority(
    _policy: verification.Policy, _certificate: x509.Certificate, basic: x509.BasicConstraints
) -> None:
    if not basic.ca:
        raise ValueError("the issuer is not an authority")


# What OpenSSL asks for, and no more: authorities that were not made here lack key identifiers or
# mark extensions otherwise than the Web's profile (the library's default) wants.
_AUTHORITY_POLICY = (
    verification.ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, _is_authority)
    .may_be_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, _may_sign)
)
_LEAF_POLICY = verification.ExtensionPolicy.permit_all()
