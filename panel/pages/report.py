"""A run as a text to keep: what was planned, done and verified, by whom, when. Markdown.

It is made of what the run's page shows, so it holds no more than that: values of secrets were
masked before they were stored.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from addons.models import RunNode, StepRecord
from addons.selectors import run_events
from instances.models import AuditEvent
from panel.pages.names import addon_of
from panel.pages.preview import NodePreview
from panel.pages.run import RunPage
from panel.pages.state import run_node_shown

_Kind = StepRecord.Kind
_BACK = frozenset({_Kind.UNDONE, _Kind.UNDO_FAILED})


def report(page: RunPage) -> str:
    """Return the report of a run, whatever state it is in."""
    parts = [
        *_head(page),
        *_failure(page),
        *_settings(page),
        *_people(run_events(page.run)),
        *(line for row, look in _by_node(page) for line in _node(page, row, look)),
    ]
    return "\n".join(parts) + "\n"


def _head(page: RunPage) -> Iterator[str]:
    run = page.run
    yield f"# {page.action.title}: run {run.pk}"
    yield ""
    yield f"- Where: {run.installation.group}, {_nodes(len(page.nodes))}"
    yield f"- State: {run.get_state_display()}"
    yield f"- Asked for by: {run.actor_name}, {_at(run.created_at)}"
    if run.cause:
        yield f"- Why: {run.cause}"
    if run.started_at:
        yield f"- Began: {_at(run.started_at)}"
    if run.ended_at:
        yield f"- Ended: {_at(run.ended_at)}"
    if run.started_at and run.ended_at:
        yield f"- Took: {(run.ended_at - run.started_at).total_seconds():.2f} s"
    if page.attempts > 1:
        yield f"- Attempts: {page.attempts}"
    if run.bundle:
        yield f"- Asked for together with other groups: {run.bundle}"


def _failure(page: RunPage) -> Iterator[str]:
    failure = page.run.failure
    if not failure:
        return
    yield from ("", "## First error", "", f"{page.shown.why} ({failure['reason']})")
    if failure.get("next_step"):
        yield from ("", f"Next step: {failure['next_step']}")


def _settings(page: RunPage) -> Iterator[str]:
    addon = addon_of(page.run)
    if addon is None:
        return
    yield from ("", "## Settings", "")
    yield from (f"- {label}: {value}" for label, value in addon.settings_shown(page.run.spec))


def _people(events: Iterable[AuditEvent]) -> Iterator[str]:
    yield from ("", "## Who did what", "")
    for event in events:
        note = f": {event.detail['note']}" if event.detail.get("note") else ""
        yield f"- {_at(event.at)} {event.actor_name} ({event.source}) {event.verb}{note}"


def _by_node(page: RunPage) -> Iterable[tuple[RunNode, NodePreview]]:
    return zip(page.nodes, page.previews, strict=True)


def _node(page: RunPage, row: RunNode, look: NodePreview) -> Iterator[str]:
    said = [each.record for each in page.story if each.record.node_id == row.node_id]
    yield from ("", f"## {look.name}: {run_node_shown(row, page.run).word}")
    yield from _planned(look)
    yield from _listed("Done", [r for r in said if r.kind not in {*_BACK, _Kind.VERIFIED}])
    yield from _listed("Put back", [r for r in said if r.kind in _BACK])
    yield from _listed("Verified", [r for r in said if r.kind == _Kind.VERIFIED])


def _planned(look: NodePreview) -> Iterator[str]:
    yield from ("", "### Planned")
    if not look.changes:
        yield from ("", "Nothing: it is as wanted already, or was never looked at.")
    for warning in look.warnings:
        yield from ("", f"Warning: {warning['message']} {warning['next_step']}".rstrip())
    for change in look.changes:
        yield from ("", f"{change.title}: {change.says}")
        if change.lines:
            yield ""
            # Indented text is taken as it is, whatever marks it holds.
            yield from (f"    {line.text}" for line in change.lines)


def _listed(title: str, records: Iterable[StepRecord]) -> Iterator[str]:
    lines = [f"- {_at(each.at)} {_kind(each)}{each.says}" for each in records]
    if lines:
        yield from ("", f"### {title}", "", *lines)


def _kind(record: StepRecord) -> str:
    return "FAILED: " if record.kind in {_Kind.FAILED, _Kind.UNDO_FAILED} else ""


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _at(moment: datetime) -> str:
    # To the hundredth and in UTC: a report is read beside the nodes' own logs.
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 10000:02d} UTC"
