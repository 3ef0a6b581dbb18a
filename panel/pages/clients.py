"""Clients' certificates as pages show them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse

from addons.clients.handout import Form, file_name
from addons.clients.selectors import endpoints_of, environments_opened
from addons.models import Certificate
from addons.pki.how_to import MOST, Endpoint, Parts, redis_cli_lines, redis_py_lines, unpack_line
from addons.pki.validity import BACKDATE
from instances.models import Environment
from panel.pages.expiry import ending_shown
from panel.pages.state import OK, UNKNOWN, WAIT, Shown


@dataclass(frozen=True, slots=True)
class ClientLine:
    """A client's certificate in a list.

    Args:
        shown: How near its end is.
        handed: Whether it was downloaded, and when.
        environments: Those whose servers it opens.
        address: Of its page.
        again: Where another one of the same holder and form is issued.
    """

    certificate: Certificate
    shown: Shown
    handed: Shown
    environments: Sequence[Environment]
    address: str
    again: str


@dataclass(frozen=True, slots=True)
class ClientPage:
    """A client's certificate, and how it is used.

    Args:
        unpack: The line that makes a PEM file of a PKCS #12 file; empty in other forms.
        redis_cli: Lines for a terminal, one a server; empty where no server speaks TLS.
        redis_py: The same in Python.
        left_out: How many servers the lines do not name.
    """

    line: ClientLine
    file: str
    unpack: str
    redis_cli: str
    redis_py: str
    left_out: int


def client_lines(
    certificates: Iterable[Certificate], now: datetime, within: Environment | None = None
) -> list[ClientLine]:
    """Return the lines of certificates from `addons.clients.selectors.client_certificates`.

    Args:
        within: The environment whose list it is; of all where None.
    """
    return [_line(each, now, within) for each in certificates]


def client_page(certificate: Certificate, environment: Environment, now: datetime) -> ClientPage:
    """Collect the page of a certificate in an environment."""
    endpoints = endpoints_of(environment)
    file = file_name(environment.name, certificate.holder, certificate.form)
    pem = file_name(environment.name, certificate.holder, Form.PEM)
    single = certificate.form in {Form.PKCS12, Form.PEM}
    return ClientPage(
        line=_line(certificate, now, environment),
        file=file,
        unpack=unpack_line(file, pem) if certificate.form == Form.PKCS12 else "",
        left_out=max(0, len(endpoints) - MOST),
        **_lines(Parts.of_one(pem) if single else Parts(), endpoints),
    )


def _lines(parts: Parts, endpoints: Sequence[Endpoint]) -> dict[str, str]:
    if not endpoints:
        return {"redis_cli": "", "redis_py": ""}
    return {
        "redis_cli": redis_cli_lines(parts, endpoints),
        "redis_py": redis_py_lines(parts, endpoints),
    }


def _line(certificate: Certificate, now: datetime, within: Environment | None) -> ClientLine:
    opened = environments_opened(certificate)
    environment = within or opened[0]
    at = certificate.downloaded_at
    return ClientLine(
        certificate=certificate,
        shown=_shown(certificate, now),
        handed=Shown(OK, "Downloaded", at=at) if at else Shown(WAIT, "Broke off"),
        environments=opened,
        address=reverse("environment-certificate", args=[environment.name, certificate.pk]),
        again=_again(certificate, environment),
    )


def _shown(certificate: Certificate, now: datetime) -> Shown:
    """Return how near its end is, as long as nothing has taken its place."""
    if certificate.state == Certificate.State.REPLACED and certificate.not_after > now:
        return Shown(UNKNOWN, "Issued again", "It holds until its end.", certificate.not_after)
    return ending_shown(certificate.not_after, now)


def _again(certificate: Certificate, environment: Environment) -> str:
    """Return the address of the form that issues it again."""
    path = reverse("environment-certificate-issue", args=[environment.name])
    return f"{path}?{urlencode({'of': certificate.pk})}"


def issued_again(certificate: Certificate) -> dict[str, str]:
    """Return what the form begins with: the same holder, form, key and lifetime."""
    asked = {
        "holder": certificate.holder,
        "form": certificate.form,
        "replaces": certificate.serial,
    }
    if certificate.form != Form.CSR:
        asked["key_type"] = certificate.key_type
    # One that its authority's end cut short does not say what was asked for.
    if certificate.not_after != certificate.authority.not_after:
        held = certificate.not_after - certificate.not_before - BACKDATE
        asked["lifetime_days"] = str(max(1, round(held / timedelta(days=1))))
    return asked
