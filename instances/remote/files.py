"""Commands that read and write whole files on a node. Builders only: they run nothing.

The scripts are constants; every value is a positional argument. A file is written under a name
beside its place, opened exclusively, given owner and mode through its descriptor (the directory
may belong to the server's user, who could swap the name), synced, and renamed into place. Bash
itself writes what holds no NUL byte, and says when it cannot: that saves a program.
"""

import base64
import hashlib
from bisect import bisect_left
from collections.abc import Sequence

from instances.nodeconf.command import Command, FileState
from instances.secret import Secret

CHANGED = 65
# Bytes from which on a file's common parts are cheaper copied on the node than sent to it.
LARGE = 16 * 1024

# One fork for all links and one for all owners; what is small is read by bash itself.
READ = r"""
set -u
LC_ALL=C
count=$# targets=() descriptors=() found=()
mapfile -d '' -t targets < <(readlink -mz -- "$@" 2>/dev/null)
if [ ${#targets[@]} -ne $count ]; then
  targets=()
  for path; do target=$(readlink -f -- "$path") || target=$path; targets+=("$target"); done
fi
i=0 opened=()
for path; do
  target=${targets[i]} descriptors[i]=
  if [ -e "$path" ] || [ -d "${target%/*}" -a -e "$target" ]; then
    [ ! -d "$path" ] && exec {fd}<"$path" || exit 66
    descriptors[i]=$fd opened+=("/proc/self/fd/$fd")
  fi
  i=$((i + 1))
done
if [ ${#opened[@]} -gt 0 ]; then
  mapfile -d '' -t found < <(stat -L --printf '%a\0%U\0%G\0%s\0' -- "${opened[@]}")
  [ ${#found[@]} -eq $((4 * ${#opened[@]})) ] || exit 66
fi
at=0
for ((i = 0; i < count; i++)); do
  fd=${descriptors[i]}
  if [ -z "$fd" ]; then printf 'absent\0\0\0\0%s\0\0' "${targets[i]}"; continue; fi
  owner=("${found[@]:at:3}") size=${found[at + 3]} at=$((at + 4)) content=
  # Bash cannot keep a NUL byte, and an empty size may be a special file's: then the length differs.
  [ "$size" -le 8192 ] && IFS= read -r -d '' -u "$fd" content
  if [ "$size" -gt 0 ] && [ ${#content} -eq "$size" ]; then
    printf '%s\0' text "${owner[@]}" "${targets[i]}" "$content"
  else
    printf '%s\0' file "${owner[@]}" "${targets[i]}"
    base64 -w0 <"/proc/self/fd/$fd" || exit 66
    printf '\0'
  fi
done
"""

_TAKE = r"""
set -euC
LC_ALL=C
take() { # SIZE: of what is text; nothing stands for bytes that bash cannot keep
  local content
  if [ -z "$1" ]; then cat; else IFS= read -r -N "$1" content && printf '%s' "$content"; fi
}
"""

WRITE = (
    _TAKE
    + r"""
path=$1 size=$2 mode=$3 owner=$4 fresh=$1.redoubt.$$
trap 'rm -f -- "$fresh"' EXIT
exec 3>"$fresh"
chown -- "$owner" /proc/self/fd/3
chmod -- "$mode" /proc/self/fd/3
take "$size" >&3
sync -- /proc/self/fd/3
mv -fT -- "$fresh" "$path"
trap - EXIT
sync -- "${path%/*}/"
"""
)

# Of the old content, known to the byte by its digest, what stays is not sent again.
REPLACE = (
    _TAKE
    + r"""
path=$1 size=$2 expected=$3 head=$4 tail=$5 keep=$6
write() {
  [ "$head" = 0 ] || head -c "$head" -- "$path"
  take "$size"
  [ "$tail" = 0 ] || tail -c "$tail" -- "$path"
}
[ ! -L "$path" ] || path=$(readlink -e -- "$path")
[ -f "$path" ]
fresh=$path.redoubt.$$
if [ -n "$expected" ]; then
  seen=$(sha256sum <"$path")
  [ "${seen%% *}" = "$expected" ] || exit 65
fi
if [ -n "$keep" ] && [ ! -e "$keep" ]; then
  [ -d "${keep%/*}" ] || mkdir -p -m 0700 -- "${keep%/*}"
  # The old file lives on under its second name; on another file system it is copied.
  ln -- "$path" "$keep" 2>/dev/null ||
    { cp -p -- "$path" "$keep.new" && mv -T -- "$keep.new" "$keep"; }
fi
trap 'rm -f -- "$fresh"' EXIT
exec 3>"$fresh"
cp --attributes-only --preserve=all -- "$path" /proc/self/fd/3
write >&3
sync -- /proc/self/fd/3
mv -fT -- "$fresh" "$path"
trap - EXIT
"""
)


def read_command(paths: Sequence[str]) -> Command:
    """A command whose output `parse_read` turns into one FileState a path."""
    return Command(("bash", "-c", READ, "read", *paths))


def digest_command(path: str) -> Command:
    """Print the SHA-256 of a file as `sha256sum` does; nothing where there is none."""
    return Command(("bash", "-c", 'exec sha256sum <"$1"', "digest", path), ok=frozenset({0, 1}))


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
        content=content if kind == b"text" else base64.b64decode(content),
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
    path: str, content: bytes, *, seen: bytes | None = None, keep: str = ""
) -> Command:
    """Replace the content of an existing file; owner, mode, xattrs and a symlink to it stay.

    Args:
        path: The file, or a symbolic link to it.
        content: All of the new content.
        seen: What was read; where the file differs, the command ends with code `CHANGED`, which a
            Host raises as FileChanged.
        keep: Where the old file goes, in a directory of root's that is made for it; one that is
            there already stays.
    """
    large = seen is not None and len(seen) >= LARGE
    head, tail = _common(seen or b"", content) if large else (0, 0)
    new = content[head : len(content) - tail]
    digest = "" if seen is None else sha256(seen)
    values = (path, _size(new), digest, str(head), str(tail), keep)
    return Command(("bash", "-c", REPLACE, "replace", *values), stdin=new)


def _common(old: bytes, new: bytes) -> tuple[int, int]:
    """How many bytes both begin with, and how many of the rest both end with."""
    shorter = min(len(old), len(new))
    head = bisect_left(range(shorter), 1, key=lambda at: old[: at + 1] != new[: at + 1])
    rest = range(shorter - head)
    return head, bisect_left(rest, 1, key=lambda at: old[-at - 1 :] != new[-at - 1 :])


def directory_command(path: str, *, mode: int, owner: str, group: str) -> Command:
    """Create a directory, or give an existing one this owner and mode."""
    return Command(("install", "-d", "-m", f"{mode:o}", "-o", owner, "-g", group, "--", path))


def _size(content: bytes | Secret) -> str:
    known = content.reveal().encode() if isinstance(content, Secret) else content
    return "" if not known or b"\0" in known else str(len(known))


def sha256(content: bytes) -> str:
    """The hex digest that `sha256sum` prints."""
    return hashlib.sha256(content).hexdigest()
