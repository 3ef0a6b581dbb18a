"""The runner: order, refusal, put-back, takeover, stop. No node, no database."""

from collections.abc import Mapping, Sequence

import pytest

from addons.engine.conditions import Condition, merge
from addons.engine.rollout import Rollout
from addons.engine.runner import Outcome, Runner
from addons.engine.step import StepFailed, preview
from instances.reason import Reason
from tests.engine.doubles import KEYS, Killed, ListJournal, Session, ValueWork, World

OLD = dict.fromkeys(KEYS, "old")
NEW = dict.fromkeys(KEYS, "new")


def explain(error: Exception) -> Reason:
    assert isinstance(error, StepFailed), repr(error)
    return error.reason


def runner(journal: ListJournal, *, takeover: bool = False) -> Runner[Session]:
    return Runner(journal, explain, takeover=takeover)


def world(nodes: int = 3) -> World:
    return World({node: dict(OLD) for node in range(1, nodes + 1)})


def works(of: World) -> list[ValueWork]:
    return [ValueWork(of, node) for node in sorted(of.values)]


def run(of: World, journal: ListJournal, *, takeover: bool = False) -> Outcome:
    return runner(journal, takeover=takeover).forward(works(of))


def resume(of: World, journal: ListJournal) -> Outcome:
    """Do what the next worker does after the first one died."""
    again = runner(journal, takeover=True)
    return again.back(works(of)) if journal.back else again.forward(works(of))


def all_are(of: World, wanted: dict[str, str]) -> bool:
    return all(values == wanted for values in of.values.values())


def test_a_run_changes_every_node_and_verifies_it() -> None:
    here, journal = world(), ListJournal()
    assert run(here, journal) is Outcome.SUCCEEDED
    assert all_are(here, NEW)
    assert set(journal.outcomes.values()) == {"done"}


def test_a_preview_changes_nothing() -> None:
    here, journal = world(), ListJournal()
    assert runner(journal).look(works(here)) is Outcome.SUCCEEDED
    assert all_are(here, OLD)
    assert not journal.states


def test_a_second_run_changes_nothing_and_says_so() -> None:
    here = world()
    run(here, ListJournal())
    journal = ListJournal()
    here.applied.clear()
    assert run(here, journal) is Outcome.SUCCEEDED
    assert here.applied == []
    assert set(journal.outcomes.values()) == {"unchanged"}


def test_the_before_state_is_recorded_before_each_step_acts() -> None:
    here, journal = world(1), ListJournal()
    seen: list[tuple[str, int]] = []
    journal.hook = lambda kind, node, step: seen.append((kind, len(here.applied)))
    run(here, journal)
    befores = [count for kind, count in seen if kind == "before"]
    assert befores == [0, 1, 2, 3]


def test_the_canary_goes_alone_and_what_fails_there_spares_the_others() -> None:
    here, journal = world(5), ListJournal()
    here.fail.add((1, "runtime", "after apply"))
    assert run(here, journal) is Outcome.PUT_BACK
    assert {node for node, _ in here.applied} == {1}
    assert all_are(here, OLD)


def test_those_of_a_lower_rank_are_changed_and_proven_before_the_others() -> None:
    here, journal = world(4), ListJournal()
    ranked = [ValueWork(here, node, rank=rank) for node, rank in enumerate((1, 0, 1, 0), start=1)]
    assert runner(journal).forward(ranked) is Outcome.SUCCEEDED
    events = [(kind, node) for kind, node, *_ in journal.rows if kind in {"before", "node_done"}]
    proven = max(
        at for at, (kind, node) in enumerate(events) if kind == "node_done" and node % 2 == 0
    )
    begun = min(at for at, (kind, node) in enumerate(events) if kind == "before" and node % 2)
    assert proven < begun


def holding(of: World) -> list[ValueWork]:
    """Two nodes, and then one that holds something while they have their turns."""
    return [ValueWork(of, 1), ValueWork(of, 2), ValueWork(of, 3, rank=1, holds=["failover"])]


