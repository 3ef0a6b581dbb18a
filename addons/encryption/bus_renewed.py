"""Whether a cluster's bus is known to be encrypted: what no look at its nodes can tell alone."""

from collections.abc import Collection

from addons.encryption.spec import EncryptionSpec
from addons.models import Installation


def bus_is_renewed(groups: Collection[int]) -> bool:
    """Say whether runs have led a cluster's bus to TLS, and seen each of its links made anew.

    Settings count as installed once their run has verified them. One that adopted what was there
    has changed nothing, and knows nothing of the links.

    Args:
        groups: The keys of all groups that have nodes of the cluster.
    """
    found = Installation.objects.filter(
        group__in=groups, addon="encryption", generation__gt=0
    ).values_list("group", "spec")
    specs = {group: EncryptionSpec.from_json(spec) for group, spec in found}
    led = {key for key, spec in specs.items() if spec.clusters_over_tls and spec.adopt == "no"}
    return led >= set(groups)
