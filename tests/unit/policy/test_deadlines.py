"""When a request is due: Article 12(3) by Regulation 1182/71."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from ccari.policy.calendars import TIME_ZONES
from ccari.policy.deadlines import due, extended, may_extend

#: Holidays as the law fixes them; the movable ones follow from Easter.
FIXED: dict[str, set[tuple[int, int]]] = {
    "PL": {(1, 1), (1, 6), (5, 1), (5, 3), (8, 15), (11, 1), (11, 11), (12, 25), (12, 26)},
    "DE": {(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)},
    "FR": {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)},
}
AFTER_EASTER = {"PL": {0, 1, 49, 60}, "DE": {-2, 1, 39, 50}, "FR": {1, 39, 50}}


def easter(year: int) -> date:
    """Easter Sunday, by Gauss's rule as Meeus gives it."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    h = (19 * a + b - d - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    i, k = divmod(c, 4)
    shift = (32 + 2 * e + 2 * i - h - k) % 7
    month, day = divmod(h + shift - 7 * ((a + 11 * h + 22 * shift) // 451) + 114, 31)
    return date(year, month, day + 1)


def is_closed(day: date, country: str) -> bool:
    movable = {easter(day.year) + timedelta(days=days) for days in AFTER_EASTER[country]}
    christmas_eve = country == "PL" and day.year >= 2025 and (day.month, day.day) == (12, 24)
    return day.isoweekday() > 5 or (day.month, day.day) in FIXED[country] or day in movable or christmas_eve


def nominal(received: date, months: int) -> date:
    """The same date that many months on, or the last day of that month: tried day by day."""
    year, month, day = received.year, received.month, received.day
    for _ in range(months):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    while True:
        try:
            return date(year, month, day)
        except ValueError:
            day -= 1


def first_working_day(day: date, country: str) -> date:
    while is_closed(day, country):
        day += timedelta(days=1)
    return day


def every_day() -> Iterator[date]:
    day = date(2024, 1, 1)
    while day.year <= 2032:
        yield day
        day += timedelta(days=1)


def at(clock: time, day: date, country: str) -> datetime:
    return datetime.combine(day, clock, ZoneInfo(TIME_ZONES[country]))


#: The first and the last moment of a day on the controller's wall.
EDGES = (time(0, 0), time(23, 59, 59, 999999))
NOON = time(12)


@pytest.mark.parametrize(
    ("received", "answer_by"),
    [
        (date(2026, 1, 31), date(2026, 3, 2)),
        (date(2026, 3, 5), date(2026, 4, 7)),
        (date(2026, 5, 4), date(2026, 6, 5)),
        (date(2026, 11, 24), date(2026, 12, 28)),
        # an ordinary one, and one over the turn of the year
        (date(2026, 9, 10), date(2026, 10, 12)),
        (date(2026, 12, 1), date(2027, 1, 4)),
    ],
)
def test_a_deadline_is_not_the_one_that_was_worked_out_by_hand(received: date, answer_by: date) -> None:
    assert due(at(NOON, received, "PL"), "PL") == answer_by


@pytest.mark.parametrize(
    ("received", "answer_by"),
    [
        (date(2026, 5, 15), date(2026, 8, 17)),
        # the first month of this one ends on Tuesday 7 April, because of Easter: the extension is not counted from
        # there
        (date(2026, 3, 5), date(2026, 6, 5)),
        # to a month without that date, in a leap year and in another
        (date(2027, 11, 30), date(2028, 2, 29)),
        (date(2026, 11, 30), date(2027, 3, 1)),
    ],
)
def test_an_extension_is_not_the_one_that_was_worked_out_by_hand(received: date, answer_by: date) -> None:
    assert extended(at(NOON, received, "PL"), "PL") == answer_by


@pytest.mark.parametrize("count", [due, extended], ids=["due", "extended"])
@pytest.mark.parametrize("clock", EDGES, ids=["at midnight", "before midnight"])
@pytest.mark.parametrize("country", ["PL", "DE", "FR"])
def test_a_deadline_of_nine_years_is_not_the_first_working_day_from_the_nominal_one(
    country: str, clock: time, count: Callable[[datetime, str], date]
) -> None:
    """Both one month and three months are counted from receipt: a day that was moved is never counted from."""
    months = 1 if count is due else 3
    before = date.min
    for received in every_day():
        found = count(at(clock, received, country), country)
        assert found == first_working_day(nominal(received, months), country)
        assert found >= nominal(received, months)
        assert not is_closed(found, country)
        # somebody who asks later is never answered sooner
        assert found >= before
        before = found


@pytest.mark.parametrize("country", ["PL", "DE", "FR"])
def test_an_extension_is_late_by_a_moment_or_refused_on_the_last_day(country: str) -> None:
    """The whole last day of the first month, by the controller's own clock, is in time."""
    for received in every_day():
        moment = at(NOON, received, country)
        last = due(moment, country)
        first_moment, last_moment = (at(edge, last, country).astimezone(UTC) for edge in EDGES)
        assert may_extend(moment, country, moment)
        assert may_extend(moment, country, first_moment)
        assert may_extend(moment, country, last_moment)
        assert not may_extend(moment, country, last_moment + timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("moment", "country", "answer_by"),
    [
        # half past ten at night in London is half past eleven in Warsaw, and an hour later it is the next day there
        (datetime(2026, 1, 12, 22, 30, tzinfo=UTC), "PL", date(2026, 2, 12)),
        (datetime(2026, 1, 12, 23, 30, tzinfo=UTC), "PL", date(2026, 2, 13)),
        # in summer the day turns an hour earlier
        (datetime(2026, 7, 12, 21, 59, 59, tzinfo=UTC), "PL", date(2026, 8, 12)),
        (datetime(2026, 7, 12, 22, 0, tzinfo=UTC), "PL", date(2026, 8, 13)),
        # the nights on which the clocks change: at one o'clock UTC, far from midnight
        (datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC), "PL", date(2026, 4, 28)),
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), "PL", date(2026, 4, 29)),
        (datetime(2026, 10, 24, 21, 59, 59, tzinfo=UTC), "PL", date(2026, 11, 24)),
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), "PL", date(2026, 11, 25)),
        # the same moment is another day for another controller
        (datetime(2026, 7, 12, 22, 30, tzinfo=UTC), "IE", date(2026, 8, 12)),
        (datetime(2026, 7, 12, 21, 30, tzinfo=UTC), "FI", date(2026, 8, 13)),
        # and where the moment was noted does not matter
        (datetime(2026, 7, 12, 18, 30, tzinfo=ZoneInfo("America/New_York")), "PL", date(2026, 8, 13)),
    ],
)
def test_the_day_of_receipt_is_not_the_controllers_own(
    moment: datetime, country: str, answer_by: date
) -> None:
    assert due(moment, country) == answer_by


def test_a_country_has_no_clock() -> None:
    assert set(TIME_ZONES.values()) <= available_timezones()


@pytest.mark.parametrize("country", sorted(TIME_ZONES))
def test_a_country_has_no_calendar(country: str) -> None:
    assert due(at(NOON, date(2025, 12, 1), country), country) > date(2026, 1, 1)
