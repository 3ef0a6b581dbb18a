"""The command line: ``python -m lab up|list|exec|stop|start|reboot|cut|mend|down|build``."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from lab.commands import LabError
from lab.images import layers_of
from lab.laboratory import Lab
from lab.spec import FIREWALLS, IMAGES, SERVERS, LabNode, NodeSpec

Command = Callable[[Lab, argparse.Namespace], int]


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit status."""
    options = _parser().parse_args(argv)
    command: Command = options.command
    try:
        return command(Lab(options.lab), options)
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _up(lab: Lab, options: argparse.Namespace) -> int:
    names = options.names or [f"{options.prefix}-{n}" for n in range(1, options.count + 1)]
    if not names:
        raise LabError("name the nodes, or say how many with --count")
    specs = [
        NodeSpec(
            name=name,
            image=options.image,
            server=options.server,
            firewall=options.firewall,
            stock_config=options.stock_config,
            config_path=options.config_path,
            user=options.user,
            password=options.password,
            forwarding=not options.no_forwarding,
            sentinel=options.sentinel,
        )
        for name in names
    ]
    _print_nodes(lab.up(specs), as_json=options.json)
    return 0


def _list(lab: Lab, options: argparse.Namespace) -> int:
    _print_nodes(lab.nodes(), as_json=options.json)
    return 0


def _print_nodes(nodes: list[LabNode], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(node) for node in nodes], indent=2))
        return
    for node in nodes:
        login = f"{node.user}@{node.address}"
        print(f"{node.name:<16} {login:<24} {node.state:<8} {node.image} {node.server}")


def _exec(lab: Lab, options: argparse.Namespace) -> int:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise LabError("say what to run after --")
    command = lab.exec_command(options.name, argv)
    os.execvp(command[0], command)


def _act(action: Callable[[Lab, str], None]) -> Command:
    """A command that does one thing to one node."""

    def command(lab: Lab, options: argparse.Namespace) -> int:
        action(lab, options.name)
        return 0

    return command


def _down(lab: Lab, options: argparse.Namespace) -> int:
    lab.down(options.names or None)
    return 0


def _build(_lab: Lab, options: argparse.Namespace) -> int:
    """Build releases side by side, and the layers of each once its image is there."""
    with ThreadPoolExecutor(len(IMAGES)) as pool:
        list(pool.map(_build_release, options.images or IMAGES))
    return 0


def _build_release(release: str) -> None:
    for layer in layers_of(release):
        print(layer.ensure())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description="Real hosts to try on.")
    parser.add_argument("--lab", help="which lab (default: $REDOUBT_LAB_NAME, or 'lab')")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(command=command)
        return added

    _describe_up(add("up", _up, "make nodes, or start them; ends when each answers"))
    add("list", _list, "list the nodes").add_argument("--json", action="store_true")
    execute = add("exec", _exec, "run a command in a node, network or not")
    execute.add_argument("name")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    for name, action, about in (
        ("stop", Lab.stop, "power a node off; its disk is kept"),
        ("start", Lab.start, "boot a stopped node"),
        ("reboot", Lab.reboot, "reboot a node from inside"),
        ("cut", Lab.cut, "pull a node's network cable"),
        ("mend", Lab.mend, "plug it in again"),
    ):
        add(name, _act(action), about).add_argument("name")
    add("down", _down, "remove nodes, or the whole lab").add_argument("names", nargs="*")
    build = add("build", _build, "build images and layers beforehand")
    build.add_argument("images", nargs="*", metavar="IMAGE", help=", ".join(IMAGES))
    return parser


def _describe_up(up: argparse.ArgumentParser) -> None:
    up.add_argument("names", nargs="*", metavar="NAME")
    up.add_argument("--count", type=int, default=0, help="this many nodes, numbered from 1")
    up.add_argument("--prefix", default="node", help="how their names begin")
    up.add_argument("--image", choices=IMAGES, default="bookworm")
    up.add_argument("--server", choices=SERVERS, default="redis")
    up.add_argument("--firewall", choices=FIREWALLS, help="nftables; iptables on bullseye")
    up.add_argument("--stock-config", action="store_true", help="keep Debian's redis.conf")
    up.add_argument("--config-path", metavar="PATH", help="where the configuration file lies")
    up.add_argument("--user", default="root", help="who logs in; others than root have sudo")
    up.add_argument("--password", help="the server's requirepass")
    up.add_argument("--no-forwarding", action="store_true", help="AllowTcpForwarding no")
    up.add_argument("--sentinel", choices=("beside", "alone"), default="", help="a Sentinel too")
    up.add_argument("--json", action="store_true")
