"""``ccari recordings``."""

from typing import Any

import typer

from ccari.cli.context import ControllerId, Json, Limit, told_of, with_store
from ccari.cli.output import as_json, as_table
from ccari.config import Settings
from ccari.store.opened import Store

app = typer.Typer(help="Recordings and their tags.")


@app.command("list")
def list_(
    context: typer.Context, *, controller: ControllerId = None, limit: Limit = 100, json: Json = False
) -> None:
    """List recordings, the newest first, each with its legal basis and the day it is deleted."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        return await told_of(store, controller, await store.records.list_recordings(controller, limit))

    rows = with_store(context, work)
    if json:
        as_json(rows)
        return
    columns = {
        "id": "RECORDING", "campaign": "CAMPAIGN", "legal_basis": "LEGAL BASIS", "mode": "MODE", "state": "STATE",
        "started_at": "STARTED", "duration_ms": "MS", "delete_at": "DELETE AT",
    }  # fmt: skip
    as_table(rows, columns, none="there are no recordings")
