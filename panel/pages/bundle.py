"""The runs of one click as one page: their previews together, then their progress."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from addons.catalogue import Action
from addons.models import Run
from panel.pages.preview import interruption
from panel.pages.run import RunPage, Sentence, run_pages
from panel.pages.state import BAD, OK, RUN, UNKNOWN, WAIT, Shown

STORY = 300
"""How many of the latest sentences are shown; each run's own page has all of its."""


@dataclass(frozen=True, slots=True)
class BundleLine:
    """A sentence, and the group that it is about."""

    group: str
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class BundlePage:
    """Several runs.

    Args:
        looking: Those whose preview is being made.
        ready: Those whose preview waits for a confirmation.
        begun: Those that were confirmed.
        left_out: Those that were refused or discarded before that.
        version: Changes when anything on the page does.
    """

    bundle: UUID
    action: Action
    runs: Sequence[RunPage]
    looking: Sequence[RunPage]
    ready: Sequence[RunPage]
    begun: Sequence[RunPage]
    left_out: Sequence[RunPage]
    version: str

    @property
    def polls(self) -> bool:
        """Whether the page asks again by itself."""
        return any(each.polls for each in self.runs)

    @property
    def confirmable(self) -> bool:
        """Whether all that can be seen has been seen, and something can be started."""
        return bool(self.ready) and not self.looking

    @property
    def stoppable(self) -> bool:
        """Whether there is something left to stop."""
        waiting = {Run.State.QUEUED, Run.State.RUNNING}
        return any(each.run.state in waiting and not each.run.stop_requested for each in self.begun)

    @property
    def failed(self) -> Sequence[RunPage]:
        """The runs that another attempt could be made for."""
        return [each for each in self.runs if each.run.state in Run.REPEATABLE]

    @property
    def interruption(self) -> Shown:
        """What clients will notice, over all groups that can be started."""
        return interruption([look for each in self.ready for look in each.previews])

    @property
    def node_count(self) -> int:
        """How many nodes all the groups have."""
        return sum(len(each.nodes) for each in self.runs)

    @property
    def nodes_begun(self) -> int:
        """How many nodes the groups have that were confirmed."""
        return sum(len(each.nodes) for each in self.begun)

    @property
    def nodes_done(self) -> int:
        """How many of those are through."""
        return sum(each.board.nodes_done for each in self.begun)

    @property
    def groups_done(self) -> int:
        """How many groups are done."""
        return sum(each.run.state == Run.State.SUCCEEDED for each in self.begun)

    @property
    def percent(self) -> int:
        """How far all of it is, in hundredths, by nodes."""
        parts = [each.board.percent * len(each.nodes) for each in self.begun]
        return sum(parts) // self.nodes_begun if self.nodes_begun else 0

    @property
    def shown(self) -> Shown:
        """The state of the whole."""
        return _while_running(self) if self.begun else self.before

    @property
    def before(self) -> Shown:
        """How far the previews are."""
        return _before(self)

    @property
    def story(self) -> Sequence[BundleLine]:
        """The latest sentences of all runs, in the order of their times."""
        lines = [
            BundleLine(each.run.installation.group.name, sentence)
            for each in self.begun
            for sentence in each.story
        ]
        lines.sort(key=lambda line: (line.sentence.record.at, line.sentence.record.pk))
        return lines[-STORY:]


def bundle_page(bundle: UUID, runs: Sequence[Run]) -> BundlePage:
    """Read what the page needs; a constant number of queries.

    Args:
        runs: All of the bundle, from `addons.selectors.runs_of_bundle`; at least one.
    """
    pages = run_pages(runs)
    versions = "".join(each.version for each in pages)
    return BundlePage(
        bundle=bundle,
        action=pages[0].action,
        runs=pages,
        looking=[each for each in pages if each.run.state == Run.State.PREVIEWING],
        ready=[each for each in pages if each.run.state == Run.State.PREVIEWED],
        begun=[each for each in pages if _begun(each.run)],
        left_out=[each for each in pages if each.run.ended and not _begun(each.run)],
        version=hashlib.sha256(versions.encode()).hexdigest()[:16],
    )


def _begun(run: Run) -> bool:
    return run.state == Run.State.QUEUED or run.started_at is not None


def _while_running(page: BundlePage) -> Shown:
    if any(not each.run.ended for each in page.begun):
        stopping = any(each.run.stop_requested for each in page.begun)
        return Shown(RUN, "Stopping" if stopping else page.action.doing)
    if page.groups_done == len(page.begun):
        return Shown(WAIT, "Done, some left out") if page.left_out else Shown(OK, "Done")
    count = len(page.begun)
    return Shown(BAD, f"Done on {page.groups_done} of {count} group{'' if count == 1 else 's'}")


def _before(page: BundlePage) -> Shown:
    if page.looking:
        return Shown(RUN, f"{len(page.runs) - len(page.looking)} of {len(page.runs)} looked at")
    if page.ready:
        return Shown(WAIT, "Waiting for confirmation")
    discarded = all(each.run.state == Run.State.DISCARDED for each in page.left_out)
    return Shown(UNKNOWN, "Discarded") if discarded else Shown(BAD, "Refused, nothing was changed")
