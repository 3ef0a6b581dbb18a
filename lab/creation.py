"""Make a node's directory: its settings, its keys and its disk, ready to boot."""

import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.cgroups import ALL_LABS
from lab.commands import run
from lab.disk import Disk
from lab.images import layers_for
from lab.network import LabNetwork
from lab.provision import provision
from lab.spec import NodeSpec
from lab.state import LabFiles, NodeFiles, write_json


def create_client_key(path: Path) -> None:
    """Make the key that logs in to the lab's nodes, once."""
    if not path.exists():
        _make_key(path, comment="redoubt-lab")


def create_node(
    node: NodeFiles, spec: NodeSpec, *, lab: LabFiles, network: LabNetwork, index: int
) -> None:
    """Write all of a node; its settings come last, so that half a node is none."""
    shutil.rmtree(node.root, ignore_errors=True)
    for directory in (node.upper, node.work, node.merged):
        directory.mkdir(parents=True, mode=0o755)
    layers = [layer.path for layer in layers_for(spec)]
    key = node.root / "host_key"
    _make_key(key, comment=spec.name)
    public = lab.identity.with_suffix(".pub").read_text()
    disk = Disk(node.upper, tuple(layers))
    provision(disk, spec, host_key=key.read_text(), authorised_key=public)
    settings = {
        # The password is in the node's own configuration, and nowhere else.
        "spec": asdict(spec) | {"password": None},
        "index": index,
        "subnet": network.subnet,
        "cgroup": f"{ALL_LABS}/{lab.name}/{spec.name}",
        "layers": [str(layer) for layer in layers],
        "node": {
            "name": spec.name,
            "address": network.address(index),
            "image": spec.image,
            "server": spec.server,
            "user": spec.user,
            "host_key": _fingerprint(key),
            "firewall": spec.firewall_backend,
            "config_path": spec.config_path or spec.stock_config_path,
        },
    }
    write_json(node.settings, settings)


def _make_key(path: Path, *, comment: str) -> None:
    """Make a key pair that is there whole or not at all.

    Made elsewhere and moved, the private half last: the ``ssh-keygen`` of a killed maker
    lives on, and would write its key under the eyes of who comes next.
    """
    with TemporaryDirectory(dir=path.parent, prefix=".key-") as directory:
        made = Path(directory, path.name)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(made)])
        made.with_suffix(".pub").replace(path.with_suffix(".pub"))
        made.replace(path)


def _fingerprint(key: Path) -> str:
    """As ``ssh-keygen -lf`` prints it: ``SHA256:...``."""
    return run(["ssh-keygen", "-l", "-E", "sha256", "-f", f"{key}.pub"]).split()[1]
