"""When a request is due: Article 12(3) by Regulation 1182/71."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from ccari.policy.deadlines import TIME_ZONES, due

#: Holidays as their laws fix them; the movable ones follow from Easter.
FIXED: dict[str, set[tuple[int, int]]] = {
    "PL": {(1, 1), (1, 6), (5, 1), (5, 3), (8, 15), (11, 1), (11, 11), (12, 25), (12, 26)},
    "DE": {(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)},
    "FR": {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)},
}
AFTER_EASTER = {"PL": {0, 1, 49, 60}, "DE": {-2, 1, 39, 50}, "FR": {1, 39, 50}}


def easter(year: int) -> date:
    """Sunday of Easter, by Gauss's rule as Meeus gives it."""
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


def nominal(received: date) -> date:
    year, month = (received.year, received.month + 1) if received.month < 12 else (received.year + 1, 1)
    return date(year, month, min(received.day, monthrange(year, month)[1]))


def at_noon(day: date, country: str) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(TIME_ZONES[country]))


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
def test_the_deadlines_that_were_worked_out_by_hand(received: date, answer_by: date) -> None:
    assert due(at_noon(received, "PL"), "PL") == answer_by


@pytest.mark.parametrize("country", ["PL", "DE", "FR"])
def test_every_deadline_of_nine_years_is_the_first_working_day_from_the_nominal_one(country: str) -> None:
    received = date(2024, 1, 1)
    while received.year <= 2032:
        wanted = nominal(received)
        while is_closed(wanted, country):
            wanted += timedelta(days=1)
        assert due(at_noon(received, country), country) == wanted
        assert wanted >= received + timedelta(days=28)
        received += timedelta(days=1)


@pytest.mark.parametrize(
    ("moment", "answer_by"),
    [
        # half past ten at night in London is half past eleven in Warsaw, an hour later the next day
        (datetime(2026, 1, 12, 22, 30, tzinfo=UTC), date(2026, 2, 12)),
        (datetime(2026, 1, 12, 23, 30, tzinfo=UTC), date(2026, 2, 13)),
    ],
)
def test_the_day_of_receipt_is_the_controllers_own(moment: datetime, answer_by: date) -> None:
    assert due(moment, "PL") == answer_by


def test_every_country_has_a_clock() -> None:
    assert set(TIME_ZONES.values()) <= available_timezones()


@pytest.mark.parametrize("country", sorted(TIME_ZONES))
def test_every_country_has_a_calendar(country: str) -> None:
    assert due(at_noon(date(2025, 12, 1), country), country) > date(2026, 1, 1)
