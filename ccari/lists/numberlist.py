"""A file of numbers: one number per line, or a CSV with a header."""

import asyncio
import contextlib
import csv
import os
import re
import stat
import sys
import threading
import unicodedata
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

from ccari.errors import ListError, why
from ccari.gating.labels import unnumbered
from ccari.lists.lines import CsvRow, Lines, csv_rows, no_csv
from ccari.lists.unchecked import Unchecked
from ccari.policy.numbers import Number, NumberFault, may_be_foreign, parse
from ccari.ports.lists import Doubts, LineFault, Source

_T = TypeVar("_T")

#: Large enough that handing a batch to another thread and to the database costs little, and small enough for the memory.
BATCH_ROWS = 2000
STDIN = "-"
#: The column with the number, and those that stand for it in an export.
NUMBER, _KEYED = "number", ("digest", "key_version")
_DELIMITERS = ",;\t"
#: Unicode's blanks other than the plain space, which spreadsheets and word processors put between groups of digits.
_BLANKS = dict.fromkeys(
    map(ord, filter(lambda each: unicodedata.category(each) == "Zs", map(chr, range(0x80, 0x3001)))), " "
)
_PLAIN = frozenset("+0123456789 -.()")
#: A first line from which Excel takes the delimiter. The header says it too.
_FOR_EXCEL = re.compile(r"sep=[,;\t]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One valid row. ``number``: None only if the file has ``digest`` and ``key_version`` among its ``fields`` instead.

    ``fields``: the other columns by name, stripped, with plain spaces only; if the list's columns are given, without control and invisible
    characters other than line breaks. ``raw``: the row as in the file, with the end of its line.
    """

    line: int
    number: Number | None
    fields: Mapping[str, str]
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file as it was when its reading began."""

    descriptor: int
    status: os.stat_result

    @classmethod
    def of(cls, file: BinaryIO) -> Self:
        return cls(file.fileno(), os.fstat(file.fileno()))

    @property
    def changed(self) -> bool:
        """Whether somebody has written into it since. Always False for a pipe."""
        now = os.fstat(self.descriptor)
        return stat.S_ISREG(now.st_mode) and (now.st_size, now.st_mtime_ns) != (
            self.status.st_size,
            self.status.st_mtime_ns,
        )


class NumberList:
    """An asynchronous context manager over one file (``-`` is standard input), or over another source of lines.

    The file is a plain list (one number per line; blank lines and lines that begin with # are skipped) or a CSV. The header
    of a CSV, in any case and order, has ``number``, and no column that is not in ``columns`` (None: any columns). Its cells are
    separated by commas, semicolons or tabs. UTF-8, with or without BOM.

    ``country``: of numbers without a plus (ISO 3166 alpha-2). ``required``: columns that the header must have; then a plain
    list is refused. ``keyed``: columns that a CSV must have if it has ``digest`` and ``key_version`` instead of ``number``;
    None: it may not have those.

    ``header``: the header as it is in the file, with a line ``sep=;`` before it; empty for a plain list. ``read`` and ``size`` (None if unknown): in bytes.
    ``sha256``: of the file, once all batches have been taken.

    ``doubts`` and ``unchecked``: as in :class:`ccari.ports.lists.RemainingLines`, by what has been read. Columns are only left unchecked if
    any may be there.

    Raises
    ------
    ListError
        On entry, if the file cannot be read or is neither; while reading, if the disk or the pipe fails.
    """

    def __init__(
        self, path: Path | Source, country: str, columns: Collection[str] | None = (), *,
        required: Collection[str] = (), keyed: Collection[str] | None = None,
    ) -> None:  # fmt: skip
        self._source = path
        self._name = str(path) if isinstance(path, Path) else "the list"
        self._country = country
        self._columns = None if columns is None else tuple(columns)
        self._required = tuple(required)
        self._keyed = None if keyed is None else tuple(keyed)

    async def __aenter__(self) -> Self:
        """In a thread: the first line may not have arrived yet."""
        await asyncio.to_thread(self._open)
        return self

    def _open(self) -> None:
        with _as_list_error(self._name), contextlib.ExitStack() as closing:
            self.size: int | None = None
            self._opened: _Opened | None = None
            if isinstance(self._source, Path):
                file: BinaryIO = (
                    sys.stdin.buffer
                    if self._name == STDIN
                    else closing.enter_context(self._source.open("rb"))
                )
                self._opened = _Opened.of(file)
                self.size = self._opened.status.st_size or None
                self._lines = Lines(file)
            else:
                self._lines = Lines(self._source)
            self.header = b""
            self.doubts = Doubts()
            self._unchecked = Unchecked(self._country, NUMBER)
            #: Already makes the next batch.
            self._ahead: asyncio.Task[list[Any]] | None = None
            #: Held while a thread reads the file.
            self._reading = threading.Lock()
            self._rows = self._begin()
            self._closing = closing.pop_all()

    async def __aexit__(self, *_: object) -> None:
        if self._ahead is not None:
            # the consumer of the batches has given up
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)
        # a thread that waits for the next line, from a pipe say, cannot be cancelled: closing the file would wait for it and block the
        # loop, so that no signal would end the command
        if self._reading.acquire(blocking=False):
            try:
                self._closing.close()
            finally:
                self._reading.release()

    @property
    def read(self) -> int:
        return self._lines.read

    @property
    def sha256(self) -> bytes:
        return self._lines.sha256

    @property
    def unchecked(self) -> list[str]:
        return self._unchecked.columns

    async def batches(
        self, make: Callable[[Row], _T | LineFault], *, ahead: bool = False
    ) -> AsyncIterator[list[_T | LineFault]]:
        """The result of ``make`` for each row, and the faults, in the order of the file. ``make`` runs in a thread. Iterate only once.

        ``ahead``: make the next batch while the caller works on the current one.

        Raises
        ------
        ListError
            If the file cannot be read to its end, or was changed meanwhile: half of it may be the old one's, or still be missing.
        """

        def batch() -> list[_T | LineFault]:
            with self._reading, _as_list_error(self._name):
                made = [
                    row if isinstance(row, LineFault) else make(row) for row in islice(self._rows, BATCH_ROWS)
                ]
                if len(made) < BATCH_ROWS and self._opened is not None and self._opened.changed:
                    raise ListError(
                        f"{self._name} was changed while it was read: run this again once it is whole"
                    )
                return made

        while rows := await (self._ahead or asyncio.to_thread(batch)):
            self._ahead = asyncio.create_task(asyncio.to_thread(batch)) if ahead else None
            yield rows

    def _begin(self) -> Iterator[Row | LineFault]:
        """Decide the file's format by its first line that is not blank."""
        before = b""
        while True:
            line = self._lines.take()
            if line is None:
                return iter(())
            if isinstance(line.content, LineFault):
                raise self._error(line.number, line.content.why)
            text = _spaced(line.content).strip(" ")
            if line.number == 1 and _FOR_EXCEL.fullmatch(text):
                before = line.raw
            elif text and not text.startswith("#"):
                break
        if set(text) <= _PLAIN:
            if self._required:
                raise self._error(
                    line.number,
                    f"the file must be a CSV with the columns number, {', '.join(self._required)}",
                )
            self._lines.put_back([line])
            return self._plain()
        try:
            delimiter, names = _header(text)
        except csv.Error as error:
            raise self._error(line.number, no_csv(error)) from None
        self._check_header(line.number, names)
        self.header = before + line.raw
        return (self._row(row, names) for row in csv_rows(self._lines, delimiter))

    def _check_header(self, line: int, names: list[str]) -> None:
        key = (NUMBER,) if self._keyed is None or NUMBER in names else (*_KEYED, *self._keyed)
        if not {NUMBER, *key[: len(_KEYED)]} & set(names):
            raise self._error(line, _NEITHER)
        for place, name in enumerate(names, 1):
            if self._columns is None and name != NUMBER:
                # nobody reads it
                continue
            if not name:
                raise self._error(line, f"column {place} has no name: name it, or remove it")
            if self._columns is not None and name not in {*key, *self._columns}:
                known = ", ".join((*key, *self._columns))
                raise self._error(line, f"{_shown(name)} is not a known column: use {known}")
            if names.count(name) > 1:
                raise self._error(line, f"the column {_shown(name)} appears twice")
        for name in (*key, *self._required):
            if name not in names:
                raise self._error(line, f"the column {name!r} is missing")

    def _plain(self) -> Iterator[Row | LineFault]:
        while (line := self._lines.take()) is not None:
            if isinstance(line.content, LineFault):
                yield line.content
            elif (text := _spaced(line.content).strip(" ")) and not text.startswith("#"):
                if fault := _unseen(text):
                    yield LineFault(line.number, NUMBER, fault)
                else:
                    yield self._parsed(line.number, text, {}, line.raw)

    def _row(self, row: CsvRow, names: list[str]) -> Row | LineFault:
        line, cells, raw = row
        if isinstance(cells, LineFault):
            return cells
        if len(cells) != len(names):
            return _unequal(line, len(cells), len(names))
        texts = [_spaced(cell).strip(" ") for cell in cells]
        fields = dict(zip(names, texts, strict=True))
        for name, text in fields.items():
            if (fault := _unseen(text)) and (self._columns is not None or name == NUMBER):
                return LineFault(line, name, fault)
        if NUMBER not in fields:
            return Row(line, None, fields, raw)
        number = fields.pop(NUMBER)
        if self._columns is None:
            self._unchecked.look(names, texts)
        return self._parsed(line, number, fields, raw)

    def _parsed(self, line: int, text: str, fields: Mapping[str, str], raw: bytes) -> Row | LineFault:
        number = parse(text, self._country)
        if isinstance(number, NumberFault):
            return LineFault(line, NUMBER, _ROUNDED if _EXPONENT.fullmatch(text) else number.words)
        if may_be_foreign(text, self._country):
            self.doubts = Doubts(self.doubts.numbers + 1, self.doubts.first_line or line)
        return Row(line, number, fields, raw)

    def _error(self, line: int, words: str) -> ListError:
        return ListError(f"{self._name}: line {line}: {words}")


