"""The company in the pictures: its servers, and what happened on them."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from addons.archiving import place_archive
from addons.clients.handout import ClientRequest, Form
from addons.clients.issue import client_certificate_downloaded, client_certificate_issue
from addons.models import Certificate, Run
from instances.models import Environment, Machine, Node, NodeGroup
from tools.screenshots.cast import Cast
from tools.screenshots.day import NOW
from tools.screenshots.plaintext import plaintext_tell
from tools.screenshots.renewals import renewals_tell
from tools.screenshots.tales import Said, Tales, half_way, put_back
from tools.screenshots.texts import installed
from tools.screenshots.topologies import topologies_tell

State = Run.State
PRINT = "5F:A2:" + "3C:" * 29 + "90"
OLD_SERVER = ("redis", "6.0.16")
VALKEY = ("valkey", "8.0.2")
BUNDLES = {
    name: UUID(int=number, version=4) for number, name in enumerate(("ready", "half"), start=0x5EED)
}


def story_tell(cast: Cast) -> Mapping[str, str]:
    """Tell it all; return what stands in the addresses of pages, by a name."""
    tales = Tales(cast)
    with cast.ago(days=400):
        cast.key("production")
    with cast.ago(days=30):
        cast.key("internal", by="grace")
    groups = _places(cast)
    runs: dict[str, Run] = {}
    for tell in (_long_ago, _lately, _today, _now):
        runs |= tell(cast, tales, groups)
    plaintext_tell(groups)
    topologies_tell(cast, groups)
    _archived(cast)
    client = _clients(cast)
    nodes = _nodes(cast, groups)
    runs |= renewals_tell(cast, tales, groups)
    pages = {f"run {name}": str(run.pk) for name, run in runs.items()} | nodes
    pages["client certificate"] = str(client.pk)
    return pages | {f"together {name}": str(bundle) for name, bundle in BUNDLES.items()}


def _places(cast: Cast) -> dict[str, NodeGroup]:
    """Make the environments: name, region, groups with sizes, and what their nodes run."""
    with cast.ago(days=390):
        made = [
            cast.group("shop-production", "cache", 3, region="eu-west"),
            cast.group("shop-production", "sessions", 3, region="eu-west"),
            cast.group("shop-production", "queue", 2, server=VALKEY),
        ]
    with cast.ago(days=380):
        made += [
            cast.group("payments-eu", "ledger", 3, region="eu-central", by="grace"),
            cast.group("payments-eu", "limits", 3, by="grace", server=VALKEY),
            cast.group("payments-us", "ledger", 3, region="us-east", by="grace"),
            cast.group("payments-us", "limits", 2, by="grace", firewall="firewalld"),
        ]
    with cast.ago(days=60):
        made += [
            cast.group("internal", "ci-cache", 3, region="eu-west", by="linus", firewall="ufw"),
            cast.group("internal", "legacy", 1, by="linus", server=OLD_SERVER),
            cast.group("internal", "metrics", 2, by="linus", password=False),
            cast.group("search-staging", "index", 2, region="eu-west", by="linus"),
            cast.group("search-staging", "suggest", 2, by="linus"),
            cast.group("search-staging", "locks", 2, by="linus"),
        ]
        cast.group("search-staging", "features", 0, by="linus")
    return {f"{each.environment.name}/{each.name}": each for each in made}


def _long_ago(cast: Cast, tales: Tales, groups: Mapping[str, NodeGroup]) -> dict[str, Run]:
    """Tell of what was installed and is served, and of what was settled since."""
    install = tales.install
    install(groups["payments-eu/ledger"], days=359, by="grace")
    install(groups["payments-eu/limits"], days=153, by="grace")
    install(groups["payments-us/ledger"], days=152, by="grace")
    install(groups["payments-us/limits"], days=151, by="grace")
    install(groups["shop-production/queue"], days=88, by="ada")
    install(groups["search-staging/locks"], days=60.2, by="linus", valid=90)
    loading = _failure("locks-1", "verify", "NoPong", "PING over TLS was answered with: LOADING")
    with cast.ago(days=20):
        told: dict[str, Said] = {
            "locks-1": _stuck(installed(PRINT, "", 12)[:4], loading["message"])
        }
        resolved = tales.run(
            groups["search-staging/locks"], State.RESOLVED, by="linus", told=told, failure=loading
        )
    return {"resolved": resolved}


def _lately(cast: Cast, tales: Tales, groups: Mapping[str, NodeGroup]) -> dict[str, Run]:
    """Tell of the last days: two groups at once half done, and two well done."""
    index, suggest = groups["search-staging/index"], groups["search-staging/suggest"]
    metrics, bundle = groups["internal/metrics"], UUID(int=0xA11, version=4)
    full = _failure(
        "suggest-1",
        "configuration",
        "NoSpace",
        "no space is left on /etc",
        "Free some on suggest-1, then retry.",
    )
    whole = installed(PRINT, "Redoubt authority search-staging", 3)
    with cast.ago(days=9):
        fine = {node.name: whole for node in index.nodes.all()}
        tales.run(index, State.SUCCEEDED, by="linus", told=fine, bundle=BUNDLES["half"])
        told = {"suggest-1": put_back(whole[:3], ("configuration", full["message"]))}
        tales.run(
            suggest, State.PUT_BACK, by="linus", told=told, failure=full, bundle=BUNDLES["half"]
        )
    with cast.ago(hours=26):
        discarded = tales.run(metrics, State.DISCARDED, by="linus", warned=True)
    done = tales.install(groups["shop-production/cache"], days=0.131, by="ada", bundle=bundle)
    tales.install(groups["shop-production/sessions"], days=0.13, by="ada", bundle=bundle)
    return {"discarded": discarded, "done": done}


def _today(cast: Cast, tales: Tales, groups: Mapping[str, NodeGroup]) -> dict[str, Run]:
    """Tell of what went wrong today, and where; and of what waits for somebody."""
    runs = {}
    metrics, legacy = groups["internal/metrics"], groups["internal/legacy"]
    with cast.ago(hours=3):
        taken = _taken("metrics-2", "haproxy")
        told: dict[str, Said] = {"metrics-2": [("preflight", "failed", taken["message"])]}
        runs["refused"] = tales.run(metrics, State.REFUSED, by="linus", told=told, failure=taken)
    with cast.ago(hours=2):
        runs["previewed"] = tales.run(metrics, State.PREVIEWED, by="ada", warned=True)
    with cast.ago(minutes=96):
        changed = _failure(
            "legacy-1",
            "configuration",
            "FileChanged",
            "/etc/redis/redis.conf was changed by somebody else during the run",
            "See who edits it, Ansible perhaps, then retry.",
        )
        before = installed(PRINT, "", 7)[:2]
        told = {"legacy-1": put_back(before, ("configuration", changed["message"]))}
        runs["put back"] = tales.run(
            legacy, State.PUT_BACK, by="linus", told=told, failure=changed, restart=True
        )
    with cast.ago(minutes=41):
        runs["stuck"] = _lost(tales, groups["payments-us/limits"])
    with cast.ago(minutes=9):
        queue = groups["shop-production/queue"]
        runs["uninstall"] = tales.run(queue, State.PREVIEWED, by="ada", action="uninstall")
    tales.observe(
        groups["payments-us/ledger"].nodes.get(name="ledger-2"),
        "false",
        "ChainInvalid",
        "ledger-2: the served certificate was not issued by “Redoubt authority payments-us”.",
    )
    tales.unseen(groups["payments-us/ledger"].nodes.get(name="ledger-3"), hours=3)
    tales.drift(
        groups["payments-us/ledger"].nodes.get(name="ledger-1"),
        "/etc/redis/redis.conf",
        ("hunk", "@@ -92,5 +92,5 @@ /etc/redis/redis.conf"),
        ("context", "tls-ca-cert-file /etc/redis/tls/server/root.crt"),
        ("del", "tls-auth-clients no"),
        ("add", "tls-auth-clients optional"),
        ("context", "tls-port 6380"),
    )
    return runs


def _lost(tales: Tales, limits: NodeGroup) -> Run:
    """Tell of a run that could not put everything back."""
    lost = _failure(
        "limits-2",
        "verify",
        "ConnectionLost",
        "the connection was lost before the answer to PING came",
        "See that limits-2 answers on SSH, then choose Retry put-back.",
    )
    fine = installed(PRINT, "", 19)[:4]
    told: dict[str, Said] = {
        "limits-1": put_back(fine, ("verify", "limits-1: stopped, as limits-2 failed.")),
        "limits-2": _stuck(installed(PRINT, "", 23)[:4], lost["message"]),
    }
    tales.observe(
        limits.nodes.get(name="limits-2"),
        "unknown",
        "Stuck",
        "The last run neither reached its goal nor could be put back.",
    )
    return tales.run(limits, State.STUCK, by="grace", told=told, failure=lost)


def _now(cast: Cast, tales: Tales, groups: Mapping[str, NodeGroup]) -> dict[str, Run]:
    """Tell of what is under way."""
    runs = {}
    suggest = groups["search-staging/suggest"]
    with cast.ago(minutes=1):
        bundle = BUNDLES["ready"]
        tales.run(groups["internal/metrics"], State.PREVIEWED, by="ada", bundle=bundle)
        tales.run(
            suggest,
            State.REFUSED,
            by="ada",
            failure=_taken("suggest-1", "stunnel"),
            bundle=bundle,
        )
        tales.run(groups["internal/ci-cache"], State.PREVIEWED, by="ada", bundle=bundle)
    with cast.ago(seconds=12):
        failure = _failure("index-2", "verify", "NoPong", "PING was answered with: LOADING")
        whole = installed(PRINT, "Redoubt authority search-staging", 3)
        back = ("configuration", "undone", "/etc/redis/redis.conf is as it was")
        told: dict[str, Said] = {
            "index-1": whole,
            "index-2": [*whole[:4], ("verify", "failed", failure["message"]), back],
        }
        runs["putting back"] = tales.run(
            groups["search-staging/index"],
            State.PUTTING_BACK,
            by="grace",
            told=told,
            failure=failure,
        )
    with cast.ago(seconds=7):
        ci = groups["internal/ci-cache"]
        told = half_way(ci.nodes.order_by("name"), "Redoubt authority internal", PRINT, at=1)
        runs["running"] = tales.run(ci, State.RUNNING, by="ada", told=told)
    with cast.ago(seconds=3):
        runs["queued"] = tales.run(suggest, State.QUEUED, by="linus")
    with cast.ago(seconds=2):
        runs["previewing"] = tales.run(groups["internal/legacy"], State.PREVIEWING, by="ada")
    return runs


def _clients(cast: Cast) -> Certificate:
    """Tell of certificates that were handed out; return one."""
    shop = Environment.objects.get(name="shop-production")
    made = []
    for days, holder, form, by in (
        (71, "warehouse-import", Form.PEM, "grace"),
        (40, "checkout", Form.ZIP, "ada"),
        (3, "grace-laptop", Form.ZIP, "grace"),
    ):
        with cast.ago(days=days) as at:
            request = ClientRequest(holder=holder, form=form, lifetime_days=90)
            actor = cast.people[by]
            issued = client_certificate_issue(
                actor=actor, environment=shop, request=request, now=at
            ).certificate
            client_certificate_downloaded(actor=actor, certificate=issued, now=at)
            issued.serial = f"{cast.chance.getrandbits(152):038x}"
            issued.fingerprint = cast.fingerprint()
            issued.save(update_fields=["serial", "fingerprint"])
            made.append(issued)
    return made[1]


def _archived(cast: Cast) -> None:
    with cast.ago(days=300):
        cast.group("shop-2024", "cache", 2, region="eu-west")
    with cast.ago(days=12) as then:
        old = Environment.objects.get(name="shop-2024")
        place_archive(actor=cast.ada, place=old, now=then)


def _nodes(cast: Cast, groups: Mapping[str, NodeGroup]) -> dict[str, str]:
    """Make the nodes that are new or do not answer; return them and one that is well."""
    staging = groups["search-staging/locks"].environment
    features = NodeGroup.objects.get(environment=staging, name="features")
    linus = cast.people["linus"]
    with cast.ago(minutes=3):
        asking = cast.node(features, "features-1", linus, seen=None, confirmed=False)
        cast.node(features, "features-2", linus, seen=None, confirmed=False)
    with cast.ago(seconds=5):
        fresh = cast.node(features, "features-3", linus, seen=None)
    silent = groups["shop-production/queue"].nodes.get(name="queue-2")
    _fault(
        silent,
        "ConnectTimeout",
        "{0}: {1} does not answer on port 22 within 10 seconds.",
        "Check that the machine is up and that its firewall lets the panel in.",
        minutes=22,
    )
    refusing = groups["internal/legacy"].nodes.get()
    _fault(
        refusing,
        "SudoRefused",
        "{0}: sudo asks for a password.",
        "Allow the user redoubt to use sudo without one.",
        minutes=6,
    )
    well = groups["shop-production/sessions"].nodes.get(name="sessions-2")
    return {
        "node well": str(well.pk),
        "node silent": str(silent.pk),
        "node refusing": str(refusing.pk),
        "node asking": str(asking.pk),
        "node fresh": str(fresh.pk),
        "archived environment": str(Environment.recorded.get(name="shop-2024").pk),
        "archived group": str(NodeGroup.recorded.get(environment__name="shop-2024").pk),
        "archived node": str(Node.recorded.filter(group__environment__name="shop-2024")[0].pk),
    }


def _fault(node: Node, reason: str, message: str, next_step: str, *, minutes: int) -> None:
    address = Machine.objects.get(pk=node.machine_id).address
    said = message.format(node.name, address)
    seen = NOW - timedelta(minutes=minutes)
    Node.objects.filter(pk=node.pk).update(
        fault={"reason": reason, "message": said, "next_step": next_step},
        facts_at=seen,
        looked_at=NOW - timedelta(seconds=40),
    )


def _failure(node: str, step: str, reason: str, what: str, then: str = "") -> dict[str, str]:
    message = f"{node}: {what}."
    words = {"node": node, "step": step, "reason": reason, "message": message}
    return {**words, "next_step": then}


def _taken(node: str, program: str) -> dict[str, str]:
    what, then = f"port 6380 is in use by {program}", "Choose another TLS port, or free this one."
    return _failure(node, "preflight", "PortTaken", what, then)


def _stuck(before: Said, said: str) -> Said:
    return [
        *before,
        ("verify", "failed", said),
        ("configuration", "undone", "/etc/redis/redis.conf is as it was"),
        ("runtime", "undone", "tls-port is 0 again, 23 connections kept"),
        ("firewall", "undo_failed", "nftables could not be asked: the connection is gone"),
    ]
