"""``ccari policy``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ccari.app import Store, soundboard
from ccari.cli.context import Json, who, with_store
from ccari.cli.output import as_json
from ccari.config import Settings
from ccari.errors import CcariError, ConfigError, SoundError
from ccari.policy.declaration import NoticePrompt, Policy, PolicyError, read
from ccari.store.secrets import SecretStore

app = typer.Typer(help="Controllers and campaigns, as declared.")

File = Annotated[Path, typer.Argument(help="A policy.toml.")]


@app.command()
def check(file: File) -> None:
    """Say what is wrong in a policy file, without applying it."""
    _, policy = read_policy(file)
    typer.echo(f"{file} is sound: {len(policy.controllers)} controllers, {len(policy.campaigns)} campaigns")
    for doubt in _doubtful(policy):
        typer.echo(f"think again: {doubt}", err=True)


@app.command()
def apply(context: typer.Context, file: File) -> None:
    """Make a policy file the newest revision. Calls in progress keep the one they began under."""
    document, policy = read_policy(file)

    async def work(_: Settings, store: Store) -> int:
        return await store.policies.apply(document, who())

    typer.echo(f"revision {with_store(context, work)} is in force")
    for doubt in _doubtful(policy):
        typer.echo(f"think again: {doubt}", err=True)
    for advice in _lacking(context.obj.settings(), policy):
        typer.echo(f"calls stay blocked until you run: {advice}", err=True)


@app.command()
def show(context: typer.Context, *, json: Json = False) -> None:
    """Print the policy in force."""

    async def work(_: Settings, store: Store) -> None:
        revision = await store.policies.newest()
        if revision is None:
            raise CcariError("no policy has been applied: ccari policy apply FILE")
        if json:
            as_json({"revision": revision.number, **revision.policy.model_dump(mode="json", by_alias=True)})
        else:
            typer.echo(f"# revision {revision.number}\n{revision.document}")

    with_store(context, work)


def _lacking(settings: Settings, policy: Policy) -> Iterator[str]:
    """The commands without which no call can be made under the policy."""
    secrets = SecretStore(settings.keys_dir)
    try:
        for controller in policy.controllers:
            secrets.check(controller.id)
    except ConfigError:
        yield "ccari keys init"
    prompts = soundboard(settings)
    try:
        for campaign in policy.campaigns:
            prompts.script(policy.controller_of(campaign), campaign)
    except SoundError:
        yield "ccari sounds build"


def _doubtful(policy: Policy) -> Iterator[str]:
    """What is allowed, but which a data-protection officer would ask about."""
    for campaign in policy.campaigns:
        if NoticePrompt.RIGHTS not in campaign.notice.prompts:
            yield f"{campaign.id!r} never tells of the right to object (Art 21(4)): add rights to notice.prompts"
        if NoticePrompt.IDENTITY not in campaign.notice.prompts:
            yield f"{campaign.id!r} never says on whose behalf it calls (Art 14(1)): add identity to notice.prompts"


def read_policy(file: Path) -> tuple[str, Policy]:
    """The text of a policy file and what it declares."""
    try:
        document = file.read_text("utf-8")
    except OSError as error:
        raise CcariError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CcariError(f"{file} is not UTF-8 text") from None
    try:
        return document, read(document)
    except PolicyError as error:
        raise CcariError("\n".join(f"{file}: {line}" for line in str(error).splitlines())) from None