def test_what_is_held_is_held_before_the_first_turn_and_let_go_after_the_last() -> None:
    here, journal = world(), ListJournal()
    assert runner(journal).forward(holding(here)) is Outcome.SUCCEEDED
    assert here.applied[0] == (3, "failover")
    assert journal.rows[-1][:3] == ("released", 3, "failover")
    assert here.values[3] == {**NEW, "failover": ""}


@pytest.mark.parametrize("place", [(1, "runtime"), (3, "certificate"), (3, "failover")])
def test_what_is_held_is_let_go_after_a_put_back_too(place: tuple[int, str]) -> None:
    here, journal = world(), ListJournal()
    here.fail.add((*place, "after apply"))
    assert runner(journal).forward(holding(here)) is Outcome.PUT_BACK
    assert here.values[3]["failover"] == ""
    kinds = [kind for kind, *_ in journal.rows]
    ended = [at for at, kind in enumerate(kinds) if kind == "undone"]
    assert kinds.index("released") > max(ended, default=0)


def test_what_is_held_is_let_go_where_a_put_back_fails() -> None:
    here, journal = world(), ListJournal()
    here.fail |= {(2, "runtime", "after apply"), (2, "firewall", "before undo")}
    assert runner(journal).forward(holding(here)) is Outcome.STUCK
    assert here.values[3]["failover"] == ""


@pytest.mark.parametrize("place", [(3, "failover"), (1, "runtime"), (3, "firewall")])
def test_a_takeover_lets_go_of_what_its_predecessor_held(place: tuple[int, str]) -> None:
    here, journal = world(), ListJournal()
    here.kill = (*place, "after apply")
    with pytest.raises(Killed):
        runner(journal).forward(holding(here))
    here.kill = None
    assert runner(journal, takeover=True).forward(holding(here)) is Outcome.SUCCEEDED
    assert here.values[3] == {**NEW, "failover": ""}


@pytest.mark.parametrize("step", [*KEYS, "probe"])
@pytest.mark.parametrize("node", [1, 2, 3])
def test_whatever_step_fails_every_node_is_put_back(node: int, step: str) -> None:
    here, journal = world(), ListJournal()
    moment = "forward" if step == "probe" else "after apply"
    here.fail.add((node, step, moment))
    assert run(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)
    assert journal.first_failure == (node, "verify" if step == "probe" else step)


def test_undo_goes_last_in_first_out() -> None:
    here, journal = world(1), ListJournal()
    here.fail.add((1, "probe", "forward"))
    run(here, journal)
    undone = [step for kind, step in journal.kinds(1) if kind == "undone"]
    assert undone == list(reversed(KEYS))


def test_a_failing_undo_is_recorded_the_rest_go_on_and_the_run_is_stuck() -> None:
    here, journal = world(1), ListJournal()
    here.fail |= {(1, "probe", "forward"), (1, "firewall", "before undo")}
    assert run(here, journal) is Outcome.STUCK
    assert here.values[1] == {**OLD, "firewall": "new"}
    assert journal.first_failure == (1, "verify")
    assert ("undo_failed", "firewall") in journal.kinds(1)


def test_a_stuck_run_can_be_put_back_again() -> None:
    here, journal = world(1), ListJournal()
    here.fail |= {(1, "probe", "forward"), (1, "firewall", "before undo")}
    run(here, journal)
    here.fail.clear()
    assert runner(journal, takeover=True).back(works(here)) is Outcome.PUT_BACK
    assert all_are(here, OLD)


@pytest.mark.parametrize("moment", ["connect", "inspect"])
def test_a_node_out_of_reach_refuses_the_run_before_anything_is_changed(moment: str) -> None:
    here, journal = world(), ListJournal()
    here.fail.add((3, "connect" if moment == "connect" else "firewall", moment))
    assert run(here, journal) is Outcome.REFUSED
    assert all_are(here, OLD)
    assert here.applied == []


