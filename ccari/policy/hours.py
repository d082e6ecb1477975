"""When people may be called, by the clock and the calendar of the person called."""

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_serializer, field_validator

from ccari.policy.calendars import TIME_ZONES, clock, widely_kept
from ccari.policy.declared import Contradiction, Declared, Flag
from ccari.policy.numbers import Number

_CLOCK_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock_time(value: Any) -> Any:
    """Accept a TOML time or a text, but no number: pydantic would read 9 as nine seconds past midnight."""
    is_text = isinstance(value, str) and _CLOCK_TIME.fullmatch(value)
    if not (is_text or (isinstance(value, time) and value.tzinfo is None)):
        raise ValueError("must be a time such as 09:00, without a zone, and 23:59 at the latest")
    return value


TimeOfDay = Annotated[time, BeforeValidator(_clock_time)]


class Hours(Declared):
    """One span of the day on some days of the week, in which people may be called. It includes ``from``, and not ``to``.

    ``timezone``: None stands for the time zone of the called number; if the number may be in several zones, the span must be open in all
    of them. ``holidays``: whether people are called on public holidays of the number's country, or of most of its parts.
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
        """Writes days as people do: ``mon-fri,sun``. Within a run of consecutive days, day number minus list index is constant."""
        runs = [
            [day for _, day in run] for _, run in groupby(enumerate(value), lambda place: place[1] - place[0])
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

    ``home`` is the controller's country (EEA). Its clock and holidays apply if the number's own are unknown, or it has none. If this
    machine lacks one of the number's time zones, the answer is closed, because its local time is unknown.
    """
    reasons = {_closed(span, number, home, now) for span in hours}
    if not reasons or None in reasons:
        return None
    return Closed.HOLIDAY if Closed.HOLIDAY in reasons else Closed.OUTSIDE_HOURS


def _closed(hours: Hours, number: Number, home: str, now: datetime) -> Closed | None:
    names = (hours.timezone,) if hours.timezone else number.timezones or (TIME_ZONES[home],)
    zones = [zone for name in names if (zone := clock(name))]
    local_times = [now.astimezone(zone) for zone in zones]
    country = number.country or home
    if not hours.holidays and any(_is_holiday(local.date(), country, home) for local in local_times):
        # before the time of day: after "outside hours" an agent would try again later the same day
        return Closed.HOLIDAY
    if len(zones) < len(names):
        return Closed.OUTSIDE_HOURS
    if all(local.weekday() in hours.days and hours.from_ <= local.time() < hours.to for local in local_times):
        return None
    return Closed.OUTSIDE_HOURS


def _is_holiday(day: date, country: str, home: str) -> bool:
    calendar = widely_kept(country, day.year)
    return day in (widely_kept(home, day.year) or ()) if calendar is None else day in calendar
