"""When a request is due: Article 12(3) GDPR, counted by Regulation (EEC, Euratom) 1182/71."""

import calendar
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ccari.policy.calendars import TIME_ZONES, public_holidays

#: Art 12(3): the time for an answer, and the time with an extension, both from receipt.
MONTHS, EXTENDED_MONTHS = 1, 3


def due(received: datetime, country: str) -> date:
    """The last day to answer a request that was received at ``received`` (aware) by a controller in ``country``.

    One month, the day of receipt not counted (Reg. 1182/71 Art 3(1)): it ends on the same date of the next month, or
    on that month's last day (Art 3(2)(c)); from a Saturday, Sunday or public holiday it moves to the next working day
    (Art 3(4)).
    """
    return _end(received, country, MONTHS)


def extended(received: datetime, country: str) -> date:
    """The last day to answer after an extension by two further months: three months from receipt.

    Not two months from :func:`due`, because a holiday may already have moved that day.
    """
    return _end(received, country, EXTENDED_MONTHS)


def local_day(moment: datetime, country: str) -> date:
    """The date at ``moment`` (aware) in the controller's ``country``: periods begin and end with its days, not ours."""
    return moment.astimezone(ZoneInfo(TIME_ZONES[country])).date()


def may_extend(received: datetime, country: str, now: datetime) -> bool:
    """True while the person can still be told of an extension in time: within the first month, Art 12(3)."""
    return local_day(now, country) <= due(received, country)


def _end(received: datetime, country: str, months: int) -> date:
    day = _months_later(local_day(received, country), months)
    while day.weekday() >= calendar.SATURDAY or day in (public_holidays(country, day.year) or ()):
        day += timedelta(days=1)
    return day


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
