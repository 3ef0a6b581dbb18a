"""One demo from its first line to its last."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import django

django.setup()

from instances.audit import Actor  # noqa: E402 -- models load after Django
from instances.models import Node  # noqa: E402
from instances.secret import Secret  # noqa: E402
from instances.services import (  # noqa: E402
    NodeRequest,
    credential_create,
    environment_create,
    group_create,
    node_register,
)
from instances.tasks import node_look  # noqa: E402
from lab import Lab, LabNode  # noqa: E402
from panel.management.waiting import nodes_looked_at  # noqa: E402
from panel.places import BASE_DIR  # noqa: E402
from panel.setup import administrator_create, panel_setup  # noqa: E402
from panel.supervisor.tether import die_with_parent  # noqa: E402
from panel.supervisor.web import WAITS_FOR  # noqa: E402
from tools.demo.nodes import GROUPS, LAB, SPECS  # noqa: E402
from tools.demo.place import PANEL, STATE, DemoError, discard, record_process, write_json  # noqa: E402

_USER = "admin"
_ACTOR = Actor(None, "make demo", "terminal")
_LOOK_SECONDS = 60
_START_SECONDS = 90
_STOP_SECONDS = 40


def run_demo(port: int) -> int:
    """Run the demo until a signal comes; return the exit status.

    Raises:
        DemoError: The port is taken, or the panel ended by itself.
        LabError: The nodes cannot be started.
    """
    _require_free(port)
    discard()
    record_process()
    panel: subprocess.Popen[bytes] | None = None
    with ThreadPoolExecutor(1) as pool:
        _say("Starting five nodes and setting up the panel ...")
        nodes = pool.submit(Lab(LAB).up, SPECS)
        try:
            password = _set_up()
            panel = _start(port)
            _open(port, password, _register(nodes), panel)
            panel.wait()
            raise DemoError("The panel ended by itself; the lines above may say why.")
        except KeyboardInterrupt:
            _say("Stopping the demo ...")
            return 0
        finally:
            _stop(panel, nodes)


def _set_up() -> Secret:
    panel_setup(say=lambda _line: None)
    return administrator_create(
        actor=_ACTOR, name=_USER, password=Secret(secrets.token_urlsafe(12))
    )


def _start(port: int) -> subprocess.Popen[bytes]:
    """Start the panel; its web process opens once panel.json is there."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "start", "--port", str(port)],
        cwd=BASE_DIR,
        env={**os.environ, WAITS_FOR: str(PANEL)},
        stdin=subprocess.DEVNULL,
        # Ctrl-C reaches the demo alone, which stops the panel in order.
        start_new_session=True,
        preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 -- no threads hold locks it needs
    )


def _register(nodes: "Future[list[LabNode]]") -> list[LabNode]:
    """Register the lab's nodes as an operator would, and have the worker look at them."""
    made = nodes.result()
    with open(made[0].identity, encoding="utf-8") as key:
        credential_create(actor=_ACTOR, name=LAB, private_key=Secret(key.read()))
    environment = environment_create(actor=_ACTOR, name=LAB)
    by_name = {node.name: node for node in made}
    rows: list[Node] = []
    for name, specs in GROUPS.items():
        group = group_create(actor=_ACTOR, environment=environment, name=name)
        for spec in specs:
            request = _request(by_name[spec.name])
            rows.append(node_register(actor=_ACTOR, group=group, request=request))
    _look(rows)
    return made


def _request(node: LabNode) -> NodeRequest:
    return NodeRequest(
        address=node.address,
        name=node.name,
        ssh_port=node.ssh_port,
        user=node.user,
        credential=LAB,
        host_key=node.host_key,
    )


def _look(rows: Sequence[Node]) -> None:
    _wait_for_broker()
    for row in rows:
        node_look.delay(row.pk)
    for seen in nodes_looked_at(rows, seconds=_LOOK_SECONDS):
        if seen.looked_at is None:
            _say(f"{seen}: nobody has looked at it yet; its page shows when somebody has")
        elif seen.fault:
            _say(f"{seen}: {seen.fault['message']} {seen.fault['next_step']}")


def _wait_for_broker() -> None:
    from django.conf import settings  # noqa: PLC0415 -- after the settings

    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(settings.BROKER_SOCKET))
            return
        time.sleep(0.05)
    raise DemoError("The panel's broker does not answer; the lines above may say why.")


def _open(
    port: int, password: Secret, nodes: Sequence[LabNode], panel: "subprocess.Popen[bytes]"
) -> None:
    """Write panel.json, upon which the pages open, and say how to get in."""
    address = f"http://127.0.0.1:{port}"
    content = {
        "address": address,
        "port": port,
        "user": _USER,
        "password": password.reveal(),
        "state": str(STATE),
        "pid": os.getpid(),
        "nodes": [
            {
                "name": node.name,
                "group": next(
                    g for g, specs in GROUPS.items() if node.name in {s.name for s in specs}
                ),
                "address": node.address,
                "image": node.image,
            }
            for node in nodes
        ],
    }
    write_json(PANEL, content)
    _wait_healthy(address, panel)
    _say(
        f"\n  Redoubt    {address}\n  User       {_USER}\n  Password   {password.reveal()}\n\n"
        "  Beside this, for example:\n"
        "    .venv/bin/python manage.py addon install demo cache encryption --yes\n"
        "  Ctrl-C, or `make demo-down`, ends the demo and discards its nodes.\n"
    )


def _wait_healthy(address: str, panel: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and panel.poll() is None:
        with (
            suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{address}/healthz", timeout=5),  # noqa: S310 -- our own
        ):
            return
        time.sleep(0.1)
    raise DemoError(f"{address}/healthz does not answer; the lines above may say why.")


def _stop(panel: "subprocess.Popen[bytes] | None", nodes: "Future[list[LabNode]]") -> None:
    # A second Ctrl-C must not stop the stopping: what is left then is known to the next demo.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if panel is not None and panel.poll() is None:
        panel.terminate()
        try:
            panel.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            panel.kill()
            panel.wait()
    # Nodes that are just being made cannot be taken down yet; a failure of theirs was told.
    nodes.exception()
    discard()


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(
                f"Port {port} is not to be had ({error.strerror}). Choose another: "
                "make demo PORT=8001"
            ) from None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
