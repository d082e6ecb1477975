"""Prints results: tables for people, JSON for programs, and progress bars on standard error."""

import contextlib
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ccari.errors import CcariError, why


def as_json(value: object, *, err: bool = False) -> None:
    """Print as indented JSON. ``err``: on standard error, if standard output already has the command's list."""
    stream = sys.stderr if err else sys.stdout
    stream.write(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")


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


async def stream_json(batches: AsyncGenerator[Iterable[Mapping[str, Any]], None]) -> None:
    """Print a list as JSON without holding all of it: one row on each line."""
    before = "[\n"
    # if nobody reads on, the batches must be closed while the database is still open
    async with contextlib.aclosing(batches):
        async for rows in batches:
            for row in rows:
                sys.stdout.write(f"{before}  {orjson.dumps(dict(row), default=str).decode()}")
                before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


def as_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, none: str) -> None:
    """Print a table. ``columns``: the heading of each field of the rows. ``none``: what to print if there are no rows.

    A value that is a ``Text`` keeps its colour.
    """
    if not rows:
        sys.stdout.write(none + "\n")
        return
    table = Table(header_style="bold", box=None, pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        # as Text, so that [brackets] in what people have written are not taken for rich's markup
        table.add_row(
            *(value if isinstance(value := row[name], Text) else Text(cell(value)) for name in columns)
        )
    console().print(table)


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
            return str(value)
