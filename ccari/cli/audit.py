"""``ccari audit``: lists and checks the record of accesses."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from ccari.cli.context import Json, Limit, OfController, Why, current_policy, note_number, vouched, with_store
from ccari.cli.output import as_json, as_table
from ccari.config import Settings
from ccari.errors import CcariError
from ccari.gating import claimants
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.store.opened import Store

app = typer.Typer(help="Who looked at a recording or at a person's data, when and why.")


@app.command("list")
def list_(
    context: typer.Context,
    *,
    who: Annotated[
        str | None, typer.Option(help="Only by this user or token, such as cli:anna or token:crm.")
    ] = None,
    access: Annotated[Looked | None, typer.Option(help="Only of this kind.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Only of this many past days.")] = None,
    of: Annotated[
        str | None, typer.Option(metavar="ID", help="Only to this call, recording or request.")
    ] = None,
    number: Annotated[
        str | None,
        typer.Option(help="Only to this person, or to a call, recording or request of theirs."),
    ] = None,
    controller: OfController = None,
    why: Why = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List accesses, the newest first. A person is identified by the keyed digest of their number.

    With --number, the list itself is an access to that person, and is put on record first; --controller narrows it
    to what that one has of them.
    """
    if controller is not None and number is None:
        raise typer.BadParameter("only with --number", param_hint="--controller")
    since = datetime.now(UTC) - timedelta(days=days) if days is not None else None

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        known_as = None
        if number is not None:
            secrets = await vouched(settings, store)
            known_as = claimants.known_as(await current_policy(store), secrets, number, controller)
            await note_number(store, known_as, "accesses", why)
        return await store.accesses.list(limit, WantedAccesses(who, access, since, _id(of), known_as))

    rows = with_store(context, work)
    if json:
        as_json(rows)
        return
    shown = [
        {**row, "what": " ".join(f"{name}={value}" for name, value in row["what"].items())} for row in rows
    ]
    columns = {"seq": "#", "at": "AT", "who": "WHO", "access": "ACCESS", "what": "WHAT", "why": "WHY"}
    as_table(shown, columns, none="there were no accesses")


def _id(text: str | None) -> str | None:
    """The id as the record has it: of a call or a recording, or a request's reference."""
    if text is None:
        return None
    try:
        return str(UUID(text))
    except ValueError:
        return text.strip().upper()


@app.command()
def check(context: typer.Context) -> None:
    """Check that no entry was changed, left out or moved, and that the record matches its seals. Exit status 1
    if not.

    The seals themselves are checked by ccari evidence check.
    """

    async def work(_: Settings, store: Store) -> tuple[int, str | None]:
        return await store.accesses.fault()

    count, fault = with_store(context, work)
    if fault is not None:
        raise CcariError(f"the record of accesses is damaged or was altered: {fault}")
    typer.echo(f"{count} accesses: the record is intact")
