"""``ccari gate``."""

import asyncio
from typing import Annotated, Any

import typer

from ccari.cli.context import Json, note, policy_book, vouched, with_store
from ccari.cli.output import as_json
from ccari.config import Settings
from ccari.gating.inquiry import Inquiry
from ccari.ports.accesses import Looked
from ccari.sounds.soundboard import open_soundboard
from ccari.store.journal_key import JournalKey
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
        book, prompts = await policy_book(store), open_soundboard(settings)
        # as the service would answer: not at all while rights wait on this node
        waiting = LocalJournalFiles(settings.data_dir, JournalKey(settings.keys_dir).read)
        facts = SpoolingCallStore(store.database, waiting, asyncio.Event())
        inquiry = Inquiry(book, facts, await vouched(settings, store), prompts)
        if of := inquiry.subject(number, campaign):
            await note(store, Looked.NUMBER_GATED, of)
        return await inquiry.answer(number, campaign)

    found = with_store(context, work)
    if json:
        as_json(found)
    else:
        typer.echo(f"{found['verdict']} {found['reason']}".strip())
        if found["why"]:
            typer.echo(f"ccari: {found['why']}", err=True)
    raise typer.Exit(1 if found["reason"] else 0)
