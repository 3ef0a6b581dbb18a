"""Images and the layers over them: built once, then shared read-only by every node."""

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import servers
from lab.commands import LabError, require_programs, run
from lab.spec import IMAGES, NodeSpec
from lab.state import cache_root, locked

RECIPES = Path(__file__).parent / "recipes"
BUILD_TIMEOUT = 1200

_PACKAGES = (
    "systemd,systemd-sysv,dbus,openssh-server,sudo,nftables,iptables,iproute2,procps,"
    "redis-server,redis-tools,ca-certificates,openssl"
)

# ufw breaks iptables-persistent, so a firewall's packages are a layer, not part of the image.
_LAYER_PACKAGES = {
    "iptables": ("iptables-persistent", "netfilter-persistent"),
    "ufw": ("ufw",),
    "firewalld": ("firewalld", "python3-nftables"),
}

# Sentinels are a layer too: few nodes have one.
_SENTINEL = "sentinel"
_SENTINELS = {
    "bookworm": ("redis-sentinel",),
    "bullseye": ("redis-sentinel",),
    "trixie": ("redis-sentinel", "valkey-sentinel"),
}

# What each server brings into the image's file system before its recipe runs.
_SERVER_FILES: dict[str, Callable[[Path], None]] = {
    "redis-6.2": servers.build_redis_with_tls,
    "redis-without-tls": servers.fetch_redis_without_tls,
}


@dataclass(frozen=True)
class Layer:
    """Something built once: an image of a release, or what one addition changes over it."""

    release: str
    addition: str | None = None

    @property
    def script(self) -> Path:
        wanted = RECIPES / f"{self.addition or 'base'}.sh"
        return wanted if wanted.exists() else RECIPES / "redis-6.2.sh"

    @property
    def packages(self) -> tuple[str, ...]:
        if self.addition is None:
            return tuple(
                (_PACKAGES + (",valkey-server" if self.release == "trixie" else "")).split(",")
            )
        if self.addition == _SENTINEL:
            return _SENTINELS[self.release]
        return _LAYER_PACKAGES.get(self.addition, ())

    @property
    def path(self) -> Path:
        """Where it lies; the hash changes with the recipe, and with the image beneath."""
        parts = [self.release, *self.packages, self.script.read_text()]
        if self.addition:
            parts += [
                self.addition,
                Layer(self.release).path.name,
                (RECIPES / "build-layer.sh").read_text(),
                servers.SOURCES.get(self.addition, ""),
            ]
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        return cache_root() / f"{'+'.join(filter(None, (self.release, self.addition)))}-{digest}"

    def ensure(self) -> Path:
        """Return the layer's directory, building it first when there is none."""
        if self.path.exists():
            return self.path
        title = self.path.name.rpartition("-")[0]
        with locked(cache_root() / "locks" / title):
            if not self.path.exists():
                _build(self, title)
        return self.path


def layers_for(spec: NodeSpec) -> list[Layer]:
    """A node's layers, the image last."""
    additions: list[str] = [spec.server] if spec.server in _SERVER_FILES else []
    if spec.firewall_backend in _LAYER_PACKAGES:
        additions.append(spec.firewall_backend)
    if spec.sentinel:
        additions.append(_SENTINEL)
    return [*(Layer(spec.image, addition) for addition in additions), Layer(spec.image)]


def ensure_layers(spec: NodeSpec) -> list[Path]:
    """Build what is missing, image first; return the paths, the image last."""
    return [layer.ensure() for layer in reversed(layers_for(spec))][::-1]


def layers_of(release: str) -> list[Layer]:
    """Everything that can be built for a release, the image first."""
    if release not in IMAGES:
        raise LabError(f"{release} is none of {', '.join(IMAGES)}")
    servers_of_release = list(_SERVER_FILES) if release == "bookworm" else []
    return [
        Layer(release),
        *(
            Layer(release, addition)
            for addition in (*_LAYER_PACKAGES, _SENTINEL, *servers_of_release)
        ),
    ]


def _build(layer: Layer, title: str) -> None:
    started = time.monotonic()
    print(f"lab: building {title} ...", flush=True)
    temporary = cache_root() / "building" / title
    # What a killed predecessor left; the lock says that nobody is at work there.
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    root = _build_addition(layer, temporary) if layer.addition else _build_image(layer, temporary)
    root.rename(layer.path)
    shutil.rmtree(temporary, ignore_errors=True)
    print(f"lab: built {title} in {time.monotonic() - started:.0f} s", flush=True)


def _build_image(layer: Layer, temporary: Path) -> Path:
    require_programs("debootstrap", "unshare")
    root = temporary / "root"
    include = f"--include={','.join(layer.packages)}"
    bootstrap = ["debootstrap", "--variant=minbase", include, layer.release, str(root)]
    # A mount namespace of its own: debootstrap's mounts end with it, even when it is killed.
    run(["unshare", "--mount", *bootstrap], timeout=BUILD_TIMEOUT)
    run(["chroot", str(root), "sh"], stdin=layer.script.read_text(), timeout=60)
    return root


def _build_addition(layer: Layer, temporary: Path) -> Path:
    require_programs("unshare")
    lower = Layer(layer.release).ensure()
    upper, work, merged = (temporary / name for name in ("root", "work", "merged"))
    for path in (upper, work, merged):
        path.mkdir(mode=0o755)
    bring = _SERVER_FILES.get(layer.addition or "")
    if bring:
        bring(upper)
    places = [str(path) for path in (lower, upper, work, merged, layer.script)]
    script = ["unshare", "--mount", "sh", str(RECIPES / "build-layer.sh")]
    run([*script, *places, *layer.packages], timeout=BUILD_TIMEOUT)
    return upper
