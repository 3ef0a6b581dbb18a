"""What ``manage.py addon clients`` says: who spoke plaintext, and how well that is known."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape

from addons.encryption.plaintext_seen import Caller, Evidence, Sampled
from panel.management.terminal import table
from panel.pages.plaintext import sampled_shown, span

MOST = 1000
"""Addresses that are told; whoever has more narrows the days."""


def evidence_json(found: Evidence) -> dict[str, Any]:
    """Return it for programs; times in ISO 8601, durations in seconds."""
    sampled = asdict(found.sampled)
    interval = found.sampled.interval
    return {
        "days": found.days,
        "sampled": sampled | {"interval": interval.total_seconds() if interval else None},
        "total": found.total,
        "clients": [_client(each) for each in found.callers],
    }


def _client(caller: Caller) -> dict[str, Any]:
    nodes = [node.name for node in caller.nodes]
    fields = ("address", "names", "users", "libraries", "kinds", "connections", "age", "sightings")
    told = {name: getattr(caller, name) for name in fields}
    return told | {
        "nodes": nodes,
        "first_seen": caller.first_seen.isoformat(),
        "last_seen": caller.last_seen.isoformat(),
    }


def print_evidence(console: Console, found: Evidence, now: datetime) -> None:
    """Print a line for each address, and what nobody could have seen."""
    if found.callers:
        columns = ("ADDRESS", "NAME", "USER", "LIBRARY", "NODES", "CONNECTED", "SAMPLES", "LAST")
        rows = [_row(each, now) for each in found.callers]
        console.print(table(*columns, rows=rows))
        noun = "client" if found.total == 1 else "clients"
        days = span(timedelta(days=found.days))
        console.print(f"{found.total} {noun} spoke plaintext in the last {days}.")
    else:
        console.print(f"{sampled_shown(found.sampled, 0, now).word}.")
    if found.total > len(found.callers):
        console.print(f"Only the latest {len(found.callers)} are shown.")
    for sentence in _known(found.sampled, now):
        console.print(sentence)


def _row(caller: Caller, now: datetime) -> tuple[str, ...]:
    told = (caller.names, caller.users, caller.libraries, [node.name for node in caller.nodes])
    return (
        caller.address,
        # What a client calls itself may look like markup.
        *(escape(", ".join(each)) or "-" for each in told),
        str(caller.connections),
        str(caller.sightings),
        "now" if caller.connections else f"{span(now - caller.last_seen)} ago",
    )


def _known(sampled: Sampled, now: datetime) -> list[str]:
    """Say how well it is known."""
    told = []
    if sampled.since and sampled.sampled_at:
        often = f", one every {span(sampled.interval)}" if sampled.interval else ""
        noun = "sample" if sampled.samples == 1 else "samples"
        told.append(
            f"{sampled.samples} {noun} of each plain port in the last "
            f"{span(now - sampled.since)}{often}; the latest {span(now - sampled.sampled_at)} ago. "
            "Who comes and goes between two of them is not seen."
        )
    if sampled.sampled < sampled.nodes:
        told.append(f"{sampled.nodes - sampled.sampled} of {sampled.nodes} nodes: no sample yet.")
    if sampled.forgotten:
        told.append(f"{sampled.forgotten} addresses more were met and not kept: there are so many.")
    return [*told, sampled.nameless] if sampled.nameless else told
