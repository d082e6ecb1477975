"""``ccari policy information``: draws up what the people on the telephone must be told (Articles 13 and 14) by a revision of the policy."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ccari.cli import policy_source
from ccari.cli.context import ControllerId, Json, RevisionNumber
from ccari.cli.drafts import writing
from ccari.cli.output import as_json
from ccari.office.informing.information import information
from ccari.office.naming import campaign_of, the_campaign, the_controller
from ccari.ports.subjects import AnswerLanguage


class Format(StrEnum):
    HTML = "html"
    MARKDOWN = "markdown"


def command(
    context: typer.Context,
    revision: RevisionNumber = None,
    *,
    controller: ControllerId = None,
    campaign: Annotated[
        str | None,
        typer.Option(
            help="Only what concerns the people of this campaign; default: all of the controller's."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file to write it to; default: standard output.")
    ] = None,
    language: Annotated[
        AnswerLanguage | None,
        typer.Option(
            help="Of the text. Default: that of the controller's supervisory authority, or English."
        ),
    ] = None,
    format_: Annotated[
        Format,
        typer.Option(
            "--format", help="A page, or text for a letter, a message or a site of your own (Markdown)."
        ),
    ] = Format.HTML,
    json: Json = False,
) -> None:
    """Write what a controller must tell the people whom it calls, and who call it (Art 13 and 14), in full.

    What the policy does not say is marked, and listed at the end: you must add it before anybody is given the text.
    """
    source = policy_source.source(context, revision)
    policy = source.policy
    if campaign is not None and controller is None:
        controller = the_campaign(policy, campaign).controller
    whose = the_controller(policy, controller)
    only = campaign_of(policy, whose, campaign)
    if out is not None or not json:
        from ccari.office.informing import layout  # noqa: PLC0415 - no other command of policy draws one
        from ccari.office.informing.text import text  # noqa: PLC0415

        told = text(source, whose, language, only)
        # one that somebody has completed by hand must not be lost
        with writing(out, new="information for people") as file:
            file.write(layout.page(told) if format_ is Format.HTML else layout.markdown(told))
    if json:
        as_json(information(source, whose, only))
    elif out is not None:
        typer.echo(
            f"the information for the people of {whose.id!r}, of revision {source.applied.number}, is in {out}: complete it"
        )
