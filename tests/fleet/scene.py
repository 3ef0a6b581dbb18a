"""What the test does inside a panel's own process: register the lab, ask for runs, wait for them.

Run as ``python -m tests.fleet.scene LAB NODES`` with the panel's environment; prints JSON.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import django

WAIT_SECONDS = 120


def main(lab: str, nodes: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.settings")
    django.setup()
    groups = register(lab)[:nodes]
    result = {
        "install": in_parallel(groups * 2, "install"),
        "uninstall": in_parallel(groups, "uninstall"),
    }
    print(json.dumps(result))


def register(lab: str) -> list[int]:
    from instances.audit import Actor
    from instances.secret import Secret
    from instances.services import (
        NodeRequest,
        credential_create,
        environment_create,
        group_create,
        node_register,
    )
    from lab import Lab

    actor = Actor(None, "test", "terminal")
    environment = environment_create(actor=actor, name="fleet")
    groups = []
    for each in Lab(name=lab).nodes():
        if not groups:
            key = Secret(Path(each.identity).read_text())
            credential_create(actor=actor, name="lab", private_key=key)
        group = group_create(actor=actor, environment=environment, name=each.name)
        request = NodeRequest(address=each.address, name=each.name, host_key=each.host_key)
        node = node_register(actor=actor, group=group, request=request)
        groups.append(group.pk)
        confirm(node.machine_id)
    return groups


def confirm(machine: int) -> None:
    from django.utils import timezone

    from instances.models import Machine
    from instances.remote.host_key import scan_host_key

    row = Machine.objects.get(pk=machine)
    key = scan_host_key(row.address, row.ssh_port)
    assert key.fingerprint_sha256 == row.expected_fingerprint
    row.host_key, row.host_key_confirmed_at = key.line, timezone.now()
    row.save()


def in_parallel(groups: Sequence[int], action: str) -> dict[str, object]:
    from addons.models import MachineLock, Run
    from addons.runs.services import run_create
    from instances.audit import Actor
    from instances.models import NodeGroup

    began = time.monotonic()
    asked = [
        run_create(
            actor=Actor(None, "test", "terminal"),
            group=NodeGroup.objects.get(pk=group),
            addon="encryption",
            action=action,
            settings={},
            confirmed=True,
        ).pk
        for group in groups
    ]
    runs = Run.objects.filter(pk__in=asked)
    while runs.exclude(state__in=Run.ENDED).exists():
        if time.monotonic() - began > WAIT_SECONDS:
            break
        time.sleep(0.2)
    return {
        "states": Counter(runs.values_list("state", flat=True)),
        "failures": [run.failure for run in runs if run.failure],
        "attempts": max(runs.values_list("attempt", flat=True)),
        "locks": MachineLock.objects.count(),
        "seconds": round(time.monotonic() - began, 1),
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
