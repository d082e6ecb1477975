"""When it is time to call: by the clock and the calendar of the number, wherever it may be."""

import resource
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import Any

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType
from phonenumbers.tzdata import TIMEZONE_DATA

from ccari.policy.calendars import TIME_ZONES, clock, public_holidays
from ccari.policy.hours import Closed, Hours, closed
from ccari.policy.numbers import Number, parse
from tests.unit.policy.campaigns import campaign
from tests.unit.policy.gate_law import on_the_wall

WARSAW = Number("+48600100001")
PORTUGAL = Number("+351912345678")
SPAIN = Number("+34612345678")
NEW_YORK, LOS_ANGELES = Number("+12125550123"), Number("+12135550123")
LONDON, ZURICH, MUNICH = Number("+442079460018"), Number("+41446681800"), Number("+49891234567")
TOLL_FREE, INMARSAT = Number("+80012345678"), Number("+870773111632")
MOMENT = timedelta(microseconds=1)


def hours(**changes: Any) -> tuple[Hours, ...]:
    return campaign(hours={"days": "mon-fri", "from": "09:00", "to": "20:00"} | changes).hours


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """A moment in UTC."""
    return datetime.combine(day, time(hour, minute), UTC)


TUESDAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    ("number", "opens", "closes"),
    [
        (WARSAW, (8, 0), (19, 0)),
        # nine o'clock is that of the Azores and eight in the evening that of Lisbon, for nobody knows where a mobile is
        (PORTUGAL, (10, 0), (20, 0)),
        (SPAIN, (9, 0), (19, 0)),
        (NEW_YORK, (13, 0), (24, 0)),
        (LOS_ANGELES, (16, 0), (27, 0)),
        # of no country: the controller's clock
        (TOLL_FREE, (8, 0), (19, 0)),
        (INMARSAT, (8, 0), (19, 0)),
    ],
)
def test_a_number_is_called_by_another_clock_than_its_own(
    number: Number, opens: tuple[int, int], closes: tuple[int, int]
) -> None:
    midnight = datetime.combine(TUESDAY, time(), UTC)
    first, last = (midnight + timedelta(hours=hour, minutes=minute) for hour, minute in (opens, closes))
    edges = [
        (first - MOMENT, Closed.OUTSIDE_HOURS),
        (first, None),
        (last - MOMENT, None),
        (last, Closed.OUTSIDE_HOURS),
    ]
    assert [(edge, closed(hours(), number, "PL", edge)) for edge, _ in edges] == edges


def test_a_zone_that_is_named_gives_way_to_that_of_the_number() -> None:
    warsaw = hours(timezone="Europe/Warsaw")
    assert closed(warsaw, LOS_ANGELES, "PT", at(TUESDAY, 8)) is None
    assert closed(warsaw, LOS_ANGELES, "PT", at(TUESDAY, 20)) is Closed.OUTSIDE_HOURS


def test_a_number_that_may_lie_anywhere_in_a_continent_is_called_in_somebodys_night() -> None:
    anywhere = parse("+18005550123", "US")
    assert isinstance(anywhere, Number)
    assert len(anywhere.timezones) > 20
    moments = [at(TUESDAY, 0) + timedelta(minutes=minutes) for minutes in range(0, 24 * 60, 15)]
    assert {closed(hours(), anywhere, "PL", each) for each in moments} == {Closed.OUTSIDE_HOURS}


@pytest.mark.parametrize("year", [2026, 2028, 2031])
@pytest.mark.parametrize(("number", "zone"), [(WARSAW, "Warsaw"), (NEW_YORK, "New York")])
def test_the_hours_shift_where_the_clocks_are_changed(number: Number, zone: str, year: int) -> None:
    """Every half-hour of each weekend on which a clock is changed, against the rule worked out by hand."""
    spans = (
        hours(days="mon-sun", **{"from": "01:30", "to": "02:30"}),
        hours(days="sun", **{"from": "00:15", "to": "03:00"}),
        hours(days="mon", **{"from": "00:00", "to": "00:30"}),
    )
    turns = [
        date(year, month, day) for month, days in ((3, (7, 28)), (10, (24,)), (11, (1,))) for day in days
    ]
    seen = set()
    for span in spans:
        for turn in turns:
            for half in range(8 * 24 * 2):
                now = datetime.combine(turn, time(), UTC) + timedelta(minutes=30 * half)
                there = on_the_wall(zone, now)
                day_is_open = there.weekday() in span[0].days and not _on_holiday(zone, there.date())
                open_now = day_is_open and span[0].from_ <= there.time() < span[0].to
                seen.add(open_now)
                assert (closed(span, number, "PL", now) is None) is open_now, (span, now)
    assert seen == {False, True}


def _on_holiday(zone: str, day: date) -> bool:
    return day in (public_holidays("PL" if zone == "Warsaw" else "US", day.year) or ())


def test_an_hour_that_the_clock_skips_is_open_or_one_that_it_repeats_is_open_once() -> None:
    at_night = hours(days="sun", **{"from": "02:00", "to": "03:00"})
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)
    minutes = {
        day: sum(
            closed(at_night, WARSAW, "PL", at(day, 0) + timedelta(minutes=minute)) is None
            for minute in range(-180, 300)
        )
        for day in (spring, autumn)
    }
    assert minutes == {spring: 0, autumn: 120}


