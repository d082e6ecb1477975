"""Dates and moments in the cells of a list."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_SHAPE = "it is no date such as 2026-12-31, nor a moment such as 2026-12-31T12:00:00+01:00"


def day(text: str) -> date:
    """Raises ValueError, in words."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("it is no date such as 2026-12-31") from None


def since(text: str, zone: ZoneInfo) -> datetime:
    """A moment, or the beginning of a day, in ``zone`` unless the text names another. Raises ValueError, in words."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(_SHAPE) from None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def past(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """As :func:`since`, of what has come already."""
    found = since(text, zone)
    if found > now:
        raise ValueError("it has not come yet")
    return found


def until(text: str, zone: ZoneInfo) -> datetime:
    """A moment, or the end of a day: who says "until the 31st" means that day too. Raises ValueError, in words."""
    try:
        last = date.fromisoformat(text)
    except ValueError:
        return since(text, zone)
    try:
        return datetime.combine(last + timedelta(days=1), time(), zone)
    except OverflowError:
        raise ValueError(_SHAPE) from None