def test_an_obstacle_on_one_node_refuses_the_run() -> None:
    here, journal = world(), ListJournal()
    all_works = works(here)
    all_works[2].obstacles = [Reason("PortTaken", "port 6380 is in use")]
    assert runner(journal).forward(all_works) is Outcome.REFUSED
    assert here.applied == []


def test_a_plan_other_than_the_confirmed_preview_refuses_the_run() -> None:
    here, journal = world(), ListJournal()
    all_works = works(here)
    change = {
        "step": "firewall",
        "says": "port 1 is opened",
        "lines": [],
        "interrupts": 0,
        "delays": 0,
    }
    all_works[0].confirmed = {"changes": [change], "warnings": []}
    assert runner(journal).forward(all_works) is Outcome.REFUSED
    assert here.applied == []
    assert journal.first_failure == (1, "preflight")
    told = next(says for kind, _, _, says in journal.rows if kind == "failed")
    assert "no longer: port 1 is opened" in told
    assert "new: firewall: old becomes new" in told


def test_the_confirmed_preview_is_carried_out() -> None:
    here, journal = world(1), ListJournal()
    plan = works(here)[0].plan(Session(here, 1))
    states = {step.key: step.inspect(Session(here, 1)) for step in plan.steps}
    confirmed = preview(plan, states).as_json()
    one = ValueWork(here, 1, confirmed=confirmed)
    assert runner(journal).forward([one]) is Outcome.SUCCEEDED


def test_a_stop_before_the_next_step_puts_back() -> None:
    here, journal = world(), ListJournal()

    def stop_after_the_first_node(kind: str, node: int, step: str) -> None:
        journal.stop = journal.stop or kind == "node_done"

    journal.hook = stop_after_the_first_node
    assert run(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)


def test_a_worker_that_lost_its_lease_touches_nothing_more() -> None:
    here, journal = world(1), ListJournal()

    def lose_after_the_first_step(kind: str, node: int, step: str) -> None:
        journal.lost = journal.lost or kind == "applied"

    journal.hook = lose_after_the_first_step
    assert run(here, journal) is Outcome.ABANDONED
    assert here.applied == [(1, "certificate")]


def moments() -> Sequence[tuple[int, str, str]]:
    places = [(key, moment) for key in KEYS for moment in ("before apply", "after apply")]
    places += [(key, "settle forward") for key in KEYS] + [("probe", "forward")]
    return [(node, key, moment) for node in (1, 3) for key, moment in places]


@pytest.mark.parametrize(("node", "step", "moment"), moments())
def test_a_worker_killed_anywhere_is_followed_by_one_that_finishes(
    node: int, step: str, moment: str
) -> None:
    here, journal = world(), ListJournal()
    here.kill = (node, step, moment)
    with pytest.raises(Killed):
        run(here, journal)
    here.kill = None
    assert resume(here, journal) is Outcome.SUCCEEDED
    assert all_are(here, NEW)


@pytest.mark.parametrize(("node", "step", "moment"), moments())
def test_a_takeover_that_fails_goes_back_to_the_state_before_the_first_attempt(
    node: int, step: str, moment: str
) -> None:
    here, journal = world(), ListJournal()
    here.kill = (node, step, moment)
    with pytest.raises(Killed):
        run(here, journal)
    here.kill = None
    here.fail.add((2, "probe", "forward"))
    assert resume(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)


@pytest.mark.parametrize("moment", ["before undo", "after undo", "settle back"])
@pytest.mark.parametrize("step", KEYS)
def test_a_worker_killed_while_putting_back_is_followed_by_one_that_puts_back(
    step: str, moment: str
) -> None:
    here, journal = world(), ListJournal()
    here.fail.add((2, "probe", "forward"))
    here.kill = (2, step, moment)
    with pytest.raises(Killed):
        run(here, journal)
    here.kill = None
    assert resume(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)


