"""When a node is renewed, and why it is not."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from addons.renewal.plan import Failures, Renewal, Standing, Way, renewal_of, slack, wait
from instances.windows import Window

DUE = datetime(2027, 7, 24, 12, tzinfo=UTC)  # A Saturday.
ENDS = DUE + timedelta(days=121)
STANDING = Standing(DUE, ENDS)
SUNDAY = Window(frozenset({6}), time(2), timedelta(hours=4), ZoneInfo("UTC"))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def renewal(now: datetime, **more: object) -> Renewal:
    return renewal_of(replace(STANDING, **more), now)  # type: ignore[arg-type]


def failed(count: int, at: datetime = DUE) -> Failures:
    return Failures(count, at, "cache-1: no route")


def test_it_begins_once_a_third_of_the_life_is_left() -> None:
    assert renewal(DUE - 100 * DAY) == Renewal(Way.PLANNED, DUE)
    assert not renewal(DUE - HOUR).starts(DUE - HOUR)
    assert renewal(DUE).starts(DUE)
    assert renewal(DUE + DAY) == Renewal(Way.PLANNED, DUE + DAY)


def test_it_waits_for_the_window() -> None:
    opens = datetime(2027, 7, 25, 2, tzinfo=UTC)
    assert renewal(DUE, windows=[SUNDAY]) == Renewal(Way.PLANNED, opens, SUNDAY)
    assert not renewal(DUE, windows=[SUNDAY]).starts(DUE)
    assert renewal(opens + HOUR, windows=[SUNDAY]).starts(opens + HOUR)


def test_what_would_end_before_the_window_opens_is_renewed_outside_with_three_days_left() -> None:
    ends = DUE + 4 * DAY
    monday = replace(SUNDAY, weekdays=frozenset({4}), start=time(13))  # The Friday after.
    found = renewal(DUE, ends=ends, windows=[monday])
    assert found == Renewal(Way.PLANNED, ends - 3 * DAY, outside=True)
    assert not found.starts(DUE)
    late = ends - 2 * DAY
    assert renewal(late, ends=ends, windows=[monday]).starts(late)
    assert renewal(ends + DAY, ends=ends, windows=[SUNDAY]).starts(ends + DAY)


@pytest.mark.parametrize(
    ("count", "hours"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 24), (500, 24)]
)
def test_each_failure_doubles_the_wait_up_to_a_day(count: int, hours: int) -> None:
    found = renewal(DUE, failures=failed(count))
    assert found == Renewal(Way.FAILED, DUE + hours * HOUR, why="cache-1: no route")


def test_a_wait_takes_a_quarter_of_what_is_left_at_most() -> None:
    assert wait(failed(6, ENDS - 8 * HOUR), ENDS) == 2 * HOUR
    assert wait(failed(6, ENDS + DAY), ENDS) == timedelta(minutes=15)


def test_another_try_waits_for_the_window_too() -> None:
    opens = datetime(2027, 7, 25, 2, tzinfo=UTC)
    found = renewal(opens, windows=[SUNDAY], failures=failed(3, opens))
    assert found.at == opens + 7 * DAY


def test_it_is_not_begun_twice() -> None:
    assert renewal(DUE, run=7) == Renewal(Way.UNDER_WAY, run=7)
    assert renewal(DUE, run=7, stuck=True) == Renewal(Way.STUCK, run=7)
    assert renewal(DUE - DAY, run=7).way is Way.PLANNED


def test_a_preview_holds_it_back_but_not_until_the_end() -> None:
    assert renewal(DUE, run=7, previewed=True) == Renewal(Way.HELD, run=7)
    late = ENDS - 3 * DAY
    assert renewal(late, run=7, previewed=True).starts(late)


def test_what_is_switched_off_or_gains_nothing_or_does_not_answer_is_not_renewed() -> None:
    assert renewal(DUE, on=False) == Renewal(Way.OFF)
    assert renewal(DUE, gains=False) == Renewal(Way.LAST)
    assert renewal(DUE, reached=False) == Renewal(Way.UNREACHED)
    assert renewal(DUE - DAY, reached=False) == Renewal(Way.PLANNED, DUE)


def test_who_is_due_a_little_later_may_go_along() -> None:
    assert slack(DUE, ENDS) == DAY
    assert slack(DUE, DUE + 8 * HOUR) == timedelta(minutes=48)
