"""References and dates as a callee hears them: rows of short prompts, because they are not known before the call."""

import datetime as dt
import re

#: The years that can be spoken.
YEARS = range(2025, 2041)
#: Every prompt that a row may have.
PROMPTS = (
    *(f"digit_{digit}" for digit in range(10)),
    *(f"day_{day}" for day in range(1, 32)),
    *(f"month_{month}" for month in range(1, 13)),
    *(f"year_{year}" for year in YEARS),
)

_REFERENCE = re.compile(r".+-([0-9]{4})-0*([0-9]+)")


def reference(number: str) -> tuple[str, ...]:
    """The ids of the prompts that read out a request's reference digit by digit: 2 0 2 6 1 2 3 for ``ACME-2026-000123``.

    The controller's name, which the callee has heard, and the leading zeros of the serial number are left out. Raises ValueError
    if it is not a reference.
    """
    match = _REFERENCE.fullmatch(number)
    if match is None:
        raise ValueError("not the reference of a request, such as ACME-2026-000123")
    return tuple(f"digit_{digit}" for digit in "".join(match.groups()))


def date(day: dt.date) -> tuple[str, ...]:
    """The ids of the prompts for a date: day, month, year. Every language of the catalogue says them in this order.

    Raises ValueError if the year is not in YEARS.
    """
    if day.year not in YEARS:
        raise ValueError(f"the year {day.year} cannot be spoken: {YEARS[0]} to {YEARS[-1]}")
    return f"day_{day.day}", f"month_{day.month}", f"year_{day.year}"
