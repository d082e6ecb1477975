"""The command ``ccari doctor``: prints the findings, and sets the exit status."""

import asyncio
import sys

import typer
from rich.text import Text

from ccari import log
from ccari.cli.context import Json
from ccari.cli.doctor.findings import Finding, State
from ccari.cli.output import as_json, console
from ccari.cli.plain import printable

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAULT: "red"}
_WIDEST = max(map(len, State))


def command(context: typer.Context, *, json: Json = False) -> None:
    """Check everything that calls need, and say what is wrong and what to do about it. Nothing is changed.

    Run it as the service's user, before or while `ccari serve` runs. Exit status 1 if there is a fault.
    """
    # imported here, so that --help does not wait for modules that only the checks need
    from ccari.cli.doctor.rounds import examine  # noqa: PLC0415

    log.configure("console", "error", sys.stderr)
    findings = asyncio.run(examine(context.obj.config_path))
    if json:
        as_json([each.as_dict() for each in findings])
    else:
        _print(findings)
    raise typer.Exit(1 if any(each.state is State.FAULT for each in findings) else 0)


def _print(findings: list[Finding]) -> None:
    """One line for each finding, however long, so that it can be searched with grep."""
    widest, screen = max(len(each.check) for each in findings), console()
    for each in findings:
        state = (f"{each.state:<{_WIDEST}}", _COLOURS[each.state])
        words = printable(each.found + (f" -> {each.advice}" if each.advice else ""))
        screen.print(Text.assemble(state, f"  {printable(each.check):<{widest}}  {words}"), soft_wrap=True)
