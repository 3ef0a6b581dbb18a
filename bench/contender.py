"""What takes part in a comparison."""

from collections.abc import Sequence
from typing import Protocol

from bench.usage import Usage
from lab import LabNode


class InstallFailed(Exception):  # noqa: N818 -- it reads as a sentence
    """A contender did not get through."""


class Contender(Protocol):
    """Installs encryption on nodes."""

    name: str

    def prepare(self, nodes: Sequence[LabNode]) -> None:
        """Get to know the nodes. Not measured."""

    def install(self) -> Usage:
        """Do it on all of them, and say what it took.

        Raises:
            InstallFailed: It went wrong on a node.
        """

    def authority(self) -> str:
        """Return the certificate that clients are to trust, PEM."""
