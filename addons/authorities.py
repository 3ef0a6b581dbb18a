"""The authority that an environment issues from."""

from datetime import datetime

from django.db import transaction

from addons.models import Authority, EnvironmentAuthority
from addons.pki.authority import create_authority
from addons.pki.facts import read_certificate
from addons.pki.keys import KeyType
from addons.pki.serial import new_serial
from instances.audit import PANEL, Actor, audit
from instances.errors import Conflict, Invalid, NotFound
from instances.models import Environment
from instances.reason import Reason


def issuing_authority(environment: Environment) -> Authority:
    """Return the authority that the environment issues from.

    Raises:
        NotFound: It has none yet: the first install makes it.
    """
    link = (
        EnvironmentAuthority.objects.select_related("authority")
        .filter(environment=environment, phase=EnvironmentAuthority.Phase.ISSUING)
        .first()
    )
    if link is None:
        raise NotFound(
            Reason(
                "NoAuthority",
                f"Environment “{environment}” has no authority yet.",
                "The first install of the encryption add-on makes one.",
            )
        )
    return link.authority


def authority_ensure(*, environment: Environment, key_type: KeyType, now: datetime) -> Authority:
    """Return the environment's issuing authority, made where there is none yet."""
    with transaction.atomic():
        # One writer at a time: two first installs in one environment must not make two.
        Environment.objects.select_for_update().get(pk=environment.pk)
        try:
            return issuing_authority(environment)
        except NotFound:
            return _create(environment, key_type, now)


def authority_foreseen(*, environment: Environment, key_type: KeyType, now: datetime) -> Authority:
    """Return the issuing authority, or an unsaved one such as the first install would make.

    For previews, which must not decide the key type for good.
    """
    try:
        return issuing_authority(environment)
    except NotFound:
        return _new(environment, key_type, now)


def _new(environment: Environment, key_type: KeyType, now: datetime) -> Authority:
    certificate, key = create_authority(
        name=environment.name, key_type=key_type, now=now, serial=new_serial()
    )
    facts = read_certificate(certificate)
    return Authority(
        name=facts.common_name,
        certificate=certificate,
        private_key=key,
        key_type=facts.key_type,
        fingerprint=facts.fingerprint_sha256,
        not_before=facts.not_before,
        not_after=facts.not_after,
    )


def _create(environment: Environment, key_type: KeyType, now: datetime) -> Authority:
    authority = _new(environment, key_type, now)
    authority.save()
    EnvironmentAuthority.objects.create(environment=environment, authority=authority)
    audit(PANEL, "authority.create", authority, environment=environment.name)
    return authority


def authority_share(*, actor: Actor, environment: Environment, owner: Environment) -> Authority:
    """Have an environment without an authority issue from that of another one.

    Their servers then trust each other's certificates, as those of one cluster in two regions have
    to; a client's certificate from either opens the servers of both.

    Args:
        environment: Which has no authority yet.
        owner: Whose authority it is to issue from.

    Raises:
        Invalid: The owner is the environment itself, or has no authority.
        Conflict: The environment has an authority already.
    """
    if owner == environment:
        raise Invalid("environment", "This is the environment itself.", "Choose another one.")
    with transaction.atomic():
        # As `authority_ensure` does: a first install at the same time must not make another.
        Environment.objects.select_for_update().get(pk=environment.pk)
        links = environment.authority_links.select_related("authority")
        if own := links.filter(phase=EnvironmentAuthority.Phase.ISSUING).first():
            raise Conflict(
                Reason(
                    "HasAuthority",
                    f"Environment “{environment}” issues from “{own.authority}” already.",
                    "Only an environment without an authority can share another one's.",
                )
            )
        try:
            authority = issuing_authority(owner)
        except NotFound as none:
            raise Invalid("environment", none.reason.message, none.reason.next_step) from none
        EnvironmentAuthority.objects.create(environment=environment, authority=authority)
        audit(actor, "authority.share", authority, environment=environment.name, owner=owner.name)
    return authority


def sharing_with(environment: Environment) -> list[Environment]:
    """Return the other environments that issue from the same authority, by name."""
    own = EnvironmentAuthority.objects.filter(
        environment=environment, phase=EnvironmentAuthority.Phase.ISSUING
    )
    others = Environment.objects.filter(authority_links__authority__in=own.values("authority"))
    return list(others.exclude(pk=environment.pk).order_by("name").distinct())


def trusted_authorities(environment: Environment) -> list[str]:
    """Return the certificates of all authorities that the environment trusts, PEM."""
    return list(
        Authority.objects.filter(environment_links__environment=environment).values_list(
            "certificate", flat=True
        )
    )
