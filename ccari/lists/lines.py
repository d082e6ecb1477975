"""Lines and CSV rows from a stream of bytes. An unreadable line is a fault; the lines after it are still read."""

import codecs
import csv
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ccari.ports.lists import LineFault, Source

#: The most bytes in a line. No row of numbers is as long, and a file without line ends must not fill the memory.
LONGEST_LINE = 4096
#: The most lines in a row. A quoted cell may hold line breaks, but an unclosed quotation mark must not swallow the rest of the file.
LONGEST_ROW = 20
_PIECE = 1 << 16
_BOM = "\ufeff"
#: How a file of Excel or LibreOffice (xlsx, ods) begins, as every archive of ZIP does.
_ZIP = b"PK\x03\x04"
_SAVE = "save it as CSV in UTF-8 (in Excel: CSV UTF-8)"


class Line(NamedTuple):
    """``raw``: the line as in the file, with its end; empty if it is too long or cannot be read."""

    number: int
    content: str | LineFault
    raw: bytes = b""


class Lines:
    """The lines of a file, numbered from 1, without their ends. ``read``: how many bytes have been read."""

    def __init__(self, file: Source) -> None:
        self._file = file
        self._put_back: deque[Line] = deque()
        self._number = 0
        self._sha256 = hashlib.sha256()
        self.read = 0

    @property
    def sha256(self) -> bytes:
        """The digest of what has been read so far; after the last line, of the whole file."""
        return self._sha256.digest()

    def take(self) -> Line | None:
        """The next line; None after the last. Raises OSError."""
        if self._put_back:
            return self._put_back.popleft()
        raw = self._piece(LONGEST_LINE + 1)
        if not raw:
            return None
        self._number += 1
        if len(raw) > LONGEST_LINE and not raw.endswith(b"\n"):
            while (piece := self._piece(_PIECE)) and not piece.endswith(b"\n"):
                pass
            return self._fault(f"the line is longer than {LONGEST_LINE} bytes")
        if self._number == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return self._fault(f"the file is UTF-16: {_SAVE}")
        if self._number == 1 and raw.startswith(_ZIP):
            return self._fault(f"the file is a workbook, not a list: {_SAVE}")
        try:
            text = raw.rstrip(b"\r\n").decode()
        except UnicodeDecodeError as error:
            return self._fault(f"byte {error.start + 1} is not UTF-8: {_SAVE}")
        if "\0" in text:
            return self._fault("the line contains a NUL character")
        return Line(self._number, text.removeprefix(_BOM) if self._number == 1 else text, raw)

    def put_back(self, lines: Sequence[Line]) -> None:
        """Make :meth:`take` return these lines again, before all others."""
        self._put_back.extendleft(reversed(lines))

    def _piece(self, limit: int) -> bytes:
        piece = self._file.readline(limit)
        self.read += len(piece)
        self._sha256.update(piece)
        return piece

    def _fault(self, why: str) -> Line:
        return Line(self._number, LineFault(self._number, None, why))


class CsvRow(NamedTuple):
    """``line``: the number of the row's first line. ``raw``: all of its lines."""

    line: int
    content: list[str] | LineFault
    raw: bytes = b""


def csv_rows(lines: Lines, delimiter: str) -> Iterator[CsvRow]:
    """The rows that are not blank. After a broken row, reading resumes at the line after the row's first line."""
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _BrokenOffError) as error:
            first, *rest = feed.taken
            lines.put_back(rest)
            fault = first.content
            if not isinstance(fault, LineFault):
                fault = LineFault(first.number, None, no_csv(error))
            yield CsvRow(first.number, fault)
            continue
        if any(map(str.strip, cells)):
            yield CsvRow(feed.taken[0].number, cells, b"".join(line.raw for line in feed.taken))


def no_csv(error: Exception) -> str:
    """What is wrong with a row, for the person who made the file. One of Python's own messages makes sense only to programmers."""
    words = str(error)
    if words.startswith("new-line character"):
        return (
            "a line ends with a lone carriage return: save the file with the line endings of Windows or Unix"
        )
    if words.startswith("unexpected end"):
        words = _UNCLOSED
    elif "expected after" in words:
        words = "a cell goes on after its closing quotation mark"
    return f"it is not a CSV: {words}"


_UNCLOSED = "a quotation mark is opened but not closed"


class _BrokenOffError(Exception):
    """The row cannot continue after this line."""


class _Feed:
    """The lines for a csv.reader. ``taken``: those of the current row."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.taken: list[Line] = []

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if len(self.taken) == LONGEST_ROW:
            raise _BrokenOffError(_UNCLOSED)
        line = self._lines.take()
        if line is None:
            raise StopIteration
        self.taken.append(line)
        if isinstance(line.content, LineFault):
            raise _BrokenOffError(_UNCLOSED)
        return line.content + "\n"