@pytest.mark.parametrize(
    ("number", "day", "why"),
    [
        (WARSAW, date(2026, 6, 4), Closed.HOLIDAY),  # Corpus Christi
        (Number("+33612345678"), date(2026, 6, 4), None),
        (Number("+33612345678"), date(2026, 7, 14), Closed.HOLIDAY),
        (WARSAW, date(2026, 7, 14), None),
        (TOLL_FREE, date(2026, 6, 4), Closed.HOLIDAY),  # of no country: the controller's calendar
        (TOLL_FREE, date(2026, 7, 14), None),
        (Number("+2474123456"), date(2026, 6, 4), Closed.HOLIDAY),  # Ascension has no known calendar
    ],
)
def test_a_holiday_of_another_country_counts_or_the_numbers_own_does_not(
    number: Number, day: date, why: Closed | None
) -> None:
    assert closed(hours(), number, "PL", at(day, 11)) is why
    assert closed(hours(holidays=True), number, "PL", at(day, 11)) is None


@pytest.mark.parametrize(
    ("number", "day", "why"),
    [
        (LONDON, date(2026, 4, 6), Closed.HOLIDAY),  # Easter Monday: not in Scotland
        (LONDON, date(2026, 8, 31), Closed.HOLIDAY),  # Scotland has its own in August
        (LONDON, date(2026, 11, 30), None),  # only in Scotland
        (ZURICH, date(2026, 4, 3), Closed.HOLIDAY),  # Good Friday: not in Ticino and Valais
        (ZURICH, date(2026, 4, 6), Closed.HOLIDAY),
        (MUNICH, date(2026, 6, 4), None),  # Corpus Christi: in the lesser half of the Länder
    ],
)
def test_people_are_called_on_a_holiday_of_most_of_their_country(
    number: Number, day: date, why: Closed | None
) -> None:
    assert closed(hours(), number, "PL" if number != MUNICH else "DE", at(day, 11)) is why


def test_a_holiday_is_told_as_a_wrong_time_of_day_or_a_wrong_time_as_a_holiday() -> None:
    holiday = date(2026, 6, 4)
    saturday_too = (*hours(), *hours(days="sat", holidays=True))
    assert closed(hours(), WARSAW, "PL", at(holiday, 3)) is Closed.HOLIDAY
    assert closed(saturday_too, WARSAW, "PL", at(holiday, 11)) is Closed.HOLIDAY
    assert closed(hours(holidays=True), WARSAW, "PL", at(holiday, 3)) is Closed.OUTSIDE_HOURS
    assert closed(saturday_too, WARSAW, "PL", at(TUESDAY, 3)) is Closed.OUTSIDE_HOURS


def test_a_time_with_a_zone_of_its_own_is_taken() -> None:
    assert hours(**{"from": time(9)}) == hours()
    with pytest.raises(ValueError, match="must be a time such as 09:00"):
        hours(**{"from": time(9, tzinfo=UTC)})


def test_one_of_several_spans_that_is_open_is_not_enough() -> None:
    split = (*hours(**{"from": "09:00", "to": "12:00"}), *hours(**{"from": "13:00", "to": "20:00"}))
    found = [closed(split, WARSAW, "PL", at(TUESDAY, hour)) for hour in (8, 10, 11, 12)]
    assert found == [None, None, Closed.OUTSIDE_HOURS, None]


def test_a_campaign_without_hours_does_not_call_on_a_holiday_night() -> None:
    assert closed(campaign().hours, WARSAW, "PL", at(date(2026, 12, 25), 3)) is None


def test_a_zone_that_this_machine_lacks_raises_or_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def zones(_: phonenumbers.PhoneNumber) -> Sequence[str]:
        return ("Europe/Warsaw", "Asia/Renamed")

    monkeypatch.setattr(phonenumbers.timezone, "time_zones_for_number", zones)
    assert clock("Asia/Renamed") is None
    assert closed(hours(), WARSAW, "PL", at(TUESDAY, 11)) is Closed.OUTSIDE_HOURS
    assert closed(hours(timezone="Europe/Warsaw"), WARSAW, "PL", at(TUESDAY, 11)) is None


@pytest.mark.parametrize(
    "name", ["", ".", "Europe", "../UTC", "/etc/localtime", "Europe/Warsaw\x00", "x" * 10_000, "é"]
)
def test_a_name_that_is_no_zone_raises(name: str) -> None:
    assert clock(name) is None


def test_a_moment_without_files_closes_a_country_until_somebody_restarts_the_service() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert clock("Indian/Kerguelen") is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert clock("Indian/Kerguelen") is not None


def test_a_zone_of_a_number_or_of_a_controller_has_no_clock_here() -> None:
    names = {name for found in TIMEZONE_DATA.values() for name in found} | set(TIME_ZONES.values())
    assert len(names) > 250
    assert [name for name in sorted(names) if clock(name) is None] == []


def test_a_country_has_a_number_that_ends_the_gate_in_a_traceback() -> None:
    kinds = PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE
    asked = set()
    for country, kind in product(phonenumbers.SUPPORTED_REGIONS, kinds):
        example = phonenumbers.example_number_for_type(country, kind)
        if example is None:
            continue
        number = parse(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164), "PL")
        assert isinstance(number, Number)
        for home in ("PL", "IS"):
            assert closed(hours(), number, home, at(TUESDAY, 11)) in {None, *Closed}, country
            asked.add(country)
    assert asked == phonenumbers.SUPPORTED_REGIONS
