"""Lines and CSV rows out of a stream of bytes. What cannot be read is a fault of its line; the lines after it are read."""

import csv
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ccari.ports.lists import LineFault, Source

#: No row of numbers is as long, and a file without line ends must not fill the memory.
LONGEST_LINE = 4096
#: A quoted cell may hold line breaks; a quotation mark that nobody closed must not swallow the rest of the file.
LONGEST_ROW = 20
_PIECE = 1 << 16
_BOM = "\ufeff"


class Line(NamedTuple):
    """``raw`` is the line as it stands in the file, with its end; of one that is too long nothing is kept."""

    number: int
    content: str | LineFault
    raw: bytes = b""


class Lines:
    """The lines of a file, from 1, without their ends. ``read`` counts its bytes and ``sha256`` is of them."""

    def __init__(self, file: Source) -> None:
        self._file = file
        self._again: deque[Line] = deque()
        self._number = 0
        self._sha256 = hashlib.sha256()
        self.read = 0

    @property
    def sha256(self) -> bytes:
        """Of what has been read: of the whole file after its last line."""
        return self._sha256.digest()

    def take(self) -> Line | None:
        """The next line; None after the last. Raises OSError."""
        if self._again:
            return self._again.popleft()
        found = self._piece(LONGEST_LINE + 1)
        if not found:
            return None
        self._number += 1
        if len(found) > LONGEST_LINE and not found.endswith(b"\n"):
            while (piece := self._piece(_PIECE)) and not piece.endswith(b"\n"):
                pass
            return self._fault(f"the line is longer than {LONGEST_LINE} bytes")
        try:
            text = found.rstrip(b"\r\n").decode()
        except UnicodeDecodeError as error:
            return self._fault(f"byte {error.start + 1} is not UTF-8: save the file as UTF-8")
        if "\0" in text:
            return self._fault("there is a NUL in the line")
        return Line(self._number, text.removeprefix(_BOM) if self._number == 1 else text, found)

    def put_back(self, lines: Sequence[Line]) -> None:
        """Have these taken again, before all others."""
        self._again.extendleft(reversed(lines))

    def _piece(self, limit: int) -> bytes:
        piece = self._file.readline(limit)
        self.read += len(piece)
        self._sha256.update(piece)
        return piece

    def _fault(self, why: str) -> Line:
        return Line(self._number, LineFault(self._number, None, why))


class CsvRow(NamedTuple):
    """``line`` is the first of the row's lines, and ``raw`` all of them."""

    line: int
    content: list[str] | LineFault
    raw: bytes = b""


def csv_rows(lines: Lines, delimiter: str) -> Iterator[CsvRow]:
    """The rows that are not blank. After a row that is broken the next begins on the next line."""
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
    """What is wrong with a row, for whoever made the file: Python's own words are for programmers here."""
    if str(error).startswith("new-line character"):
        return "a line ends with a carriage return alone: save the file with the line ends of Windows or Unix"
    return f"it is no CSV: {error}"


class _BrokenOffError(Exception):
    """The row cannot go on here."""


class _Feed:
    """What a csv.reader pulls its lines from."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.taken: list[Line] = []

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if len(self.taken) == LONGEST_ROW:
            raise _BrokenOffError("a quotation mark is opened and not closed")
        line = self._lines.take()
        if line is None:
            raise StopIteration
        self.taken.append(line)
        if isinstance(line.content, LineFault):
            raise _BrokenOffError("a quotation mark is opened and not closed")
        return line.content + "\n"
