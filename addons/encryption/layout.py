"""Certificates on a node: which files, whose, and the scripts that put them in place.

``DIR/server`` and ``DIR/client`` are links into ``DIR/generations/ID``, each swapped by one
rename, so that certificate and key never mismatch and the paths in redis.conf never change.
"""

import base64
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from posixpath import join
from typing import Any

from addons.pki.leaf import Issued
from instances.nodeconf.command import Command
from instances.secret import Secret

SERVER_CERTIFICATE, SERVER_KEY = "server/server.crt", "server/server.key"
SERVER_TRUSTED, CLIENT_TRUSTED = "server/root.crt", "client/root.crt"
CLIENT_CERTIFICATE, CLIENT_KEY = "client/client.crt", "client/client.key"

MODES = {
    "server": 0o755,
    SERVER_CERTIFICATE: 0o644,
    SERVER_KEY: 0o640,
    SERVER_TRUSTED: 0o644,
    "client": 0o755,
    CLIENT_CERTIFICATE: 0o644,
    CLIENT_KEY: 0o600,
    CLIENT_TRUSTED: 0o644,
}
"""What a generation holds, and how it is to be readable."""
FILES = tuple(name for name in MODES if "/" in name)

DEFAULT_DIRECTORY = {"redis": "/etc/redis/tls", "valkey": "/etc/valkey/tls"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one directory."""

    directory: str

    @property
    def certificate(self) -> str:
        return join(self.directory, SERVER_CERTIFICATE)

    @property
    def key(self) -> str:
        return join(self.directory, SERVER_KEY)

    @property
    def trusted(self) -> str:
        """What the server trusts."""
        return join(self.directory, SERVER_TRUSTED)

    @property
    def client_trusted(self) -> str:
        """What clients are to trust."""
        return join(self.directory, CLIENT_TRUSTED)

    @property
    def client_certificate(self) -> str:
        return join(self.directory, CLIENT_CERTIFICATE)


_FUNCTIONS = r"""
set -eu
umask 022
dir=$1
swap() {
  ln -sfn -- "generations/$1/$2" "$dir/.$2.new" && mv -fT -- "$dir/.$2.new" "$dir/$2"
}
own() {
  chown root:root -- "$1"
  chmod 00755 -- "$1"
}
make_directories() {
  # One that was there already keeps its owner and mode.
  if [ ! -d "$dir" ]; then
    mkdir -p -- "$dir"
    own "$dir"
  fi
  mkdir -p -- "$dir/generations"
  own "$dir/generations"
}
unlink_ours() {
  for name in server client; do
    case $(readlink -- "$dir/$name" || true) in generations/*) rm -f -- "$dir/$name" ;; esac
  done
  rm -f -- "$dir/.server.new" "$dir/.client.new"
}
set_aside() {
  # Under its name in the workspace it is whole, wherever a killed worker was interrupted.
  local kept=$workspace/generations
  [ -n "$1" ] && [ -d "$dir/generations/$1" ] || return 0
  mkdir -p -m 0700 -- "$kept"
  if [ ! -d "$kept/$1" ]; then
    rm -rf -- "$kept/.new"
    cp -aT -- "$dir/generations/$1" "$kept/.new"
    mv -T -- "$kept/.new" "$kept/$1"
  fi
  rm -rf -- "$dir/generations/$1"
}
keep_only() {
  local each
  for each in "$dir"/generations/*; do
    [ -e "$each" ] || continue
    [ -n "$1" ] && [ "${each##*/}" = "$1" ] || rm -rf -- "$each"
  done
}
"""

LIST = r"""
[ ! -e "$1" ] || find "$1" -mindepth 1 -maxdepth 4 -printf '%y %m %u %g %P\t%l\n'
for each in server client; do
  [ ! -f "$1/$each/$each.key" ] ||
    printf 'sha256 %s %s\n' "$each" "$(sha256sum <"$1/$each/$each.key")"
done
while [ "$1" ] && [ ! -e "$1" ]; do
  printf 'missing %s\n' "$1"
  set -- "${1%/*}"
done
"""

PUT = (
    _FUNCTIONS
    + r"""
new=$2 old=$3 workspace=$4
# One that is there already keeps its owner and mode.
[ -d "$dir" ] || install -d -m 00755 -o root -g root -- "$dir"
keep_only "$old"
base64 -d | tar -x -p --same-owner -f - -C "$dir"
if command -v restorecon >/dev/null; then restorecon -R -- "$dir"; fi
sync -- "$dir/generations/$new"/*/*
mv -fT -- "$dir/.server.new" "$dir/server"
mv -fT -- "$dir/.client.new" "$dir/client"
set_aside "$old"
"""
)

FINISH = (
    _FUNCTIONS
    + r"""
new=$2 old=$3 workspace=$4
swap "$new" server
swap "$new" client
set_aside "$old"
keep_only "$new"
"""
)

REMOVE = (
    _FUNCTIONS
    + r"""
workspace=$2
shift 2
for each in "$dir"/generations/*; do
  set_aside "${each##*/}"
done
unlink_ours
[ ! -d "$dir/generations" ] || rmdir -- "$dir/generations"
for each; do
  [ ! -d "$each" ] || rmdir --ignore-fail-on-non-empty -- "$each"
