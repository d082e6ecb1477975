"""``ccari demo``: prepares and plays the demonstration calls."""

import asyncio
import contextlib
import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from ccari import log
from ccari.cli.doctor.addresses import bind
from ccari.cli.sounds import progress_bar, prompts_of
from ccari.config import Settings
from ccari.demo.run import policy_document, run, run_beside
from ccari.demo.world import WorldSettings
from ccari.errors import CcariError, why
from ccari.keyring.journal_key import JournalKey
from ccari.keyring.secrets import Holder, SecretStore
from ccari.policy.declaration import read
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.recipients import RecipientFile
from ccari.sounds import Catalogue, EspeakNg, build
from ccari.sounds.soundboard import shipped_sounds
from ccari.store.opened import open_store


def command(
    context: typer.Context,
    *,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Leave everything running afterwards, so that you can open the console and dial in.",
        ),
    ] = False,
    beside: Annotated[
        bool,
        typer.Option(
            "--beside", help="Place one call with a service that is already running: docker/README.md."
        ),
    ] = False,
) -> None:
    """Place real calls between two Asterisks and show each. Exit status 0 if all end as expected.

    This needs the laboratory that comes with the source: make demo.
    """
    WorldSettings.from_environment()
    settings: Settings = context.obj.settings()
    log.configure("console", "warning", sys.stderr)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    if not beside:
        _check_port(settings.http.listen)
    asyncio.run(_prepare(settings))
    _build_sounds(settings, console)
    if beside:
        raise typer.Exit(0 if asyncio.run(run_beside(settings, console)) else 1)
    # for the service, which the demo starts as a process and watches through its log
    os.environ["CCARI_LOG__FORMAT"] = "json"
    succeeded = False
    with contextlib.suppress(KeyboardInterrupt):
        succeeded = asyncio.run(run(settings, console, keep=keep))
    raise typer.Exit(0 if succeeded or keep else 1)


def _check_port(listen: str) -> None:
    """Check early, before the slow steps. Raises CcariError if the demo's service could not listen there."""
    host, _, port = listen.rpartition(":")
    try:
        bind(host.strip("[]"), int(port))
    except OSError as error:
        raise CcariError(
            f"the demo's service cannot listen on {listen}: {why(error)}: give it another port, for example "
            "CCARI_HTTP__LISTEN=127.0.0.1:8091 make demo"
        ) from None


async def _prepare(settings: Settings) -> None:
    async with open_store(settings) as store:
        newest = await store.policies.newest()
        if newest is not None and newest.document != policy_document():
            raise CcariError(
                f"{settings.data_dir} is in use with another policy: give the demo a data_dir of its own"
            )
        await store.policies.apply(policy_document(), "demo")
        secrets = await store.key_versions.vouch(SecretStore(settings.keys_dir))
        for controller in read(policy_document()).controllers:
            holder = Holder("controller", controller.id)
            if secrets.lacks(holder):
                await store.key_versions.make(secrets, holder)
    RecipientFile(settings.keys_dir).create()
    SigningKeys(settings.keys_dir).create()
    JournalKey(settings.keys_dir).create()


def _build_sounds(settings: Settings, console: Console) -> None:
    console.print(f"Speaking the prompts of the demo's campaigns into {settings.sounds_dir}")
    prompts = prompts_of(read(policy_document()), Catalogue.load(shipped_sounds() / "catalogue.toml"))
    with progress_bar() as report:
        build(prompts, settings.sounds_dir, engine=EspeakNg(), shipped=shipped_sounds(), on_progress=report)
