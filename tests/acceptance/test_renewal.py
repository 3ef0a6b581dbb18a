"""A real node is renewed once it is due: the tick begins it, and the wire shows the new one."""

import ssl
from datetime import timedelta

import pytest

from addons.models import Certificate, Run
from addons.pki.facts import read_certificate
from addons.renewal.plan import Way
from addons.renewal.standing import renewals_of
from addons.renewal.tick import renewals_tick
from addons.runs.drive import run_drive
from tests.acceptance.panel import succeeded
from tests.acceptance.stage import Stage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

NODE = "cache"
SECOND = timedelta(seconds=1)


def served(stage: Stage) -> str:
    """The serial that a client meets, its chain verified."""
    where = (stage.address(NODE), 6380)
    return read_certificate(ssl.get_server_certificate(where, ca_certs=str(stage.root))).serial


def in_force() -> Certificate:
    return Certificate.objects.get(state="serving", purpose="server")


def test_a_leaf_that_is_due_is_renewed_on_the_wire_and_only_once(stage: Stage) -> None:
    node = stage.register(NODE)
    stage.panel.install(NODE)
    first = in_force()
    assert served(stage) == first.serial
    # A tick that comes early begins nothing.
    assert renewals_tick(first.renew_at - SECOND) == []

    [run] = renewals_tick(first.renew_at)
    assert renewals_tick(first.renew_at) == []
    run_drive(run=run.pk)
    run.refresh_from_db()

    succeeded(run)
    assert (run.action, run.actor_name) == ("reissue", "redoubt")
    second = in_force()
    assert second.serial != first.serial
    assert served(stage) == second.serial
    assert stage.speaks_tls(NODE)
    # The new one has its own time, a moment later: both were issued by the real clock.
    assert second.renew_at >= first.renew_at
    assert renewals_tick(second.renew_at - SECOND) == []
    assert renewals_of([node.pk], second.renew_at - SECOND)[node.pk].way is Way.PLANNED
    assert Run.objects.filter(action="reissue").count() == 1
    stage.panel.uninstall(NODE)
