"""``ccari subject export``: writes a person's data to one file for them."""

from pathlib import Path
from typing import Annotated

import typer

from ccari.cli.context import ControllerId, Json, NumberText, actor, current_policy, note, vouched, with_store
from ccari.cli.output import as_json
from ccari.cli.spooled import refuse_while_spooled
from ccari.config import Settings
from ccari.counting import counted
from ccari.office.naming import zone_of
from ccari.office.registers import refuse_unseen
from ccari.office.subjects import identified_person
from ccari.policy.mandate import ANSWERED_BY_EXPORT
from ccari.ports.accesses import Looked
from ccari.ports.subjects import AnswerLanguage
from ccari.recordings.reading import identities_of
from ccari.recordings.subject.giving import asked_by, words
from ccari.recordings.subject.pack import Packed, packing, place, refuse_taken
from ccari.store.opened import Store


def command(
    context: typer.Context,
    number: NumberText,
    *,
    request: Annotated[
        str,
        typer.Option(metavar="REFERENCE", help="Their request for access or portability: open, and at L2."),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE.zip", help="The file to write, readable by its owner only.")
    ],
    controller: ControllerId = None,
    identity: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Age identities that open the recordings; without them, recordings are only listed.",
        ),
    ] = None,
    language: Annotated[
        AnswerLanguage | None,
        typer.Option(
            help="Of the page to read. Default: the request's, or the one that all campaigns of the controller have; otherwise "
            "English."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Export what is held on a person (Art 15), or what they may take elsewhere (Art 20): JSON, a page to read,
    recordings.
    """
    refuse_taken(out)
    keys = identities_of(identity) if identity is not None else ()

    async def work(settings: Settings, store: Store) -> tuple[Packed, str]:
        secrets, policy = await vouched(settings, store), await current_policy(store)
        of = await identified_person(
            policy, store.subjects, secrets, number, controller, request.upper(), ANSWERED_BY_EXPORT
        )
        # the person would not be told of it
        refuse_while_spooled(settings, of.controller.id, of.subject.digests)
        await refuse_unseen(store.registers, of.registers, of.listed_as)
        holdings = await store.subjects.holdings(of.subject, of.listed_as)
        asked = await asked_by(of, store.policies, holdings, language)
        with packing(asked, holdings, settings.recordings_dir, out, zone_of(of.controller), keys) as packed:
            await note(store, Looked.SUBJECT_EXPORTED, of.access_target, of.mandate.reference)
            # recorded before the file exists, so that no export goes unrecorded
            await store.subjects.note(of.mandate, actor(), words(packed))
            place(packed, out)
        return packed, of.mandate.reference

    packed, reference = with_store(context, work)
    if json:
        as_json({
            "reference": reference, "file": out, "sha256": packed.sha256, "calls": packed.calls,
            "recordings": packed.recordings, "left_out": packed.left_out,
        })  # fmt: skip
    else:
        typer.echo(
            f"{counted(packed.calls, 'call')} and {counted(packed.recordings, 'recording')} of {reference} are in {out}"
        )
    for recording, why in packed.left_out.items():
        typer.echo(f"without the audio of recording {recording}: {why}", err=True)
    if not json:
        typer.echo(f"give it to the person safely, then: ccari requests resolve {reference}", err=True)
