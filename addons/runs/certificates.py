"""From certificates' facts to their rows."""

import hashlib
from collections.abc import Sequence

from addons.models import Certificate
from addons.pki.facts import LeafFacts
from addons.pki.policy import renewal_due
from instances.secret import Secret


def certificate_record(
    facts: LeafFacts, *, authority: int, node: int | None, run: int | None, key_digest: str = ""
) -> Certificate:
    """Return the unsaved row: only what is public of the certificate.

    Args:
        key_digest: Of its key's file on the node, by which a change of that is seen.
    """
    return Certificate(
        authority_id=authority,
        node_id=node,
        run_id=run,
        purpose=facts.purpose,
        serial=facts.serial,
        subject=facts.subject,
        names=[*facts.dns_names, *facts.ip_addresses],
        fingerprint=facts.fingerprint_sha256,
        key_type=facts.key_type,
        key_digest=key_digest,
        not_before=facts.not_before,
        not_after=facts.not_after,
        renew_at=renewal_due(facts.not_before, facts.not_after),
    )


def store_certificates(records: Sequence[Certificate]) -> None:
    """Insert the rows."""
    Certificate.objects.bulk_create(records)


def key_digest(key: Secret) -> str:
    """Return the SHA-256 of a key's file. It tells nothing of the key, which nobody can guess."""
    return hashlib.sha256(key.reveal().encode()).hexdigest()
