"""A node's own disk before it boots: the upper directory of its overlay."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Disk:
    """Files of a node: what it changed (``upper``) over what it shares (``layers``)."""

    upper: Path
    layers: tuple[Path, ...]

    def read(self, path: str) -> str:
        return self._find(path).read_text()

    def exists(self, path: str) -> bool:
        return any((layer / path.lstrip("/")).exists() for layer in (self.upper, *self.layers))

    def write(self, path: str, content: str, *, mode: int = 0o644, like: str | None = None) -> None:
        """Write a file; ``like`` names one whose owner and mode it takes."""
        model = self._find(like).stat() if like else None
        target = self._prepare(path)
        target.write_text(content)
        if model:
            os.chown(target, model.st_uid, model.st_gid)
        target.chmod(stat.S_IMODE(model.st_mode) if model else mode)

    def link(self, path: str, target: str) -> None:
        self._prepare(path).symlink_to(target)

    def remove(self, path: str) -> None:
        """Hide a file of the layers beneath, as overlayfs does: by a 0/0 character device."""
        target = self._prepare(path)
        target.unlink(missing_ok=True)
        os.mknod(target, stat.S_IFCHR, os.makedev(0, 0))

    def own(self, path: str, *, uid: int, mode: int) -> None:
        os.chown(self.upper / path.lstrip("/"), uid, uid)
        (self.upper / path.lstrip("/")).chmod(mode)

    def _find(self, path: str) -> Path:
        candidates = (layer / path.lstrip("/") for layer in (self.upper, *self.layers))
        return next(found for found in candidates if found.exists())

    def _prepare(self, path: str) -> Path:
        """Make the directories above a file, each like the one of the layers it will cover."""
        target = self.upper / path.lstrip("/")
        for parent in reversed(target.relative_to(self.upper).parents[:-1]):
            self._make_directory(str(parent))
        return target

    def _make_directory(self, path: str) -> None:
        made = self.upper / path
        if made.exists():
            return
        made.mkdir(mode=0o755)
        if any((layer / path).exists() for layer in self.layers):
            model = next((layer / path) for layer in self.layers if (layer / path).exists()).stat()
            os.chown(made, model.st_uid, model.st_gid)
            made.chmod(stat.S_IMODE(model.st_mode))
