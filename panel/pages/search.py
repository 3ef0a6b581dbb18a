"""What a person finds by typing: environments, groups, nodes, certificates, runs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from django.urls import reverse
from django.utils import timezone

from addons.clients.selectors import client_certificates, client_written
from addons.models import Certificate, Run
from addons.selectors import certificates_holding, runs_listed
from instances.models import Environment, NodeGroup
from instances.selectors import environments_holding, groups_holding, nodes_holding
from panel.pages.clients import client_lines
from panel.pages.names import action_title
from panel.pages.state import run_shown

LONGEST = 100
"""Characters of a question that are read."""
_RUN = re.compile(r"(?:run\s*)?#?(\d{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found.

    Args:
        number: Its place among all that was found: what the keyboard moves by.
    """

    number: int
    title: str
    detail: str
    url: str


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one kind.

    Args:
        more: Whether there is more than is shown.
    """

    kind: str
    icon: str
    hits: Sequence[Hit]
    more: bool


def search(text: str, *, most: int) -> list[Found]:
    """Return what holds every word of a text, by kind; kinds without a hit are left out.

    Args:
        text: What was typed.
        most: How many of a kind are shown.
    """
    text = text[:LONGEST].strip()
    if not text:
        return []
    numbers = count()
    kinds = [
        ("Environments", "server-2", _environments(text, most)),
        ("Node groups", "stack-2", _groups(text, most)),
        ("Nodes", "database", _nodes(text, most)),
        ("Certificates of nodes", "certificate", _certificates(text, most)),
        ("Certificates of clients", "certificate", _client_certificates(text, most)),
        ("Runs", "player-play", _runs(text)),
    ]
    return [
        Found(kind, icon, [Hit(next(numbers), *line) for line in lines[:most]], len(lines) > most)
        for kind, icon, lines in kinds
        if lines
    ]


_Lines = list[tuple[str, str, str]]


def _environments(text: str, most: int) -> _Lines:
    found: Iterable[Environment] = environments_holding(text)[: most + 1]
    return [(each.name, each.region, each.get_absolute_url()) for each in found]


def _groups(text: str, most: int) -> _Lines:
    found: Iterable[NodeGroup] = groups_holding(text)[: most + 1]
    return [(each.name, each.environment.name, each.get_absolute_url()) for each in found]


def _nodes(text: str, most: int) -> _Lines:
    found = nodes_holding(text, most + 1)
    return [
        (each.name, f"{each.machine} · {each.group}", reverse("node", args=[each.pk]))
        for each in found
    ]


def _certificates(text: str, most: int) -> _Lines:
    found: Iterable[Certificate] = certificates_holding(text)[: most + 1]
    return [
        (
            each.subject,
            f"{each.get_state_display().lower()} · serial {each.serial}",
            f"{reverse('node', args=[each.node_id])}#certificates",
        )
        for each in found
    ]


def _client_certificates(text: str, most: int) -> _Lines:
    found = client_written(client_certificates(), text).order_by("holder", "-pk")[: most + 1]
    return [
        (
            line.certificate.holder,
            f"{line.shown.word.lower()} · serial {line.certificate.serial}",
            line.address,
        )
        for line in client_lines(found, timezone.now())
    ]


def _runs(text: str) -> _Lines:
    number = _RUN.fullmatch(text)
    found: Iterable[Run] = runs_listed().filter(pk=int(number[1])) if number else []
    return [
        (
            f"Run {run.pk}",
            f"{action_title(run)} on {run.installation.group} · {run_shown(run).word.lower()}",
            run.get_absolute_url(),
        )
        for run in found
    ]
