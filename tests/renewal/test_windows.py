"""Windows open by the clocks of their zone, also where those are put forward and back."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from instances.windows import Window, next_opening

BERLIN = ZoneInfo("Europe/Berlin")
SUNDAY = 6


def window(start: str = "02:00", *days: int, hours: int = 4, zone: ZoneInfo = BERLIN) -> Window:
    return Window(
        frozenset(days or (SUNDAY,)), time.fromisoformat(start), timedelta(hours=hours), zone
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-25 12:00", "2026-11-29 01:00"),  # A Wednesday; Berlin is an hour ahead.
        ("2026-11-29 00:59:59", "2026-11-29 01:00"),
        ("2026-11-29 01:00", "2026-11-29 01:00"),
        ("2026-11-29 04:59", "2026-11-29 04:59"),
        ("2026-11-29 05:00", "2026-12-06 01:00"),
        ("2026-07-01 12:00", "2026-07-05 00:00"),  # Two hours ahead in summer.
    ],
)
def test_it_opens_at_its_hour_and_stays_open_for_its_length(now: str, opens: str) -> None:
    assert window().opening(at(now)) == at(opens)


def test_a_start_that_summer_time_skips_opens_as_much_later() -> None:
    # On 29 March 2026 the clocks of Berlin go from 02:00 to 03:00.
    opening = window("02:30").opening(at("2026-03-28 12:00"))
    assert opening == at("2026-03-29 01:30")
    assert opening.astimezone(BERLIN).strftime("%H:%M") == "03:30"


def test_a_start_that_comes_twice_opens_the_first_time_and_once() -> None:
    # On 25 October 2026 the clocks of Berlin go from 03:00 back to 02:00.
    autumn = window("02:30", hours=1)
    assert autumn.opening(at("2026-10-24 12:00")) == at("2026-10-25 00:30")
    assert autumn.opening(at("2026-10-25 01:30")) == at("2026-11-01 01:30")


def test_a_length_is_of_hours_that_pass_not_of_what_clocks_show() -> None:
    assert window(hours=4).opening(at("2026-03-29 04:59")) == at("2026-03-29 04:59")
    assert window(hours=4).opening(at("2026-03-29 05:00")) == at("2026-04-05 00:00")


def test_a_window_over_midnight_is_open_on_the_next_day() -> None:
    late = window("23:00", SUNDAY, hours=24)
    assert late.opening(at("2026-11-30 12:00")) == at("2026-11-30 12:00")
    assert late.opening(at("2026-11-30 22:00")) == at("2026-12-06 22:00")


def test_a_zone_ahead_of_the_day_counts_by_its_own_days() -> None:
    kiritimati = window("02:00", SUNDAY, zone=ZoneInfo("Pacific/Kiritimati"))
    assert kiritimati.opening(at("2026-11-27 12:00")) == at("2026-11-28 12:00")


def test_the_first_of_several_windows_counts_and_without_any_it_is_always_open() -> None:
    now = at("2026-11-25 12:00")
    first = window("20:00", 2)
    opening = next_opening([window(), first], now)
    assert (opening.at, opening.window) == (at("2026-11-25 19:00"), first)
    assert next_opening([], now).at == now


def test_days_are_said_in_words() -> None:
    assert window().days == "Sunday"
    assert window("02:00", 5, 6).days == "Saturday and Sunday"
    assert window("02:00", 6, 0, 2).days == "Monday, Wednesday and Sunday"
    assert window("02:00", *range(7)).days == "every day"
