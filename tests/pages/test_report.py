"""A run as a file: all that was planned and done, and no secret."""

from django.test import Client
from django.utils import timezone

from addons.models import Run, RunNode
from instances.audit import audit
from tests.pages.world import BEFORE, PASSWORD, World


def ended(world: World) -> Run:
    failure = {
        "node": "cache-2",
        "step": "verify",
        "reason": "ChainInvalid",
        "message": "cache-2: the chain is not ours.",
        "next_step": "Look at tls-cert-file.",
    }
    now = timezone.now()
    group = world.group("shop", "cache")
    run = world.run(group, Run.State.PUT_BACK, failure=failure, started_at=now, ended_at=now)
    one, two = (row.node for row in run.nodes.select_related("node"))
    for node in (one, two):
        world.record(run, node, "certificate", "before")
        world.record(run, node, "certificate", "applied", "certificate 4F:A1 is written")
    world.record(run, one, "verify", "verified", "TLSv1.3, PONG in 0.9 ms")
    world.record(run, two, "verify", "failed", "the chain is not ours")
    world.record(run, two, "certificate", "undone", "certificate 4F:A1 is gone")
    run.nodes.filter(node=one).update(state=RunNode.State.DONE)
    run.nodes.filter(node=two).update(state=RunNode.State.PUT_BACK)
    audit(world.actor, "run.confirm", run)
    return run


def test_a_report_is_a_file_with_what_was_planned_done_verified_and_put_back(
    signed_in: Client, world: World
) -> None:
    run = ended(world)
    response = signed_in.get(f"/runs/{run.pk}/report.md")
    assert response["Content-Disposition"] == f'attachment; filename="redoubt-run-{run.pk}.md"'
    assert response["Content-Type"] == "text/markdown; charset=utf-8"
    text = response.content.decode()
    for part in (
        f"# Install encryption: run {run.pk}",
        "- Where: shop / cache, 2 nodes",
        "- State: Put back",
        "## First error\n\ncache-2: the chain is not ours. (ChainInvalid)",
        "Next step: Look at tls-cert-file.",
        "- TLS port: 6380",
        "ada (10.0.0.5) run.confirm",
        "## cache-1: Done",
        "    +tls-port 6380",
        "Warning: The plain port is open. Close it.",
        "certificate 4F:A1 is written",
        "TLSv1.3, PONG in 0.9 ms",
        "## cache-2: Put back",
        "FAILED: the chain is not ours",
    ):
        assert part in text, part
    second = text[text.index("## cache-2") :]
    assert second.index("### Done") < second.index("### Put back\n") < len(second)
    assert "certificate 4F:A1 is gone" in second[second.index("### Put back\n") :]


def test_the_page_of_an_ended_run_offers_its_report(signed_in: Client, world: World) -> None:
    run = ended(world)
    assert (
        f'href="/runs/{run.pk}/report.md"' in signed_in.get(run.get_absolute_url()).content.decode()
    )


def test_every_state_has_a_report_and_none_holds_a_secret(signed_in: Client, world: World) -> None:
    world.everything()
    for each in Run.objects.all():
        text = signed_in.get(f"/runs/{each.pk}/report.md").content.decode()
        assert text.startswith("# ")
        for secret in (PASSWORD, BEFORE):
            assert secret not in text
        for line in text.splitlines():
            assert "requirepass" not in line or line.endswith("requirepass ••••")


def test_a_report_of_a_run_that_is_not_there_is_not_found(signed_in: Client) -> None:
    assert signed_in.get("/runs/9/report.md").status_code == 404


def test_eve_gets_no_report(world: World, eve: Client) -> None:
    run = ended(world)
    assert eve.get(f"/runs/{run.pk}/report.md").status_code == 302
