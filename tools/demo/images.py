"""``python -m tools.demo.images``: build the images of the demo's nodes, side by side."""

import sys
from concurrent.futures import ThreadPoolExecutor

from lab import LabError
from lab.images import ensure_layers
from tools.demo.nodes import SPECS


def main() -> int:
    """Build what is missing; return the exit status."""
    specs = list({spec.image: spec for spec in SPECS}.values())
    try:
        with ThreadPoolExecutor(len(specs)) as pool:
            list(pool.map(ensure_layers, specs))
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
