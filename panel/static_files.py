"""Which files of the npm packages are served: those the pages use, not all that were installed."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from typing import Any

from django.contrib.staticfiles.finders import FileSystemFinder

# The source maps are named by the files beside them, and a manifest wants every named file.
NPM_FILES = {
    "tabler": (
        "css/tabler.min.css",
        "css/tabler.min.css.map",
        "js/tabler.min.js",
        "js/tabler.min.js.map",
    ),
    "inter": ("index.css", "files/*-wght-normal.woff2"),
}


class ChosenFilesFinder(FileSystemFinder):
    """Finds the project's own static files and the chosen ones of the npm packages."""

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        """Yield path and storage of each file that is to be served."""
        for path, storage in super().list(ignore_patterns):
            chosen = NPM_FILES.get(getattr(storage, "prefix", None) or "")
            if chosen is None or any(fnmatch(path, pattern) for pattern in chosen):
                yield path, storage
