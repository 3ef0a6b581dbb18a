"""Steps that all nodes take at one moment: nobody before the last has come, and back alike."""

import threading

import pytest

from addons.engine.runner import Outcome
from addons.engine.step import State
from tests.engine.doubles import KEYS, Killed, ListJournal, Session, SetValue, ValueWork, World
from tests.engine.test_runner import NEW, OLD, all_are, runner, world

STEP = "runtime"
BEFORE, AFTER = ("certificate", "firewall"), ("configuration",)
NODES = 40
"""More than are spoken to at once otherwise."""


def works(of: World, *, rank: int = 0) -> list[ValueWork]:
    return [ValueWork(of, node, together={STEP}, rank=rank) for node in sorted(of.values)]


def run(of: World, journal: ListJournal, *, takeover: bool = False) -> Outcome:
    return runner(journal, takeover=takeover).forward(works(of))


def resume(of: World, journal: ListJournal) -> Outcome:
    """Do what the next worker does after the first one died."""
    again = runner(journal, takeover=True)
    return again.back(works(of)) if journal.back else again.forward(works(of))


def order(journal: ListJournal, kind: str, step: str) -> list[int]:
    return [at for at, row in enumerate(journal.rows) if (row[0], row[2]) == (kind, step)]


def crossed(of: World) -> set[int]:
    return {node for node, values in of.values.items() if values[STEP] == "new"}


def test_nobody_takes_the_step_before_the_state_of_each_is_committed() -> None:
    here, journal = world(5), ListJournal()
    assert run(here, journal) is Outcome.SUCCEEDED
    assert all_are(here, NEW)
    assert max(order(journal, "applied", "firewall")) < min(order(journal, "before", STEP))
    assert max(order(journal, "before", STEP)) < min(order(journal, "applied", STEP))
    assert max(order(journal, "applied", STEP)) < min(order(journal, "before", "configuration"))