def test_a_takeover_that_cannot_reach_a_begun_node_is_stuck() -> None:
    here, journal = world(), ListJournal()
    here.kill = (1, "runtime", "after apply")
    with pytest.raises(Killed):
        run(here, journal)
    here.kill = None
    here.fail.add((1, "connect", "connect"))
    assert resume(here, journal) is Outcome.STUCK


def test_a_put_back_over_a_dead_connection_is_tried_once_more_over_a_new_one() -> None:
    here, journal = world(1), ListJournal()
    here.fail |= {(1, "probe", "forward"), (1, "firewall", "before undo")}

    def mend(kind: str, node: int, step: str) -> None:
        if kind == "undo_failed":
            here.fail.clear()

    journal.hook = mend
    assert run(here, journal) is Outcome.PUT_BACK
    assert all_are(here, OLD)


def test_a_step_that_was_begun_and_is_no_longer_planned_leaves_the_run_stuck() -> None:
    here, journal = world(1), ListJournal()
    journal.states[1] = {"gone": {"value": "old"}}
    assert runner(journal, takeover=True).back(works(here)) is Outcome.STUCK
    assert ("undo_failed", "gone") in journal.kinds(1)


def test_every_session_is_closed_however_the_run_ends() -> None:
    for fault in (set(), {(2, "probe", "forward")}, {(3, "firewall", "inspect")}):
        here = world()
        here.fail |= fault
        all_works = works(here)
        runner(ListJournal()).forward(all_works)
        assert all(work.closed for work in all_works)


def test_waves_follow_the_canary() -> None:
    assert waves(Rollout(canary=1, wave=2), "abcd") == ["a", "bc", "d"]
    assert waves(Rollout(), "") == []


def test_nodes_of_one_queue_are_never_in_one_wave_and_keep_their_order() -> None:
    queued = waves(Rollout(canary=1, wave=3), "abcdefgh", {"b": "x", "c": "x", "f": "x", "d": "y"})
    assert queued == ["a", "bde", "cgh", "f"]
    assert waves(Rollout(canary=2, wave=9), "abc", dict.fromkeys("abc", "x")) == ["a", "b", "c"]


def waves(rollout: Rollout, nodes: str, queues: Mapping[str, str] | None = None) -> list[str]:
    found = rollout.waves(list(nodes), lambda node: (queues or {}).get(node, ""))
    return ["".join(wave) for wave in found]


@pytest.mark.parametrize("fault", [set(), {(3, "probe", "forward")}])
def test_copies_of_one_another_are_changed_and_put_back_one_after_the_other(
    fault: set[tuple[int, str, str]],
) -> None:
    here, journal, at_work = world(), ListJournal(), set[int]()
    here.fail |= fault
    most = 0

    def watch(kind: str, node: int, _step: str) -> None:
        nonlocal most
        at_work.add(node) if kind in {"before", "undone"} else None
        most = max(most, len(at_work))
        at_work.discard(node) if kind in {"node_done", "failed", "verified"} else None

    journal.hook = watch
    alike = works(here)
    for work in alike:
        work.queue = "shard"
    outcome = runner(journal).forward(alike)

    assert outcome is (Outcome.PUT_BACK if fault else Outcome.SUCCEEDED)
    assert most == 1


def test_a_condition_keeps_its_since_while_its_status_stays() -> None:
    first = Condition("Encrypted", "true", "Verified", "PONG", 1, "2026-01-01T00:00:00+00:00")
    later = Condition("Encrypted", "true", "Verified", "PONG", 2, "2026-02-01T00:00:00+00:00")
    worse = Condition("Encrypted", "false", "Expired", "gone", 2, "2026-03-01T00:00:00+00:00")
    once = merge(merge([], first), later)
    assert [row["since"] for row in once] == ["2026-01-01T00:00:00+00:00"]
    assert [row["since"] for row in merge(once, worse)] == ["2026-03-01T00:00:00+00:00"]
