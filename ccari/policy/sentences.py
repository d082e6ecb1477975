"""What sentences have in common: inserted text that may have its own full stop, as in ``ACME Sp. z o.o.``, and moments."""

import re
from datetime import UTC, datetime

_TWICE = re.compile(r"(?<!\.)\.\.(?!\.)")


def ended_once(text: str) -> str:
    """The text with one full stop wherever there are two. An ellipsis stays."""
    return _TWICE.sub(".", text)


def told(at: datetime) -> str:
    """A moment by the clock of its time zone, which is named: a day alone does not say where it is that day."""
    return f"{at:%Y-%m-%d %H:%M %Z}"


def in_utc(at: datetime) -> str:
    """A moment (aware) of a record, to the second: ``2026-12-31 12:00:00 UTC``, wherever it is read."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
