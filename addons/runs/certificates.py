"""From certificates' facts to their rows."""

from collections.abc import Sequence

from addons.models import Certificate
from addons.pki.facts import LeafFacts


def certificate_record(
    facts: LeafFacts, *, authority: int, node: int | None, run: int | None
) -> Certificate:
    """Return the unsaved row: only what is public of the certificate."""
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
        not_before=facts.not_before,
        not_after=facts.not_after,
    )


def store_certificates(records: Sequence[Certificate]) -> None:
    """Insert the rows."""
    Certificate.objects.bulk_create(records)
