"""Whether a cluster's bus is known to be encrypted: what no look at its nodes can tell alone."""

from addons.encryption.spec import EncryptionSpec
from addons.models import Installation
from instances.models import NodeGroup


def bus_is_renewed(group: NodeGroup) -> bool:
    """Say whether a run has led a cluster's bus to TLS, and seen each of its links made anew.

    Settings count as installed once their run has verified them. One that adopted what was there
    has changed nothing, and knows nothing of the links.
    """
    found = Installation.objects.filter(group=group, addon="encryption", generation__gt=0).first()
    spec = EncryptionSpec.from_json(found.spec) if found else EncryptionSpec()
    return spec.clusters_over_tls and spec.adopt == "no"
