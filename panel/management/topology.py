"""What ``manage.py node topology`` says: who follows whom in a group."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape

from panel.management.terminal import table
from panel.pages.ages import age
from panel.pages.state import BAD
from panel.pages.topology import MemberShown, TopologyPage


def all_well(page: TopologyPage) -> bool:
    """Say whether nothing is down and nobody contradicts anybody."""
    return page.shown.kind != BAD and not page.disagreements


def topology_json(page: TopologyPage) -> dict[str, Any]:
    """Return it for programs; times in ISO 8601, what is behind in bytes, idle in seconds."""
    top = page.topology
    return {
        "kind": top.kind,
        "state": page.shown.word,
        "members": [_member(each) for each in page.by_key.values()],
        "watched": [
            {"name": each.name, "primary": each.primary, "quorum": each.quorum}
            | {"sentinels": each.sentinels, "failover_possible": shown.state.kind != BAD}
            for each, shown in ((shown.guard, shown) for shown in page.guards)
        ],
        "bus": asdict(top.bus) if top.bus else None,
        "not_managed": [
            {"address": each.place.address, "port": each.place.port or None, "as": each.met_as}
            for each in top.strangers
        ],
        "disagreements": [asdict(each) for each in page.disagreements],
        "not_seen": list(top.blind),
        "latest": _moment(top.latest),
        "oldest": _moment(top.oldest),
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _member(each: MemberShown) -> dict[str, Any]:
    member, link, home = each.member, each.member.link, each.home
    told = {
        "key": member.key,
        "name": member.name,
        "managed": each.managed,
        "elsewhere": {"environment": home.environment, "group": home.group} if home else None,
        "address": member.place,
        "role": member.role or None,
        "state": each.state.word,
        "seen_at": _moment(member.seen_at),
        "slots": member.slots,
        "bus_port": member.bus or None,
        "link": None,
        "watches": [
            {"name": x.name, "encryption": x.encrypted.wire, "why": x.encrypted.why}
            for x in member.watching
        ],
    }
    if link is not None:
        told["link"] = {
            "primary": link.primary,
            "up": link.up,
            "syncing": link.syncing,
            "encryption": link.encrypted.wire,
            "why": link.encrypted.why,
            "behind": link.behind,
            "idle": link.idle,
        }
    return told


def print_topology(console: Console, page: TopologyPage, now: datetime) -> None:
    """Print a line for each server, and what is not as it should be."""
    for each in page.disagreements:
        console.print(f"Disagreement: {escape(each.message)} {escape(each.next_step)}")
    console.print(f"{page.title}: {escape(page.says)} {page.shown.word}.")
    if page.bus:
        console.print(f"The cluster's bus: {page.bus.word}. {page.bus.why}")
    for a, b in page.cut:
        console.print(f"{escape(a)} does not reach {escape(b)} on the bus.")
    for guard in page.guards:
        console.print(f"{escape(guard.guard.name)}: {guard.state.word}. {guard.says}")
    if page.by_key:
        columns = ("SERVER", "ADDRESS", "ROLE", "FOLLOWS", "LINK", "ENCRYPTED", "SLOTS", "STATE")
        console.print(table(*columns, rows=[_row(each) for each in page.by_key.values()]))
    for home in page.homes:
        console.print(
            f"Servers of {escape(home.environment)} / {escape(home.group)} are among them."
        )
    if page.strangers:
        noun = "server is" if page.strangers == 1 else "servers are"
        console.print(f"{page.strangers} {noun} seen that nobody manages here.")
    if page.topology.oldest:
        console.print(f"The oldest account is from {age(now - page.topology.oldest)}.")


def _row(each: MemberShown) -> tuple[str, ...]:
    link = each.link
    return (
        escape(each.member.name),
        each.member.place,
        each.role,
        escape(link.to) if link else "-",
        ", ".join(filter(None, (link.state.word.lower(), link.lag))) if link else "-",
        link.wire.word if link else ", ".join(x.wire.word for x in each.watches) or "-",
        each.slots or "-",
        each.state.word,
    )
