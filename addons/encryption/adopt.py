"""A server that spoke TLS before Redoubt came: seen, never overwritten."""

from typing import Any

from addons.encryption.issuer import Issuer
from addons.session import NodeSession
from instances.remote.tls_probe import probe_tls
from instances.runtime import admin_address


def observe(node: NodeSession, port: int, issuer: Issuer) -> tuple[list[str], dict[str, Any]]:
    """Shake hands on the node and return what was seen, for record and storage."""
    name = node.brief.client_addresses[0]
    seen = probe_tls(
        lambda: node.host.connect(admin_address(node.server), port),
        server_name=name,
        ca_pem=issuer.trusted,
        node=node.name,
    )
    said = f"adopted: {seen.protocol}, issued by {seen.issuer}, until {seen.not_after:%Y-%m-%d}"
    observation = {
        "adopted": True,
        "fingerprint": seen.fingerprint_sha256,
        "protocol": seen.protocol,
        "not_after": seen.not_after.isoformat(),
        "names": list(seen.sans),
        "verified_from": "node",
        "plaintext": "",
        "condition": {
            "type": "Encrypted",
            "status": "true",
            "reason": "Adopted",
            "message": f"It spoke TLS before; its certificate is from {seen.issuer}.",
        },
    }
    return [said], observation
