"""``ccari audit``: lists and checks the record of accesses."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from ccari.cli.context import Json, Limit, with_store
from ccari.cli.output import as_json, as_table
from ccari.config import Settings
from ccari.errors import CcariError
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
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List accesses, the newest first. A person is identified by the keyed digest of their number."""
    since = datetime.now(UTC) - timedelta(days=days) if days is not None else None

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        return await store.accesses.list(limit, WantedAccesses(who, access, since))

    rows = with_store(context, work)
    if json:
        as_json(rows)
        return
    shown = [
        {**row, "what": " ".join(f"{name}={value}" for name, value in row["what"].items())} for row in rows
    ]
    columns = {"seq": "#", "at": "AT", "who": "WHO", "access": "ACCESS", "what": "WHAT", "why": "WHY"}
    as_table(shown, columns, none="there were no accesses")


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
