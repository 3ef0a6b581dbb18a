"""What happened elsewhere, as notices on whatever page a person is on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.urls import reverse

from addons.models import Run
from panel.pages.names import action_title
from panel.pages.state import Shown, run_shown

MOST = 3
_SAYS = {
    Run.State.PREVIEWED: "Its preview waits for your confirmation.",
    Run.State.SUCCEEDED: "It ended as wanted, and was verified.",
    Run.State.PUT_BACK: "It failed and was put back.",
    Run.State.REFUSED: "It was refused, nothing was changed.",
    Run.State.STUCK: "It could not put everything back.",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """A run that came to something."""

    run: Run
    title: str
    says: str
    shown: Shown


@dataclass(frozen=True, slots=True)
class Notices:
    """The latest, the last of them at the end, and how many more there are."""

    shown: Sequence[Notice]
    more: int


def notices(runs: Iterable[Run], *, address: str) -> Notices:
    """Return the notices of runs, but for those that the person is looking at.

    Args:
        runs: From `addons.runs.news.run_news`.
        address: The path of the page that the person is on.
    """
    news = [run for run in runs if address not in _pages(run)]
    return Notices([_notice(run) for run in reversed(news[:MOST])], len(news[MOST:]))


def _pages(run: Run) -> list[str]:
    together = [reverse("bundle", args=[run.bundle])] if run.bundle else []
    return [run.get_absolute_url(), *together]


def _notice(run: Run) -> Notice:
    return Notice(run, action_title(run), _SAYS[Run.State(run.state)], run_shown(run))
