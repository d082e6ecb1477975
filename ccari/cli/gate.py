"""``ccari gate``: asks the gate about one number."""

import asyncio
from typing import Annotated, Any

import typer

from ccari.cli.context import Json, note, policy_book, vouched, with_store
from ccari.cli.output import as_json
from ccari.config import Settings
from ccari.gating.inquiry import Inquiry
from ccari.ports.accesses import Looked
from ccari.recordings.evidence.newest import NewestSeal
from ccari.sounds.prompter import open_prompter
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.opened import Store
from ccari.store.replaying import SpoolingCallStore


def command(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="The number, as it would be dialled.")],
    campaign: Annotated[str, typer.Option(help="The campaign of the call.")],
    *,
    json: Json = False,
) -> None:
    """Ask whether a number may be called now. Nothing is dialled or counted.

    Exit status 0: allowed; 1: blocked, with the reason on standard error.
    """

    async def work(settings: Settings, store: Store) -> dict[str, Any]:
        book, prompts = await policy_book(store), open_prompter(settings)
        # as in the service, every call is blocked while rights wait in this node's local journal, and on an older database
        waiting = LocalJournalFiles.of(settings)
        newest = NewestSeal(settings.data_dir, store.seals)
        await newest.check()
        facts = SpoolingCallStore(store.database, waiting, asyncio.Event(), refuse_older=newest.refuse_older)
        inquiry = Inquiry(book, facts, await vouched(settings, store), prompts)
        if subject := inquiry.subject(number, campaign):
            await note(store, Looked.NUMBER_GATED, subject)
        return await inquiry.answer(number, campaign)

    answer = with_store(context, work)
    if json:
        as_json(answer)
    else:
        typer.echo(f"{answer['verdict']} {answer['reason']}".strip())
        if answer["why"]:
            typer.echo(f"ccari: {answer['why']}", err=True)
    raise typer.Exit(1 if answer["reason"] else 0)
