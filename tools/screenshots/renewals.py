"""What is renewed by itself in the pictures, when, and where that does not go well."""

from collections.abc import Mapping
from datetime import time

from addons.models import Installation, Run
from addons.renewal.endings import endings_tick
from instances.models import NodeGroup
from instances.services import window_add
from tools.screenshots.cast import Cast
from tools.screenshots.day import NOW
from tools.screenshots.tales import Said, Tales


def renewals_tell(cast: Cast, tales: Tales, groups: Mapping[str, NodeGroup]) -> dict[str, Run]:
    """Tell of windows, of a group whose owners renew by hand, and of a node that was away."""
    window_add(
        actor=cast.ada,
        environment=groups["shop-production/cache"].environment,
        weekdays=[6],
        start=time(2),
        hours=4,
        zone="Europe/Berlin",
    )
    ledger = Installation.objects.get(group=groups["payments-eu/ledger"])
    ledger.spec |= {"renew": "off"}
    ledger.save()
    renewed = _refused(cast, tales, groups["search-staging/locks"])
    with cast.ago(minutes=2):
        endings_tick(NOW)
    return {"renewal": renewed}


def _refused(cast: Cast, tales: Tales, locks: NodeGroup) -> Run:
    away = "locks-2: locks-2.locks.search-staging.example does not answer on port 22."
    told: dict[str, Said] = {"locks-2": [("preflight", "failed", away)]}
    failure = {"node": "locks-2", "step": "connect", "reason": "ConnectTimeout", "message": away}
    with cast.ago(minutes=19):
        run = tales.run(
            locks,
            Run.State.REFUSED,
            by="ada",
            told=told,
            action="reissue",
            failure={**failure, "next_step": "Check that the machine is up."},
        )
    run.actor, run.actor_name = None, "redoubt"
    run.cause = "A third of the certificates' life is left: locks-1, locks-2."
    run.save()
    return run
