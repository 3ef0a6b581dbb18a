"""The nodes of the demo. Standard library only: images are built before anything is installed."""

from collections.abc import Mapping, Sequence

from lab import NodeSpec

LAB = "demo"
GROUPS: Mapping[str, Sequence[NodeSpec]] = {
    "cache": [NodeSpec(name="cache-1")],
    "sessions": [NodeSpec(name=f"sessions-{number}") for number in (1, 2, 3)],
    "legacy": [NodeSpec(name="legacy-1", image="bullseye")],
}
SPECS = [spec for specs in GROUPS.values() for spec in specs]
