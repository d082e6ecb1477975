"""Prints results: tables for people, JSON for programs, and progress bars on standard error."""

import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ccari.cli.plain import printable
from ccari.errors import CcariError, why


def as_json(value: object, *, err: bool = False) -> None:
    """Print as indented JSON. ``err``: on standard error, if standard output already carries the command's list."""
    stream = sys.stderr if err else sys.stdout
    try:
        text = orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
    except TypeError:
        # orjson refuses the name of a file that is not UTF-8
        text = json.dumps(value, default=str, indent=2)
    stream.write(f"{text}\n")


def as_list(
    rows: Sequence[dict[str, Any]], columns: Mapping[str, str], *, json: bool, none: str, limit: int | None = None,
    shown: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
) -> None:  # fmt: skip
    """Print a list: as ``json``, or like :func:`as_table`, with ``shown`` applied to each row. ``limit``: the most rows that were asked
    for.
    """
    if json:
        as_json(rows)
    else:
        as_table(list(map(shown, rows)) if shown else rows, columns, none=none)
    _tell_of_more(len(rows), limit)


def with_short_digest(row: dict[str, Any]) -> dict[str, Any]:
    """The row for a table, with its keyed digest shortened to what tells it from others."""
    return {**row, "digest": row["digest"][:12]}


def _tell_of_more(rows: int, limit: int | None) -> None:
    """Say on standard error that the list was, or may have been, cut off: otherwise the first hundred rows would look like all."""
    if rows and rows == limit:
        sys.stdout.flush()
        sys.stderr.write(f"these are the first {limit}, and there may be more: see --limit\n")


@contextlib.contextmanager
def telling(done: str) -> Iterator[None]:
    """Print the result of a completed change. If that fails, the error says ``done``: a user who believes that the command failed would
    run it again.

    Raises
    ------
    CcariError
        If standard output cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        raise CcariError(f"{done}; the output could not be printed: {why(error)}") from None


@contextlib.contextmanager
def afterwards(done: str) -> Iterator[None]:
    """Look up what follows from a completed change. If that fails, the error says ``done``, as in :func:`telling`.

    Raises
    ------
    CcariError
        If it cannot be looked up.
    """
    try:
        yield
    except CcariError as error:
        raise CcariError(f"{done}; what follows from it could not be looked up: {error}") from None


def as_done(done: object, words: str, *, json: bool) -> None:
    """Print the result of a completed change, as JSON or in ``words``. Raises like :func:`telling`."""
    with telling(words):
        if json:
            as_json(done)
        else:
            sys.stdout.write(words + "\n")


async def stream_json(
    batches: AsyncGenerator[Iterable[Mapping[str, Any]], None], *, limit: int | None
) -> None:
    """Print a list as JSON, one row a line, without holding all of it."""
    before, printed = "[\n", 0
    # if the reader stops, the batches must be closed while the database is still open
    async with contextlib.aclosing(batches):
        async for rows in batches:
            for row in rows:
                sys.stdout.write(f"{before}  {orjson.dumps(dict(row), default=str).decode()}")
                before = ",\n"
                printed += 1
    sys.stdout.write("\n]\n" if printed else "[]\n")
    _tell_of_more(printed, limit)


def as_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, none: str) -> None:
    """Print a table. ``columns``: the heading of each field of the rows. ``none``: what to print if there are no rows.

    A ``Text`` value keeps its colour. If the terminal is too narrow for the table, each row is printed as a block of lines.
    """
    if not rows:
        sys.stdout.write(none + "\n")
        return
    # as Text, so that [brackets] in free text are not read as rich's markup
    cells = [
        [value if isinstance(value := row[name], Text) else Text(cell(value)) for name in columns]
        for row in rows
    ]
    screen = console()
    widths = _fitted([list(each) for each in zip(columns.values(), *cells, strict=True)], screen.width)
    if widths is None and screen.is_terminal:
        screen.print(_records(list(columns.values()), cells))
        return
    table = Table(header_style="bold", box=None, pad_edge=False)
    for index, heading in enumerate(columns.values()):
        # as Text too: in a string, rich looks for emoji, whose names take 10 ms to load
        table.add_column(Text(heading), overflow="fold", width=widths[index] if widths else None)
    for each in cells:
        table.add_row(*each)
    screen.print(table)


#: Spaces between two columns.
_GAP = 2


def _fitted(columns: Sequence[Sequence[str | Text]], room: int) -> list[int] | None:
    """The width of each column if all fit into ``room`` characters with line breaks only between words, so that ids can be copied; None
    if they do not fit. ``columns``: the heading of each, and its cells.
    """
    texts = [[str(each) for each in column] for column in columns]
    widths = [max(cell_len(text) for text in column) for column in texts]
    longest_words = [
        max(cell_len(word) for text in column for word in text.split() or [""]) for column in texts
    ]
    room -= _GAP * (len(widths) - 1)
    if sum(longest_words) > room:
        return None
    while sum(widths) > room:
        spare = [width - least for width, least in zip(widths, longest_words, strict=True)]
        widths[spare.index(max(spare))] -= 1
    return widths


def _records(headings: Sequence[str], rows: Sequence[Sequence[Text]]) -> Table:
    """The rows as blocks, with a line for each value."""
    records = Table(box=None, pad_edge=False, show_header=False)
    records.add_column(style="bold", no_wrap=True)
    records.add_column(overflow="fold")
    for place, row in enumerate(rows):
        if place:
            records.add_row()
        for heading, value in zip(headings, row, strict=True):
            records.add_row(heading, value)
    return records


@contextlib.contextmanager
def watched(doing: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, if that is a terminal. Yields a function to call with the number done."""
    error_console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=error_console, disable=not error_console.is_terminal, transient=True
    ) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.update(task, completed=done)


def console() -> Console:
    """A console as wide as the terminal; 240 columns into a pipe, so that cells are not broken over lines."""
    return Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=240)


def day(at: datetime) -> str:
    """The day of a moment, in the time zone in which :func:`cell` shows moments."""
    return f"{at.astimezone():%Y-%m-%d}"


def cell(value: object) -> str:
    """A value as people read it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(cell, value))
        case datetime():
            # with its time zone: in evidence, it must be clear which day it was
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        case _:
            return printable(str(value), but="\n\t")
