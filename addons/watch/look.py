"""One look at one node: what is there other than wanted, and what clients see. No ORM in here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from addons.catalogue import Planner
from addons.engine.conditions import AS_WANTED, REACHED
from addons.engine.drift import drift_of, places
from addons.engine.step import Plan, State
from addons.pki.leaf import Issued
from addons.runs.briefs import facts_read
from addons.runs.explain import explain
from addons.session import NodeBrief, NodeSession
from instances.errors import DomainError
from instances.nodeconf.command import Command
from instances.nodeconf.facts import NodeFacts
from instances.reason import Reason
from instances.remote.errors import RemoteError
from instances.remote.ssh import SshHost
from instances.runtime import RuntimeFacts


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition, as this look found it."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one look came to.

    Args:
        verdicts: The conditions that were looked at, in their order.
        fault: Why the node could not be looked at; None where it could.
        facts: The node's facts; None where they could not be read.
        runtime: What the running server says of itself; None where it does not answer.
        drift: What is not as wanted; None where that was not compared.
        observed: What clients see, nothing where the server does not answer; None where nobody
            could look.
        sample: What the add-on remembers besides; None where there is nothing.
    """

    verdicts: Sequence[Verdict]
    fault: Reason | None = None
    facts: NodeFacts | None = None
    runtime: RuntimeFacts | None = None
    drift: Sequence[Mapping[str, Any]] | None = None
    observed: State | None = None
    sample: object = None


def look(brief: NodeBrief, planner: Planner) -> Look:
    """Look at a node, without a lock and without a change. Never raises.

    Args:
        brief: The node.
        planner: Of the add-on, for an install with the settings in force.
    """
    try:
        host = _reach(brief)
    except Exception as error:  # noqa: BLE001 -- whatever stops a look becomes its reason
        return _unreached(explain(error))
    try:
        found = _look(brief, planner, host)
        # What broke with the connection tells nothing of the node.
        if any(each.status != "true" for each in found.verdicts):
            host.run(Command(("true",)))
    except Exception as error:  # noqa: BLE001 -- the same
        return _unreached(explain(error))
    finally:
        host.close()
    return found


def _reach(brief: NodeBrief) -> SshHost:
    if isinstance(brief.target, DomainError):
        raise brief.target
    return SshHost.open(brief.target)


def _unreached(reason: Reason) -> Look:
    return Look((Verdict(REACHED, "unknown", reason.code, reason.message),), fault=reason)


def _look(brief: NodeBrief, planner: Planner, host: SshHost) -> Look:
    session = NodeSession(
        brief=brief,
        host=host,
        run=0,
        attempt=0,
        facts=facts_read(host, brief),
        now=partial(datetime.now, UTC),
        issued=_issues_nothing,
    )
    try:
        session.read_runtime()
    except RemoteError as error:
        silent = Verdict(REACHED, "false", error.reason, str(error))
        return Look((silent,), fault=explain(error), facts=session.facts, observed={})
    plan = planner.plan(session)
    compared, drift = _compare(plan, session)
    observed = dict(plan.observe(session))
    condition, sample = observed.pop("condition", None), observed.pop("sample", None)
    session.forget_server()
    return Look(
        (
            Verdict(REACHED, "true", "Answered", "The node was looked at."),
            compared,
            *([Verdict(**condition)] if condition else []),
        ),
        facts=session.facts,
        runtime=session.runtime,
        drift=drift,
        observed=observed,
        sample=sample,
    )


def _compare(
    plan: Plan[NodeSession], session: NodeSession
) -> tuple[Verdict, list[dict[str, Any]] | None]:
    """Inspect the plan that an install would have now: what it would change is drift."""
    try:
        drift = drift_of(plan, {step.key: step.inspect(session) for step in plan.steps})
    except Exception as error:  # noqa: BLE001 -- whatever stops a comparison becomes its reason
        reason = explain(error)
        return Verdict(AS_WANTED, "unknown", reason.code, reason.message), None
    if drift:
        return Verdict(AS_WANTED, "false", "Drift", f"{session.name}: {places(drift)}"), drift
    return Verdict(AS_WANTED, "true", "InStep", "Everything is as wanted."), drift


def _issues_nothing(_issued: Sequence[Issued]) -> None:
    raise AssertionError("a look issues no certificate")
