"""The cells of a row, read one by one; the first that is wrong is the fault of its line."""

import re
from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from ccari.gating import moments
from ccari.lists.numberlist import Row
from ccari.ports.lists import LineFault

_T = TypeVar("_T")
_Choice = TypeVar("_Choice", bound=StrEnum)

#: As the policy file has it: what is read out, listed and kept is no essay.
LONGEST_WORDS = 200


#: What a spreadsheet takes for a formula by its first character, which may run programmes (CWE-1236).
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def inert(text: str) -> str:
    """What people have written, as a cell that no spreadsheet computes: after an apostrophe, where it would."""
    return f"'{text}" if _FORMULA.match(text) else text


def as_written(text: str) -> str:
    """What :func:`inert` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


class CellError(ValueError):
    """What is wrong with a cell, in words that do not quote it."""

    def __init__(self, column: str, why: object) -> None:
        super().__init__(str(why))
        self.column = column


def made(row: Row, make: Callable[[Row], _T]) -> _T | LineFault:
    """What ``make`` makes of the row, or the :class:`CellError` that it raises."""
    try:
        return make(row)
    except CellError as error:
        return LineFault(row.line, error.column, str(error))


def words(row: Row, column: str, default: str | None = None) -> str:
    """The cell, or ``default`` where there is none or it is blank; None: it may not be blank."""
    text = row.fields.get(column) or default
    if text is None:
        raise CellError(column, "it is empty")
    if len(text) > LONGEST_WORDS:
        raise CellError(column, f"it is longer than {LONGEST_WORDS} characters")
    if not text.isprintable():
        raise CellError(column, "there is a line break in it")
    return text


def one_of(row: Row, column: str, kind: type[_Choice], default: _Choice | None = None) -> _Choice:
    text = words(row, column, default)
    try:
        return kind(text)
    except ValueError:
        raise CellError(column, f"it is none of {', '.join(kind)}") from None


def read(row: Row, column: str, reader: Callable[[str], _T]) -> _T | None:
    """What ``reader`` reads in the cell, or raises a ValueError over in words; None if it is blank."""
    text = row.fields.get(column)
    try:
        return reader(text) if text else None
    except ValueError as error:
        raise CellError(column, error) from None


def past(row: Row, column: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    return read(row, column, lambda text: moments.past(text, zone, now))


def over(row: Row, column: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    return read(row, column, lambda text: moments.over(text, zone, now))


def until(row: Row, column: str, zone: ZoneInfo) -> datetime | None:
    return read(row, column, lambda text: moments.until(text, zone))


def day(row: Row, column: str) -> date | None:
    return read(row, column, moments.day)