#: What a spreadsheet makes of a long number: the digits that it leaves out are lost.
_EXPONENT = re.compile(r"\+?\d+(?:[.,]\d+)?[Ee]\+?\d+")
_ROUNDED = (
    "a spreadsheet has rounded it, and its last digits are lost: make the file again, with the column as text"
)
_NEITHER = "it is neither a telephone number nor the header of a CSV with a column 'number'"


def _unequal(line: int, cells: int, names: int) -> LineFault:
    """Excel may leave out the delimiters before empty last cells. Such a row is refused all the same: one that was
    cut off looks like it, such as a consent without its withdrawal.
    """
    if cells > names:
        return LineFault(line, None, f"it has more cells than the header: {cells}, not {names}: put quotation marks around a cell that contains the delimiter")  # fmt: skip
    return LineFault(line, None, f"it has fewer cells than the header: {cells}, not {names}: if Excel left out empty last ones, put a column that is never empty last")  # fmt: skip


def _shown(name: str) -> str:
    """A column's name, for an error. In a list without a header it may be a number, which is not shown."""
    return repr(unnumbered(name)[:40])


def _spaced(text: str) -> str:
    """With a plain space for every other blank."""
    return text if text.isprintable() else text.translate(_BLANKS)


def _unseen(text: str) -> str | None:
    """What is wrong with a text in which nobody would see why it is wrong; None if it has no such character. Line breaks are allowed."""
    if text.isprintable() or text.replace("\n", "").isprintable():
        return None
    found = next(each for each in text if each != "\n" and not each.isprintable())
    if unicodedata.category(found) == "Cc":
        return "it contains a control character"
    return f"it contains an invisible character, U+{ord(found):04X}: remove it, or type the cell again"


def _header(text: str) -> tuple[str, list[str]]:
    """The delimiter that yields the most names in the header, and the names."""
    names = {delimiter: next(csv.reader([text], delimiter=delimiter)) for delimiter in _DELIMITERS}
    best = max(names, key=lambda delimiter: len(names[delimiter]))
    return best, [name.strip(" ").casefold() for name in names[best]]


@contextlib.contextmanager
def _as_list_error(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ListError(f"cannot read {name}: {why(error)}") from None
