"""``ccari token``: makes, lists and revokes bearer tokens of the HTTP API and the console."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from ccari.cli.context import Json, actor, current_policy, with_store
from ccari.cli.output import as_json, as_list, telling
from ccari.config import Settings
from ccari.errors import CcariError
from ccari.gating.labels import label
from ccari.office.naming import the_controller
from ccari.ports.access import Bearer, Role, fingerprint, new_token
from ccari.store.opened import Store

app = typer.Typer(help="Bearer tokens of the HTTP API.")


@app.command()
def create(
    context: typer.Context,
    *,
    role: Annotated[Role, typer.Option(help="What the holder may do.")],
    name: Annotated[
        str | None,
        typer.Option(help="The holder's name in logs and histories; default: the role and a number."),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(help="For the role agent: the agent whose events it opens, by the name in the calls."),
    ] = None,
    controller: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Only for this controller; repeatable. Default: all."),
    ] = None,
    expires: Annotated[
        int | None,
        typer.Option(
            min=1, max=3660, metavar="DAYS", help="Valid for this many days; default: until revoked."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a token and print it, once: only its hash is kept."""
    if bool(agent) is not (role is Role.AGENT):
        raise typer.BadParameter(
            "the role agent needs it, and other roles cannot have it", param_hint="--agent"
        )
    token = new_token()
    expires_at = datetime.now(UTC) + timedelta(days=expires) if expires is not None else None

    async def work(_: Settings, store: Store) -> Bearer:
        whose = None
        if controller:
            policy = await current_policy(store)
            whose = frozenset(the_controller(policy, each).id for each in controller)
        called = name or f"{role}-{len(await store.tokens.list()) + 1}"
        bearer = Bearer(
            _printable("--name", called), role, _printable("--agent", agent) if agent else None, whose
        )
        if not await store.tokens.add(bearer, fingerprint(token), actor(), expires_at):
            raise CcariError(f"a token named {called!r} exists or was revoked: give another --name")
        return bearer

    bearer = with_store(context, work)
    with telling(f"the token {bearer.name!r} was made, but nobody has seen it: revoke it"):
        if json:
            as_json({"token": token, "name": bearer.name, "role": bearer.role, "expires_at": expires_at})
        else:
            typer.echo(token)
    if not json:
        typer.echo(f"this is {bearer.name}'s token; it is not shown again", err=True)


@app.command("list")
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List all tokens, including revoked and expired ones. The tokens themselves cannot be shown."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        return await store.tokens.list()

    rows = with_store(context, work)
    columns = {
        "name": "NAME", "role": "ROLE", "agent": "AGENT", "controllers": "CONTROLLERS", "good": "GOOD",
        "created_at": "CREATED", "created_by": "BY", "expires_at": "EXPIRES", "revoked_at": "REVOKED",
    }  # fmt: skip
    as_list(
        rows, columns, json=json, none="there are no tokens",
        shown=lambda row: {**row, "controllers": row["controllers"] or "all"},
    )  # fmt: skip


@app.command()
def revoke(
    context: typer.Context, name: Annotated[str, typer.Argument(help="The name, as token list shows it.")]
) -> None:
    """Revoke a token at once. Open streams and sessions of its holder are closed within seconds."""

    async def work(_: Settings, store: Store) -> None:
        if not await store.tokens.revoke(name, actor()):
            raise CcariError(f"there is no valid token {name!r}: see ccari token list")

    with_store(context, work)
    words = f"{name} is revoked"
    with telling(words):
        typer.echo(words)


def _printable(option: str, name: str) -> str:
    """The name, if it may appear in logs. Raises typer.BadParameter for one that could be a telephone number, or has no letters."""
    if label(name) != name or not name.isprintable() or not name.strip():
        raise typer.BadParameter(
            "must be words of at most 40 characters, without @, and with at most five digits in a row, or six with anything between them",
            param_hint=option,
        )
    return name
