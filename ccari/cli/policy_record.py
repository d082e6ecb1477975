"""``ccari policy record``: draws up the record of processing activities that a revision of the policy amounts to."""

from pathlib import Path
from typing import Annotated

import typer

from ccari.cli import policy_source
from ccari.cli.context import ControllerId, Json, RevisionNumber
from ccari.cli.drafts import writing
from ccari.cli.output import as_json
from ccari.office.naming import the_controller
from ccari.office.processing.record import RecordLanguage, record


def command(
    context: typer.Context,
    revision: RevisionNumber = None,
    *,
    controller: ControllerId = None,
    processor: Annotated[
        bool,
        typer.Option("--processor", help="Instead: that of the centre, as the processor of all of them."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="A new file to write the page to; default: standard output."),
    ] = None,
    language: Annotated[
        RecordLanguage | None,
        typer.Option(
            help="Of the page. Default: that of the controller's supervisory authority, or English."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write the record of processing activities of a controller (Art 30(1)), or of the centre (Art 30(2)), as an HTML page.

    It says what ccari does with whose data, why, for how long, and who gets them, as the policy declares it; and at its end what you must add.
    """
    if processor and controller is not None:
        raise typer.BadParameter("the centre's record covers all controllers", param_hint="--controller")

    source = policy_source.source(context, revision)
    whose = None if processor else the_controller(source.policy, controller)
    if out is not None or not json:
        from ccari.office.processing.page import page  # noqa: PLC0415 - no other command of policy draws one

        # one that somebody has completed by hand must not be lost
        with writing(out, new="record of processing") as file:
            file.write(page(source, whose, language))
    if json:
        as_json(record(source, whose))
    elif out is not None:
        typer.echo(f"the record of processing of revision {source.applied.number} is in {out}")
