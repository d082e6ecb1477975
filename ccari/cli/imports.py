"""What imports of lists share: a progress bar, and the report at the end."""

import contextlib
import sys
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ccari.cli.context import current_policy, vouched
from ccari.cli.output import as_json
from ccari.config import Settings
from ccari.counting import counted
from ccari.lists import NumberList
from ccari.lists.importing import Lists
from ccari.ports.lists import Doubts, LineFault, Report
from ccari.store.opened import Store

_T = TypeVar("_T")

ListFile = Annotated[
    Path,
    typer.Argument(
        help="One number per line, or a CSV with a column 'number' in its header; - is standard input."
    ),
]
KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going",
        help="Import the valid lines even if others are invalid; default: an invalid line keeps the whole file out.",
    ),
]


class Watch:
    """The progress bar of one import, on standard error where that is a terminal."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    async def reading(self, listed: NumberList, batches: AsyncIterable[_T]) -> AsyncIterator[_T]:
        async for batch in batches:
            self._progress.update(self._task, completed=listed.read, total=listed.size)
            yield batch

    def entering(self, done: int, of: int) -> None:
        self._progress.update(self._task, description="entering", completed=done, total=of)


@contextlib.contextmanager
def watched() -> Iterator[Watch]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield Watch(progress, progress.add_task("reading", total=None))


async def the_lists(settings: Settings, store: Store) -> Lists:
    """The importer of lists, under the policy in force."""
    return Lists(
        await current_policy(store),
        await vouched(settings, store),
        store.suppressions,
        store.contacts,
        store.consents,
        ahead=True,
    )


def tell(report: Report, *, json: bool, barred: Mapping[str, int] | None = None) -> None:
    """Print the report. Exit status 1 if nothing was imported.

    ``barred``: how many lines were left out because of a bar, by the gate's reason; None for a list whose lines are never left out.
    """
    tell_doubts(report.doubts)
    fields = report.as_dict(barred)
    lines = fields["lines"]
    if json:
        as_json(fields)
    else:
        tell_faults(report.faults, report.invalid)
        if report.taken:
            parts = [
                f"{report.accepted} accepted",
                f"{report.duplicate} already known",
                f"{report.invalid} invalid",
                *(f"{number} {reason}" for reason, number in (barred or {}).items()),
                *([] if report.dropped is None else [f"{report.dropped} no longer listed"]),
            ]
            typer.echo(f"{counted(lines, 'line')}: {', '.join(parts)}")
    if not report.taken:
        sys.stdout.flush()
        typer.echo(
            f"ccari: nothing was changed: {report.invalid} of {counted(lines, 'line is', 'lines are')} invalid: "
            "correct the file, or import the rest with --keep-going",
            err=True,
        )
        raise typer.Exit(1)


def tell_doubts(doubts: Doubts) -> None:
    """Warn, on standard error, of numbers that may have been read as somebody else's."""
    if doubts.numbers:
        typer.echo(
            f"ccari: {counted(doubts.numbers, 'number')}, the first in line {doubts.first_line}, may have been read as somebody else's: "
            "without a first 0 it is one of the list's country, and with a + one of another: if a spreadsheet has dropped the +, import "
            "the column as text",
            err=True,
        )


def tell_faults(faults: Sequence[LineFault], invalid: int) -> None:
    """Print each fault on its own line of standard error, and how many more invalid lines there are."""
    for fault in faults:
        where = f"line {fault.line}: {fault.column}" if fault.column else f"line {fault.line}"
        typer.echo(f"{where}: {fault.why}", err=True)
    if invalid > len(faults):
        typer.echo(f"… and {invalid - len(faults)} more", err=True)