done
"""
)

BACK = (
    _FUNCTIONS
    + r"""
old=$2 workspace=$3
shift 3
if [ -n "$old" ]; then
  make_directories
  if [ -d "$workspace/generations/$old" ]; then
    cp -aT -- "$workspace/generations/$old" "$dir/generations/$old"
  fi
  swap "$old" server
  swap "$old" client
else
  unlink_ours
fi
keep_only "$old"
[ -n "$old" ] || [ ! -d "$dir/generations" ] || rmdir -- "$dir/generations"
for each; do
  [ ! -d "$each" ] || rmdir --ignore-fail-on-non-empty -- "$each"
done
"""
)


def list_command(directory: str) -> Command:
    """List what is below the directory, and which of its ancestors are missing."""
    return Command(("bash", "-c", LIST, "list", directory))


def parse_list(text: str) -> dict[str, Any]:
    """Return what `list_command` printed.

    {missing, links, strangers, generation, generations, modes, keys}: ``missing`` are the
    directories that do not exist, the deepest first; ``strangers`` what stands where ours belongs
    and is not ours; ``generation`` the one that serves, of all the ``generations`` that are there;
    ``modes`` mode, owner and group by path; ``keys`` the digests of the keys' files.
    """
    missing, links, strangers, generations = [], {}, [], []
    modes: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("sha256 "):
            _, name, digest, *_ = line.split(" ")
            keys[name] = digest
            continue
        if line.startswith("missing "):
            missing.append(line.removeprefix("missing "))
            continue
        kind, mode, user, owner, rest = line.split(" ", 4)
        path, _, target = rest.partition("\t")
        modes[path] = f"{mode} {user}:{owner}"
        if path in {"server", "client"}:
            if kind == "l" and target.startswith("generations/"):
                links[path] = target
            else:
                strangers.append(path)
        parent, _, name = path.partition("/")
        if parent == "generations" and name and "/" not in name:
            generations.append(name)
    generation = links.get("server", "").removeprefix("generations/").removesuffix("/server")
    return {
        "missing": missing,
        "links": links,
        "strangers": strangers,
        "generation": generation,
        "generations": sorted(generations),
        "modes": {path: modes[path] for path in modes if path.startswith("generations/")},
        "keys": keys,
    }


def put_command(directory: str, *, new: str, old: str, workspace: str, archive: Secret) -> Command:
    """Unpack a generation and swap the links to it; the old one waits in the workspace."""
    return Command(("bash", "-c", PUT, "put", directory, new, old, workspace), stdin=archive)


def finish_command(directory: str, *, new: str, old: str, workspace: str) -> Command:
    """Finish a swap that was interrupted, as `put_command` would have."""
    return Command(("bash", "-c", FINISH, "finish", directory, new, old, workspace))


def remove_command(directory: str, *, workspace: str, created: Sequence[str]) -> Command:
    """Take everything of ours away, into the workspace, and the directories that we made."""
    return Command(("bash", "-c", REMOVE, "remove", directory, workspace, *created))


def back_command(directory: str, *, old: str, workspace: str, created: Sequence[str]) -> Command:
    """Put the old generation back, or nothing where there was none."""
    return Command(("bash", "-c", BACK, "back", directory, old, workspace, *created))


def archive(
    *, server: Issued, client: Issued, trusted: str, group: str, generation: str, now: datetime
) -> Secret:
    """Pack one generation and the links to it, by their interim names."""
    place = f"generations/{generation}"
    contents = {
        SERVER_CERTIFICATE: server.certificate_pem,
        SERVER_KEY: server.key.reveal(),
        SERVER_TRUSTED: trusted,
        CLIENT_CERTIFICATE: client.certificate_pem,
        CLIENT_KEY: client.key.reveal(),
        CLIENT_TRUSTED: trusted,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("generations", place, *(f"{place}/{part}" for part in MODES)):
            part = name.removeprefix(f"{place}/")
            content = contents.get(part, "")
            info = _entry(name, MODES.get(part, 0o755), _owner(part, group), now)
            info.type = tarfile.REGTYPE if content else tarfile.DIRTYPE
            info.size = len(content.encode())
            tar.addfile(info, io.BytesIO(content.encode()))
        for name in ("server", "client"):
            info = _entry(f".{name}.new", 0o777, "root", now)
            info.type, info.linkname = tarfile.SYMTYPE, f"{place}/{name}"
            tar.addfile(info)
    return Secret(base64.b64encode(buffer.getvalue()).decode("ascii"))


def ownership(group: str) -> dict[str, str]:
    """Return mode, owner and group of each part of a generation, as `parse_list` has them.

    Args:
        group: Of the server.
    """
    return {part: f"{mode:o} root:{_owner(part, group)}" for part, mode in MODES.items()}


def _owner(part: str, group: str) -> str:
    """Return the group of a part: the server reads its own key, nobody else reads one."""
    return group if part == SERVER_KEY else "root"


def _entry(name: str, mode: int, group: str, now: datetime) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = mode, int(now.timestamp())
    info.uname, info.gname = "root", group
    return info
