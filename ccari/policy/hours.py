"""When people may be called: by the clock and the calendar of whoever is called."""

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_serializer, field_validator

from ccari.policy.calendars import TIME_ZONES, clock, public_holidays
from ccari.policy.declared import Contradiction, Declared, Flag
from ccari.policy.numbers import Number

_ON_THE_WALL = re.compile(r"[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _on_the_wall(value: Any) -> Any:
    """A time of TOML or a text, and no number: 9 would be nine seconds past midnight."""
    text = isinstance(value, str) and _ON_THE_WALL.fullmatch(value)
    if not (text or (isinstance(value, time) and value.tzinfo is None)):
        raise ValueError("must be a time such as 09:00: the zone is timezone's")
    return value


TimeOfDay = Annotated[time, BeforeValidator(_on_the_wall)]


class Hours(Declared):
    """One span of the day on some days of the week, from its first moment up to but without its last.

    ``timezone`` is that of the called number unless one is named; where a number could lie in several zones, it must be
    open in all of them. ``holidays``: whether public holidays of the number's country are days like any other.
    """

    timezone: str | None = None
    days: tuple[int, ...]
    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay
    holidays: Flag = False

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and clock(value) is None:
            raise ValueError("must be a time zone such as Europe/Warsaw")
        return value

    @field_validator("days", mode="before")
    @classmethod
    def _parse_days(cls, value: Any) -> Any:
        days: list[int] = []
        for part in str(value).replace(" ", "").lower().split(","):
            first, _, last = part.partition("-")
            if first not in DAYS or (last and last not in DAYS):
                raise ValueError(f"must be days such as mon-fri or mon,wed,sat (of {', '.join(DAYS)})")
            start, end = DAYS.index(first), DAYS.index(last or first)
            if start > end:
                raise ValueError("must run forward in the week, such as mon-fri")
            days += range(start, end + 1)
        return tuple(sorted(set(days)))

    @field_serializer("days")
    def _write_days(self, value: tuple[int, ...]) -> str:
        """As people write them, runs of days joined: each day less its place is alike along a run."""
        runs = [
            [day for _, day in run] for _, run in groupby(enumerate(value), lambda each: each[1] - each[0])
        ]
        return ",".join("-".join(dict.fromkeys((DAYS[run[0]], DAYS[run[-1]]))) for run in runs)

    def contradictions(self) -> Iterator[Contradiction]:
        if self.from_ >= self.to:
            yield Contradiction(("from",), "must be earlier than to")


class Closed(StrEnum):
    """Why it is not the time to call."""

    OUTSIDE_HOURS = "outside_hours"
    HOLIDAY = "holiday"


def closed(hours: Iterable[Hours], number: Number, home: str, now: datetime) -> Closed | None:
    """Why ``number`` may not be called at ``now`` (aware) under any of ``hours``; None if it may, or there are none.

    ``home`` is the controller's country (EEA): its clock and holidays count where the number has none of its own, or
    nobody knows them. Where this machine lacks one of the number's zones it is closed, for what the time is there
    cannot be told.
    """
    because = {_closed(each, number, home, now) for each in hours}
    if not because or None in because:
        return None
    return Closed.HOLIDAY if Closed.HOLIDAY in because else Closed.OUTSIDE_HOURS


def _closed(hours: Hours, number: Number, home: str, now: datetime) -> Closed | None:
    names = (hours.timezone,) if hours.timezone else number.timezones or (TIME_ZONES[home],)
    zones = [zone for name in names if (zone := clock(name))]
    there = [now.astimezone(zone) for zone in zones]
    if not hours.holidays and any(_is_holiday(each.date(), number.country or home, home) for each in there):
        # told before the time of day: to wait for the morning would be no use
        return Closed.HOLIDAY
    if len(zones) < len(names):
        return Closed.OUTSIDE_HOURS
    if all(each.weekday() in hours.days and hours.from_ <= each.time() < hours.to for each in there):
        return None
    return Closed.OUTSIDE_HOURS


def _is_holiday(day: date, country: str, home: str) -> bool:
    known = public_holidays(country, day.year)
    return day in (public_holidays(home, day.year) or ()) if known is None else day in known
