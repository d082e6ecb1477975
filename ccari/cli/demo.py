"""``ccari demo``."""

import asyncio
import contextlib
import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from ccari import log
from ccari.cli.sounds import progress_bar, prompts_of
from ccari.config import Settings
from ccari.demo.run import policy_document, run
from ccari.demo.world import WorldSettings
from ccari.errors import CcariError
from ccari.policy.declaration import read
from ccari.recordings.keys import RecipientFile, SigningKeys
from ccari.sounds import Catalogue, EspeakNg, build
from ccari.sounds.soundboard import shipped_sounds
from ccari.store.journal_key import JournalKey
from ccari.store.opened import Store, open_store
from ccari.store.secrets import SecretStore


def command(
    context: typer.Context,
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running afterwards, to dial in.")
    ] = False,
) -> None:
    """Place real calls between two Asterisks and show each. Exit status 0 if all end as they should.

    It runs in the laboratory that comes with the source: make demo.
    """
    WorldSettings.from_environment()
    settings: Settings = context.obj.settings()
    log.configure("console", "warning", sys.stderr)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    asyncio.run(_prepare(settings))
    _speak(settings, console)
    # the service that the demo starts is a process of its own, and logs as machines read it
    os.environ["CCARI_LOG__FORMAT"] = "json"
    well = False
    with contextlib.suppress(KeyboardInterrupt):
        well = asyncio.run(run(settings, console, keep=keep))
    raise typer.Exit(0 if well or keep else 1)


async def _prepare(settings: Settings) -> None:
    async def apply(store: Store) -> None:
        newest = await store.policies.newest()
        if newest is not None and newest.document != policy_document():
            raise CcariError(
                f"{settings.data_dir} is in use with another policy: the demo wants a data_dir of its own"
            )
        await store.policies.apply(policy_document(), "demo")

    async with open_store(settings) as store:
        await apply(store)
    for controller in read(policy_document()).controllers:
        SecretStore(settings.keys_dir).create(controller.id)
    RecipientFile(settings.keys_dir).create()
    SigningKeys(settings.keys_dir).create()
    JournalKey(settings.keys_dir).create()


def _speak(settings: Settings, console: Console) -> None:
    console.print(f"Speaking the prompts of the demo's campaigns into {settings.sounds_dir}")
    prompts = prompts_of(read(policy_document()), Catalogue.load(shipped_sounds() / "catalogue.toml"))
    with progress_bar() as report:
        build(prompts, settings.sounds_dir, engine=EspeakNg(), on_progress=report)
