"""References and dates as a callee hears them: sequences of short prompts, because they are not known before the call."""

import datetime as dt
import re

#: The years that can be spoken.
YEARS = range(2025, 2041)
#: Every prompt that may occur in a sequence.
PROMPTS = (
    *(f"digit_{digit}" for digit in range(10)),
    *(f"day_{day}" for day in range(1, 32)),
    *(f"month_{month}" for month in range(1, 13)),
    *(f"year_{year}" for year in YEARS),
)

_REFERENCE = re.compile(r".+-([0-9]{4})-0*([0-9]+)")
#: One of YEARS.
_YEAR = r"20(?:2[5-9]|3[0-9]|40)"
#: A reference as written, or as heard: without the controller's name and the leading zeros, and with a space or hyphen after the year if
#: more than four digits follow. Telephone numbers of London, Amsterdam, Egypt or Washington begin like years: they must not pass for a
#: reference and get into a URL. Browsers use this pattern too.
GIVEN = (
    r"(?:[A-Za-z0-9][A-Za-z0-9_\-]{0,39}-20[0-9]{2}-(?:[0-9]{6}|[1-9][0-9]{6,8})"
    rf"|{_YEAR}(?:[0-9]{{1,4}}|[ \-][0-9]{{1,6}}))"
)
_SERIAL_DIGITS = 6


def reference(number: str) -> tuple[str, ...]:
    """The ids of the prompts that read out a request's reference digit by digit: 2 0 2 6 1 2 3 for ``ACME-2026-000123``.

    The controller's name, which the callee has heard, and the leading zeros of the serial number are left out. Raises ValueError
    if it is not a reference.
    """
    match = _REFERENCE.fullmatch(number)
    if match is None:
        raise ValueError("not the reference of a request, such as ACME-2026-000123")
    return tuple(f"digit_{digit}" for digit in "".join(match.groups()))


def end_of_reference(given: str) -> str:
    """The end of the reference that somebody gives: ``-2026-000123`` for 2026123, as :func:`reference` reads it out; the whole reference
    if they give all of it.

    Raises ValueError if it is not a reference (:data:`GIVEN`).
    """
    if re.fullmatch(GIVEN, given) is None:
        raise ValueError(
            "must be a reference, such as ACME-2026-000123, or the digits that were read out, such as 2026123 or 2026 12345"
        )
    if (heard := re.fullmatch(r"([0-9]{4})[ -]?([0-9]+)", given)) is None:
        return given.upper()
    year, serial = heard.groups()
    return f"-{year}-{serial.zfill(_SERIAL_DIGITS)}"


def date(day: dt.date) -> tuple[str, ...]:
    """The ids of the prompts for a date: day, month, year. Every language of the catalogue says them in this order.

    Raises ValueError if the year is not in YEARS.
    """
    if day.year not in YEARS:
        raise ValueError(f"the year {day.year} cannot be spoken: {YEARS[0]} to {YEARS[-1]}")
    return f"day_{day.day}", f"month_{day.month}", f"year_{day.year}"
