"""Commands that read and write whole files on a node. Builders only: they run nothing.

The scripts are constants; every value is a positional argument. A file is written under a name
beside its place, opened exclusively, given owner and mode through its descriptor (the directory
may belong to the server's user, who could swap the name), measured, synced, and renamed into place.
"""

import base64
import hashlib
from collections.abc import Sequence

from instances.nodeconf.command import Command, FileState
from instances.secret import Secret

CHANGED = 65

READ = r"""
set -u
for path; do
  target=$(readlink -f -- "$path") || target=$path
  if [ -e "$path" ] || [ -d "${target%/*}" -a -e "$target" ]; then
    exec 3<"$path" || exit 66
    stat -L --printf 'file\0%a\0%U\0%G\0' -- /proc/self/fd/3 || exit 66
    printf '%s\0' "$target"
    base64 -w0 <&3 || exit 66
    printf '\0'
  else
    printf 'absent\0\0\0\0%s\0\0' "$target"
  fi
done
"""

WRITE = r"""
set -euC
path=$1 size=$2 mode=$3 owner=$4 fresh=$1.redoubt.$$
trap 'rm -f -- "$fresh"' EXIT
exec 3>"$fresh"
chown -- "$owner" /proc/self/fd/3
chmod -- "$mode" /proc/self/fd/3
cat >&3
[ "$(stat -L -c %s /proc/self/fd/3)" = "$size" ]
sync -- /proc/self/fd/3
mv -fT -- "$fresh" "$path"
trap - EXIT
sync -- "${path%/*}/"
"""

REPLACE = r"""
set -euC
path=$(readlink -e -- "$1")
size=$2 expected=$3 fresh=$path.redoubt.$$
[ -f "$path" ]
if [ -n "$expected" ]; then
  seen=$(sha256sum <"$path")
  [ "${seen%% *}" = "$expected" ] || exit 65
fi
trap 'rm -f -- "$fresh"' EXIT
exec 3>"$fresh"
cp --attributes-only --preserve=all -- "$path" /proc/self/fd/3
cat >&3
[ "$(stat -L -c %s /proc/self/fd/3)" = "$size" ]
sync -- /proc/self/fd/3
mv -fT -- "$fresh" "$path"
trap - EXIT
sync -- "${path%/*}/"
"""


def read_command(paths: Sequence[str]) -> Command:
    """A command whose output `parse_read` turns into one FileState a path."""
    return Command(("bash", "-c", READ, "read", *paths))


def parse_read(paths: Sequence[str], output: bytes) -> list[FileState]:
    """What `read_command` printed: six fields a path, each ended by a NUL."""
    fields = output.split(b"\0")[:-1]
    rows = [fields[i : i + 6] for i in range(0, len(fields), 6)]
    return [_state(path, row) for path, row in zip(paths, rows, strict=True)]


def _state(path: str, row: list[bytes]) -> FileState:
    kind, mode, user, group, target, content = row
    resolved = target.decode(errors="surrogateescape")
    if kind == b"absent":
        return FileState(path=path, content=None, target=resolved)
    return FileState(
        path=path,
        content=base64.b64decode(content),
        mode=int(mode, 8),
        owner=(user.decode(), group.decode()),
        target=resolved,
    )


def write_command(
    path: str, content: bytes | Secret, *, mode: int, owner: str, group: str
) -> Command:
    """Create or replace `path` itself (a symbolic link there is replaced, not followed)."""
    argv = ("bash", "-c", WRITE, "write", path, _size(content), f"{mode:o}", f"{owner}:{group}")
    return Command(argv, stdin=content)


def replace_command(
    path: str, content: bytes | Secret, *, expected_sha256: str | None = None
) -> Command:
    """Replace the content of an existing file; owner, mode, xattrs and a symlink to it stay.

    Args:
        path: The file, or a symbolic link to it.
        content: All of the new content.
        expected_sha256: Hex digest of what was read; where the file differs, the command ends
            with code `CHANGED`, which a Host raises as FileChanged.
    """
    argv = ("bash", "-c", REPLACE, "replace", path, _size(content), expected_sha256 or "")
    return Command(argv, stdin=content)


def directory_command(path: str, *, mode: int, owner: str, group: str) -> Command:
    """Create a directory, or give an existing one this owner and mode."""
    return Command(("install", "-d", "-m", f"{mode:o}", "-o", owner, "-g", group, "--", path))


def _size(content: bytes | Secret) -> str:
    return str(len(content.reveal().encode() if isinstance(content, Secret) else content))


def sha256(content: bytes) -> str:
    """The digest that `replace_command` expects."""
    return hashlib.sha256(content).hexdigest()
