"""Reads the cells of a row one by one. The first wrong one is the fault of its line."""

import re
from collections.abc import Callable
from datetime import date, datetime
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from ccari.lists.numberlist import Row
from ccari.office import moments
from ccari.policy.declared import Identifier
from ccari.ports.lists import LineFault

_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)

_T = TypeVar("_T")
_Choice = TypeVar("_Choice", bound=StrEnum)

#: The most characters, as in the policy file.
LONGEST_WORDS = 200

#: First characters that make a spreadsheet take a cell for a formula; formulas can run programs (CWE-1236). Where the comma is the
#: decimal separator, as in Poland, Excel starts a cell at each semicolon, even within quotation marks.
_FORMULA = re.compile(r"(\A|;)('*[=+\-@\t\r])")
_INERT = re.compile(r"(\A|;)'('*[=+\-@\t\r])")


def inert(text: str) -> str:
    """A cell's text, with an apostrophe before anything in it that a spreadsheet would take for a formula."""
    return _FORMULA.sub(r"\1'\2", text)


def as_written(text: str) -> str:
    """The inverse of :func:`inert`."""
    return _INERT.sub(r"\1\2", text)


def is_identifier(text: str) -> bool:
    """Whether the policy could declare something by that id."""
    try:
        _IDENTIFIER.validate_python(text)
    except ValidationError:
        return False
    return True


class CellError(ValueError):
    """What is wrong with a cell. Does not quote it: it may contain a number."""

    def __init__(self, column: str, why: object) -> None:
        super().__init__(str(why))
        self.column = column


def made_or_fault(row: Row, make: Callable[[Row], _T]) -> _T | LineFault:
    """The result of ``make`` for the row or, if it raises a :class:`CellError`, the fault of the line."""
    try:
        return make(row)
    except CellError as error:
        return LineFault(row.line, error.column, str(error))


def words(row: Row, column: str, default: str | None = None) -> str:
    """The cell, or ``default`` if it is missing or blank. ``default`` None: raise CellError for a blank cell."""
    text = row.fields.get(column) or default
    if text is None:
        raise CellError(column, "it is empty")
    if len(text) > LONGEST_WORDS:
        raise CellError(column, f"it is longer than {LONGEST_WORDS} characters")
    if not text.isprintable():
        raise CellError(column, "it contains a line break")
    return text


def one_of(row: Row, column: str, kind: type[_Choice], default: _Choice | None = None) -> _Choice:
    text = words(row, column, default)
    try:
        return kind(text)
    except ValueError:
        raise CellError(column, f"it must be one of {', '.join(kind)}") from None


def read(row: Row, column: str, reader: Callable[[str], _T]) -> _T | None:
    """The result of ``reader`` for the cell; None if it is blank. A ValueError of the reader's becomes a CellError with its words."""
    text = row.fields.get(column)
    try:
        return reader(text) if text else None
    except ValueError as error:
        raise CellError(column, error) from None


def past(row: Row, column: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    return read(row, column, lambda text: moments.past(text, zone, now))


def past_day_end(row: Row, column: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    return read(row, column, lambda text: moments.past_day_end(text, zone, now))


def until(row: Row, column: str, zone: ZoneInfo) -> datetime | None:
    return read(row, column, lambda text: moments.until(text, zone))


def day(row: Row, column: str) -> date | None:
    return read(row, column, moments.day)
