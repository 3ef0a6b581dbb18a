"""The panel's own client certificate: made for one connection, and kept nowhere."""

from datetime import UTC, datetime
from functools import partial

from addons.authorities import issuing_authority
from addons.pki.keys import KeyType
from addons.pki.leaf import LeafRequest, issue_leaf
from addons.pki.serial import new_serial
from instances.errors import NotFound
from instances.introduction import Introduction, Pair
from instances.models import Environment
from instances.secret import Secret

_NAME = "Redoubt"


def introduction(environment: Environment) -> Introduction:
    """Return what issues a pair from the environment's authority, where it has one."""
    try:
        authority = issuing_authority(environment)
    except NotFound:
        return lambda: None
    return partial(_pair, authority.certificate, authority.private_key)


def _pair(certificate: str, key: Secret) -> Pair:
    issued = issue_leaf(
        # Quick to make, whatever the authority is; every server that speaks TLS knows it.
        request=LeafRequest(
            common_name=_NAME, lifetime_days=1, key_type=KeyType.EC_P256, purpose="client"
        ),
        authority_pem=certificate,
        authority_key=key,
        now=datetime.now(UTC),
        serial=new_serial(),
    )
    return issued.certificate_pem, issued.key
