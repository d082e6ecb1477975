"""Prints results: tables for people, JSON for programs, and progress bars on standard error."""

import contextlib
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
    """Print as indented JSON. ``err``: on standard error, if standard output already has the command's list."""
    stream = sys.stderr if err else sys.stdout
    stream.write(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")


def as_list(
    rows: Sequence[dict[str, Any]], columns: Mapping[str, str], *, json: bool, none: str, limit: int | None = None,
    shown: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
) -> None:  # fmt: skip
    """Print a list: as ``json``, or as :func:`as_table` does, in which each row stands as ``shown`` gives it. ``limit``: how many rows
    were asked for at most.
    """
    if json:
        as_json(rows)
    else:
        as_table(list(map(shown, rows)) if shown else rows, columns, none=none)
    _tell_of_more(len(rows), limit)


def with_short_digest(row: dict[str, Any]) -> dict[str, Any]:
    """The row for a table, with so much of its keyed digest as tells it from others."""
    return {**row, "digest": row["digest"][:12]}


def _tell_of_more(rows: int, limit: int | None) -> None:
    """Say on standard error that the list was cut off, or may have been: else the first hundred rows pass for all there are."""
    if rows and rows == limit:
        sys.stdout.flush()
        sys.stderr.write(f"these are the first {limit}, and there may be more: see --limit\n")


@contextlib.contextmanager
def telling(done: str) -> Iterator[None]:
    """Print the result of a change that is made already. If that fails, the error says ``done``: whoever believes that the command
    has failed would run it again.

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


def as_done(done: object, words: str, *, json: bool) -> None:
    """Print the result of a change that is made already, as JSON or in ``words``. Raises as :func:`telling`."""
    with telling(words):
        if json:
            as_json(done)
        else:
            sys.stdout.write(words + "\n")


async def stream_json(
    batches: AsyncGenerator[Iterable[Mapping[str, Any]], None], *, limit: int | None = None
) -> None:
    """Print a list as JSON without holding all of it: one row on each line."""
    before, printed = "[\n", 0
    # if nobody reads on, the batches must be closed while the database is still open
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

    A value that is a ``Text`` keeps its colour. On a terminal that is too narrow for the table, the rows stand one below the other.
    """
    if not rows:
        sys.stdout.write(none + "\n")
        return
    # as Text, so that [brackets] in what people have written are not taken for rich's markup
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
        table.add_column(heading, overflow="fold", width=widths[index] if widths else None)
    for each in cells:
        table.add_row(*each)
    screen.print(table)


#: Spaces between two columns.
_GAP = 2


def _fitted(columns: Sequence[Sequence[str | Text]], room: int) -> list[int] | None:
    """How wide each column is where all fit into ``room`` characters and lines are broken between words only, so that an id can be
    copied; None if they do not fit. ``columns``: the heading of each, and its cells.
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
    """The rows one below the other, a line for each value."""
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
    """A progress bar on standard error, if that is a terminal. Yields a function to call with how many are done."""
    error_console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=error_console, disable=not error_console.is_terminal, transient=True
    ) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.update(task, completed=done)


def console() -> Console:
    """A console that is as wide as the terminal; 240 columns into a pipe, so that cells are not broken over lines."""
    return Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=240)


def cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            # with its time zone: in evidence, it must be clear which day it was
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        case _:
            return printable(str(value), but="\n\t")
