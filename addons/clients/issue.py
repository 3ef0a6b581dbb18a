"""Issuing a certificate to a client and handing it out, once."""

from datetime import datetime

from django.db import IntegrityError, transaction

from addons.authorities import issuing_authority, trusted_authorities
from addons.clients.handout import ClientRequest, Form, Handout, Source, file_name, make
from addons.clients.selectors import client_certificates_of, endpoints_of
from addons.models import Certificate
from addons.pki.bundle import trust_bundle
from addons.pki.errors import CertificateError
from addons.runs.certificates import certificate_record
from instances.audit import Actor, audit
from instances.errors import Conflict, DomainError, Invalid
from instances.models import Environment
from instances.reason import Reason

SHORTEST_PASSPHRASE = 12
_FIELDS = {
    "NameInvalid": "holder",
    "LifetimeInvalid": "lifetime_days",
    "RequestUnreadable": "csr",
    "RequestNotSigned": "csr",
    "KeyTooWeak": "csr",
    "KeyReused": "csr",
}


class AlreadyIssued(Conflict):
    """The page that this is asked for on has had its certificate.

    Args:
        certificate: The one that was issued on it.
    """

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        super().__init__(
            Reason(
                "AlreadyIssued",
                f"That form has had its certificate, {certificate.serial}. Each is handed out "
                "once, so nothing was downloaded again.",
                "Issue another one if that file is lost.",
            )
        )


def client_certificate_issue(
    *, actor: Actor, environment: Environment, request: ClientRequest, now: datetime
) -> Handout:
    """Issue a certificate that opens the servers of an environment. A refusal is logged too.

    The key is made here, leaves in the answer, and is neither stored nor written anywhere.

    Raises:
        Invalid: An input is not acceptable.
        NotFound: The environment has no authority yet.
        Conflict: The authority has ended.
        AlreadyIssued: The request's page has had its certificate.
    """
    try:
        return _issue(actor, environment, request, now)
    except DomainError as error:
        audit(
            actor,
            "certificate.refuse",
            environment,
            holder=request.holder[:64],
            form=request.form,
            reason=error.reason.code,
            field=error.field,
        )
        raise


def client_certificate_downloaded(*, actor: Actor, certificate: Certificate, now: datetime) -> None:
    """Record that a certificate has left as a whole; call it once it has."""
    with transaction.atomic():
        certificate.downloaded_at = now
        certificate.save(update_fields=["downloaded_at"])
        audit(actor, "certificate.download", certificate, form=certificate.form)


def _issue(
    actor: Actor, environment: Environment, request: ClientRequest, now: datetime
) -> Handout:
    _refuse_second(request)
    if request.form == Form.PKCS12 and len(request.passphrase.reveal()) < SHORTEST_PASSPHRASE:
        raise Invalid("passphrase", f"Use at least {SHORTEST_PASSPHRASE} characters.")
    authority = issuing_authority(environment)
    try:
        trust = trust_bundle(trusted_authorities(environment), now=now)
        # No transaction is open here: to make an RSA key takes long.
        facts, content = make(Source(authority, trust, endpoints_of(environment)), request, now)
    except CertificateError as error:
        raise _refusal(error) from error
    record = certificate_record(facts, authority=authority.pk, node=None, run=None)
    record.holder, record.form, record.once = facts.common_name, request.form, request.once
    record.issued_by = actor.name
    _store(actor, environment, record, request)
    return Handout(record, file_name(environment.name, record.holder, record.form), content)


def _refuse_second(request: ClientRequest) -> None:
    found = request.once and Certificate.objects.filter(once=request.once).first()
    if found:
        raise AlreadyIssued(found)


def _store(
    actor: Actor, environment: Environment, record: Certificate, request: ClientRequest
) -> None:
    try:
        with transaction.atomic():
            record.save()
            former = client_certificates_of(environment).filter(serial=request.replaces)
            replaced = former.update(state=Certificate.State.REPLACED)
            audit(
                actor,
                "certificate.issue",
                record,
                environment=environment.name,
                form=record.form,
                until=f"{record.not_after:%Y-%m-%d}",
                **({"replaces": request.replaces} if replaced else {}),
            )
    except IntegrityError:
        # The same click twice at the same time: the other one was first.
        _refuse_second(request)
        raise


def _refusal(error: CertificateError) -> DomainError:
    if error.code in _FIELDS:
        return Invalid(_FIELDS[error.code], error.message)
    return Conflict(Reason(error.code, error.message))
