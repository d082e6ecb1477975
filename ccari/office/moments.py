"""Dates and moments as people write and read them."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

_Day = TypeVar("_Day", bound=date)

_SHAPE = "it must be a date such as 2026-12-31, or a moment such as 2026-12-31T12:00:00+01:00"

#: Any other year is a slip of the pen, and time zones cannot be calculated near the ends of the calendar.
_YEARS = range(1900, 3000)


def day(text: str) -> date:
    """A date. Raises ValueError with a text for people."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ValueError("it must be a date such as 2026-12-31") from None
    return _plausible(found)


def since(text: str, zone: ZoneInfo) -> datetime:
    """A moment, or the beginning of a day, in ``zone`` unless the text names another. Raises ValueError as :func:`day`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(_SHAPE) from None
    found = _plausible(found)
    return found if found.tzinfo else found.replace(tzinfo=zone)


def past(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Like :func:`since`, but raises ValueError for a moment in the future."""
    found = since(text, zone)
    if found > now:
        raise ValueError("it is in the future")
    return found


def past_day_end(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Like :func:`past`, for the receipt of a withdrawal. A day without a time counts as its last second, or
    as now if it is not over, so that consents given on that day are withdrawn too.
    """
    first, end = past(text, zone, now), until(text, zone)
    return first if first == end else min(end - timedelta(seconds=1), now)


def until(text: str, zone: ZoneInfo) -> datetime:
    """A moment, or the end of a day: "until the 31st" includes that day. Raises ValueError as :func:`day`."""
    try:
        last = date.fromisoformat(text)
    except ValueError:
        return since(text, zone)
    return datetime.combine(_plausible(last) + timedelta(days=1), time(), zone)


def shown(
    moment: datetime, zone: ZoneInfo, *, seconds: bool = True, day: Callable[[date], str] = date.isoformat, clock: str = "%Z",
    named: bool = False,
) -> str:  # fmt: skip
    """A moment by the clock of ``zone``. In the hour that comes twice, when clocks are put back, it also says
    which clock applies: CEST, then CET (``clock``: its strftime format). Otherwise the two could not be told
    apart, and later moments would seem earlier. ``named``: it always says so. ``day``: formats a date.
    """
    local = moment.astimezone(zone)
    text = f"{day(local.date())} {local:%H:%M:%S}" if seconds else f"{day(local.date())} {local:%H:%M}"
    comes_twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    return f"{text} {local.strftime(clock)}" if named or comes_twice else text


def _plausible(found: _Day) -> _Day:
    if found.year not in _YEARS:
        raise ValueError(f"its year must be from {_YEARS[0]} to {_YEARS[-1]}")
    return found
