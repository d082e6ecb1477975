"""``ccari requests``."""

from typing import Any

import typer

from ccari.app import Store
from ccari.cli.context import ControllerId, Json, Limit, with_store
from ccari.cli.output import as_json, as_table
from ccari.config import Settings
from ccari.policy.numbers import mask

app = typer.Typer(help="Rights that people have exercised.")


@app.command("list")
def list_(
    context: typer.Context, *, controller: ControllerId = None, limit: Limit = 100, json: Json = False
) -> None:
    """List requests, the one that is due first at the top. Numbers are masked."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        return await store.requests.list(controller, limit)

    rows = [
        {**row, "number": mask(row["number"]) if row["number"] else None} for row in with_store(context, work)
    ]
    if json:
        as_json(rows)
        return
    columns = {
        "reference": "REFERENCE", "right": "RIGHT", "article": "ARTICLE", "state": "STATE", "number": "NUMBER",
        "received_at": "RECEIVED", "due": "DUE",
    }  # fmt: skip
    as_table(rows, columns, none="there are no requests")
