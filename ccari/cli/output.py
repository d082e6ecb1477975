"""Lists for people (tables) and for programmes (JSON)."""

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
    """``err``: on standard error, where a list goes to standard output."""
    to = sys.stderr if err else sys.stdout
    to.write(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")


@contextlib.contextmanager
def telling(done: str) -> Iterator[None]:
    """Where what was done cannot be printed, say ``done`` on standard error: taken for failed, it would be done twice.

    Raises
    ------
    CcariError
        If it cannot be printed.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        raise CcariError(f"{done}; its line could not be printed: {why(error)}") from None


async def stream_json(batches: AsyncGenerator[Iterable[Mapping[str, Any]], None]) -> None:
    """As :func:`as_json`, a list that is never held whole: one row on a line."""
    before = "[\n"
    # closed while the database still is there, where nobody reads on
    async with contextlib.aclosing(batches):
        async for rows in batches:
            for row in rows:
                sys.stdout.write(f"{before}  {orjson.dumps(dict(row), default=str).decode()}")
                before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


def as_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, none: str) -> None:
    """``columns``: field of the row to heading. ``none`` is said where there is no row. A ``Text`` keeps its colour."""
    if not rows:
        sys.stdout.write(none + "\n")
        return
    table = Table(header_style="bold", box=None, pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        # what people have written is no markup, though there be [brackets] in it
        table.add_row(
            *(value if isinstance(value := row[name], Text) else Text(cell(value)) for name in columns)
        )
    console().print(table)


@contextlib.contextmanager
def watched(doing: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal; give how many are done to what it yields."""
    shown = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=shown, disable=not shown.is_terminal, transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.update(task, completed=done)


def console() -> Console:
    """Into a pipe a table is as wide as it needs to be, so that no cell is broken over lines."""
    return Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=240)


def cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            # with its zone: on a proof, the day matters
            return value.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
        case _:
            return str(value)
