"""Numbers as a callee hears them: rows of short prompts, for what is not known before the call."""

import datetime as dt
import re

#: The years that can be spoken.
YEARS = range(2025, 2041)
#: Every prompt that a row may hold.
PROMPTS = (
    *(f"digit_{digit}" for digit in range(10)),
    *(f"day_{day}" for day in range(1, 32)),
    *(f"month_{month}" for month in range(1, 13)),
    *(f"year_{year}" for year in YEARS),
)

_REFERENCE = re.compile(r".+-([0-9]{4})-0*([0-9]+)")


def reference(number: str) -> tuple[str, ...]:
    """The ids of the prompts for the reference of a request, as ``ACME-2026-000123``: 2 0 2 6 1 2 3, digit by digit.

    The controller's name is left out, which the callee has heard, and so are the noughts that fill the serial up. Raises
    ValueError for what is no reference.
    """
    found = _REFERENCE.fullmatch(number)
    if found is None:
        raise ValueError("no reference of a request, such as ACME-2026-000123")
    return tuple(f"digit_{digit}" for digit in "".join(found.groups()))


def date(day: dt.date) -> tuple[str, ...]:
    """The ids of the prompts for a date: day, month, year, in which order each language of the catalogue says them.

    Raises ValueError for a year that is not in YEARS.
    """
    if day.year not in YEARS:
        raise ValueError(f"the year {day.year} cannot be spoken: {YEARS[0]} to {YEARS[-1]}")
    return f"day_{day.day}", f"month_{day.month}", f"year_{day.year}"
