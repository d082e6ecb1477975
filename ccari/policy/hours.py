"""When people may be called: by the clock and the calendar of whoever is called."""

from collections.abc import Iterable
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from ccari.policy.calendars import TIME_ZONES, public_holidays
from ccari.policy.declared import Declared
from ccari.policy.numbers import Number

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Hours(Declared):
    """One span of the day on some days of the week.

    ``timezone`` is that of the called number unless one is named; where a number could lie in several zones, it must be
    open in all of them. ``holidays``: whether public holidays of the number's country are days like any other.
    """

    timezone: str | None = None
    days: tuple[int, ...]
    from_: time = Field(alias="from")
    to: time
    holidays: bool = False

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone such as Europe/Warsaw") from None
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

    @field_validator("from_", "to")
    @classmethod
    def _on_the_wall(cls, value: time) -> time:
        if value.tzinfo is not None:
            raise ValueError("must be a time such as 09:00: the zone is timezone's")
        return value

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.from_ >= self.to:
            raise ValueError("from must be earlier than to")
        return self


class Closed(StrEnum):
    """Why it is not the time to call."""

    OUTSIDE_HOURS = "outside_hours"
    HOLIDAY = "holiday"


def closed(hours: Iterable[Hours], number: Number, home: str, now: datetime) -> Closed | None:
    """Why ``number`` may not be called at ``now`` (aware) under any of ``hours``; None if it may, or there are none.

    ``home`` is the controller's country (EEA): its clock and holidays count where the number's own are not known.
    """
    because = {_closed(each, number, home, now) for each in hours}
    if not because or None in because:
        return None
    return Closed.HOLIDAY if Closed.HOLIDAY in because else Closed.OUTSIDE_HOURS


def _closed(hours: Hours, number: Number, home: str, now: datetime) -> Closed | None:
    zones = (hours.timezone,) if hours.timezone else number.timezones or (TIME_ZONES[home],)
    clocks = [now.astimezone(ZoneInfo(zone)) for zone in zones]
    if not hours.holidays and any(_is_holiday(each.date(), number.country or home, home) for each in clocks):
        # told before the time of day: to wait for the morning would be no use
        return Closed.HOLIDAY
    if all(each.weekday() in hours.days and hours.from_ <= each.time() < hours.to for each in clocks):
        return None
    return Closed.OUTSIDE_HOURS


def _is_holiday(day: date, country: str, home: str) -> bool:
    known = public_holidays(country, day.year)
    return day in (public_holidays(home, day.year) or ()) if known is None else day in known
