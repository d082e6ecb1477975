"""``ccari policy``."""

from pathlib import Path
from typing import Annotated

import typer

from ccari.app import Store
from ccari.cli.context import Json, who, with_store
from ccari.cli.output import as_json
from ccari.config import Settings
from ccari.errors import CcariError
from ccari.policy.declaration import read

app = typer.Typer(help="Controllers and campaigns, as declared.")

File = Annotated[Path, typer.Argument(help="A policy.toml.")]


@app.command()
def check(file: File) -> None:
    """Say what is wrong in a policy file, without applying it."""
    policy = read(read_document(file))
    typer.echo(f"{file} is sound: {len(policy.controllers)} controllers, {len(policy.campaigns)} campaigns")


@app.command()
def apply(context: typer.Context, file: File) -> None:
    """Make a policy file the newest revision. Calls in progress keep the one they began under."""
    document = read_document(file)
    read(document)

    async def work(_: Settings, store: Store) -> int:
        return await store.registers.apply_policy(document, who())

    typer.echo(f"revision {with_store(context, work)} is in force")


@app.command()
def show(context: typer.Context, *, json: Json = False) -> None:
    """Print the policy in force."""

    async def work(_: Settings, store: Store) -> None:
        revision = await store.registers.newest_policy()
        if revision is None:
            raise CcariError("no policy has been applied: ccari policy apply FILE")
        if json:
            as_json({"revision": revision.number, **revision.policy.model_dump(mode="json", by_alias=True)})
        else:
            typer.echo(f"# revision {revision.number}\n{revision.document}")

    with_store(context, work)


def read_document(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise CcariError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CcariError(f"{file} is not UTF-8 text") from None
