"""What an add-on is, and the list of them: one folder and one line each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from addons.engine.step import State
from addons.forms import SettingsForm
from instances.errors import NotFound
from instances.reason import Reason

if TYPE_CHECKING:
    from addons.engine.step import Plan
    from addons.models import Run
    from addons.session import NodeSession
    from instances.models import Node

ADDONS: Mapping[str, str] = {
    "encryption": "addons.encryption.addon",
}
"""Slug to the module that holds ``ADDON``."""


class Planner(Protocol):
    """Turns a node into a plan. Made once a run, used by many threads: it holds no ORM objects.

    ``authority_id`` is the authority that issues what the plan's steps issue.
    """

    @property
    def authority_id(self) -> int:
        """The authority's primary key."""

    def plan(self, session: "NodeSession") -> "Plan[NodeSession]":
        """Return the plan for this node."""


class AddOn(Protocol):
    """An add-on: how it is presented, what it can be asked for, and how that is planned.

    ``summary`` says what it does, and ``needs`` what it takes, each a sentence for people.
    """

    slug: str
    title: str
    summary: str
    needs: Sequence[str]
    icon: str
    actions: Mapping[str, "Action"]
    form: type[SettingsForm]

    def parse(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Return the spec to store, defaults filled in.

        Args:
            settings: Key to text, as typed on a form or behind ``--set``.

        Raises:
            Invalid: With the key as the field.
        """

    def planner(self, run: "Run") -> Planner:
        """Read everything a run's plans need from the database, in the thread that may."""

    def merge_baselines(self, step: str, earlier: Mapping[str, State], later: State) -> State:
        """Fold what a step of a later run would put back into what was there at first.

        Args:
            earlier: What was folded of the runs before, by step.
        """

    def remember(self, *, node: "Node", sample: object, now: datetime) -> None:
        """Remember what a look sampled beside the node's state, in the look's own transaction.

        Args:
            node: The one that was looked at.
            sample: As the plan's `observe` returned it under that name.
            now: The present time.
        """

    def acceptable(self, drift: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Return the settings by which what was found on a node would be the wanted.

        Args:
            drift: {step, place, lines} of what was found otherwise.
        """

    def renews(self, spec: Mapping[str, Any]) -> bool:
        """Say whether certificates of nodes are renewed by themselves, by a re-issue."""

    def settings_shown(self, spec: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return label and value of each setting, for pages and terminals."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something an add-on does.

    Args:
        slug: As stored in a run.
        title: The run's heading, such as "Install encryption".
        doing: What a page says while it runs.
        verb: What a person asks for by confirming it, as in "Install on 3 nodes".
        at: The word between the verb and the nodes.
        destroys: Whether a person confirms it with care.
        configures: Whether its run's settings are in force afterwards, and whether an uninstall
            has to put back what it changed.
        partial: Whether it may be asked for on some of a group's nodes alone.
    """

    slug: str
    title: str
    doing: str
    verb: str
    at: str = "on"
    destroys: bool = False
    configures: bool = False
    partial: bool = False


@cache
def addon_named(slug: str) -> AddOn:
    """Return the add-on.

    Raises:
        NotFound: There is none of that name.
    """
    if slug not in ADDONS:
        raise NotFound(
            Reason("NoAddOn", f"There is no add-on “{slug}”.", f"There are: {', '.join(ADDONS)}.")
        )
    addon: AddOn = import_module(ADDONS[slug]).ADDON
    return addon


def all_addons() -> list[AddOn]:
    """Return every add-on, in the order of the list."""
    return [addon_named(slug) for slug in ADDONS]