@pytest.mark.parametrize("goal", ["apply", "undo"])
def test_all_of_them_are_in_the_step_at_the_same_time(
    goal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A barrier lets nobody through who is alone: without company this would break it."""
    here, journal, gate = world(NODES), ListJournal(), threading.Barrier(NODES)
    act = getattr(SetValue, goal)

    def with_all(step: SetValue, node: Session, state: State) -> str:
        if step.together:
            gate.wait(20)
        said: str = act(step, node, state)
        return said

    monkeypatch.setattr(SetValue, goal, with_all)
    if goal == "undo":
        here.fail.add((NODES, "probe", "forward"))
    assert run(here, journal) is (Outcome.PUT_BACK if goal == "undo" else Outcome.SUCCEEDED)
    assert all_are(here, OLD if goal == "undo" else NEW)


def test_what_comes_before_still_has_its_canary() -> None:
    here, journal = world(5), ListJournal()
    here.fail.add((1, "firewall", "after apply"))
    assert run(here, journal) is Outcome.PUT_BACK
    assert {node for node, _ in here.applied} == {1}


@pytest.mark.parametrize("step", BEFORE)
def test_where_one_fails_before_nobody_goes_over(step: str) -> None:
    here, journal = world(), ListJournal()
    here.fail.add((3, step, "after apply"))
    assert run(here, journal) is Outcome.PUT_BACK
    assert not order(journal, "before", STEP)
    assert all_are(here, OLD)


@pytest.mark.parametrize("moment", ["before apply", "after apply"])
@pytest.mark.parametrize("node", [1, 3])
def test_where_one_fails_at_it_all_go_back_together(node: int, moment: str) -> None:
    here, journal = world(), ListJournal()
    here.fail.add((node, STEP, moment))
    assert run(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)
    assert journal.first_failure == (node, STEP)
    assert not order(journal, "before", "configuration")
    assert len(order(journal, "undone", STEP)) == 3
    assert max(order(journal, "undone", STEP)) < min(order(journal, "undone", "firewall"))


@pytest.mark.parametrize("place", [(3, "configuration", "after apply"), (2, "probe", "forward")])
def test_where_one_fails_after_it_all_go_back_together(place: tuple[int, str, str]) -> None:
    here, journal = world(), ListJournal()
    here.fail.add(place)
    assert run(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)
    assert max(order(journal, "undone", "configuration")) < min(order(journal, "undone", STEP))
    assert max(order(journal, "undone", STEP)) < min(order(journal, "undone", "firewall"))


@pytest.mark.parametrize("kind", ["before", "applied"])
@pytest.mark.parametrize("step", KEYS)
def test_a_person_who_stops_it_finds_all_on_the_old_side(step: str, kind: str) -> None:
    here, journal = world(), ListJournal()

    def stop(event: str, node: int, at: str) -> None:
        journal.stop = journal.stop or (event, at) == (kind, step)

    journal.hook = stop
    assert run(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)


@pytest.mark.parametrize("moment", ["before apply", "after apply", "settle forward"])
@pytest.mark.parametrize("step", KEYS)
@pytest.mark.parametrize("node", [1, 3])
def test_a_killed_worker_is_followed_by_one_that_looks_at_each_and_finishes(
    node: int, step: str, moment: str
) -> None:
    here, journal = world(), ListJournal()
    here.kill = (node, step, moment)
    with pytest.raises(Killed):
        run(here, journal)
    here.kill = None
    done = {each for each, at in here.applied if at == STEP}
    here.applied.clear()
    assert resume(here, journal) is Outcome.SUCCEEDED
    assert all_are(here, NEW)
    assert not done & {each for each, at in here.applied if at == STEP}, "nobody crosses twice"


def test_a_takeover_that_finds_some_on_either_side_and_fails_leads_all_back() -> None:
    here, journal = world(), ListJournal()
    here.kill = (2, STEP, "before apply")
    with pytest.raises(Killed):
        run(here, journal)
    assert crossed(here) == {1, 3}
    here.kill = None
    here.fail.add((2, STEP, "before apply"))
    assert resume(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)


@pytest.mark.parametrize("moment", ["before undo", "after undo", "settle back"])
@pytest.mark.parametrize("step", KEYS)
def test_a_worker_killed_on_the_way_back_is_followed_by_one_that_goes_back(
    step: str, moment: str
) -> None:
    here, journal = world(), ListJournal()
    here.fail.add((2, "probe", "forward"))
    here.kill = (3, step, moment)
    with pytest.raises(Killed):
        run(here, journal)
    here.kill = None
    assert resume(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)


def test_one_whose_connection_has_died_comes_back_with_the_others() -> None:
    here, journal = world(), ListJournal()
    here.fail |= {(1, "probe", "forward"), (2, STEP, "before undo")}

    def mend(kind: str, node: int, step: str) -> None:
        if kind == "undo_failed":
            here.fail.clear()

    journal.hook = mend
    assert run(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)
    assert max(order(journal, "undone", STEP)) < min(order(journal, "undone", "firewall"))


def test_one_that_cannot_be_put_back_leaves_the_run_stuck_and_the_others_back() -> None:
    here, journal = world(), ListJournal()
    here.fail |= {(1, "probe", "forward"), (2, STEP, "before undo")}
    assert run(here, journal) is Outcome.STUCK
    assert crossed(here) == {2}


def test_each_rank_goes_over_for_itself() -> None:
    here, journal = world(4), ListJournal()
    ranked = [
        ValueWork(here, node, together={STEP}, rank=rank)
        for node, rank in enumerate((1, 0, 1, 0), start=1)
    ]
    assert runner(journal).forward(ranked) is Outcome.SUCCEEDED
    assert [node for node, step in here.applied if step == STEP][:2] in ([2, 4], [4, 2])


@pytest.mark.parametrize("goal", ["forward", "back"])
def test_nobody_is_proven_before_all_have_settled(goal: str) -> None:
    here, journal = world(NODES), ListJournal()
    if goal == "back":
        here.fail.add((NODES, "probe", "forward"))
        journal.hook = lambda kind, node, step: here.settled.clear() if kind == "failed" else None
    assert run(here, journal) is (Outcome.PUT_BACK if goal == "back" else Outcome.SUCCEEDED)
    proofs = [at for at, (_, what) in enumerate(here.settled) if what == "probe"]
    settled = [at for at, (_, what) in enumerate(here.settled) if what != "probe"]
    assert (len(proofs), len(settled)) == (NODES, NODES * len(KEYS))
    assert max(settled) < min(proofs)
