"""``ccari recordings``."""

from typing import Any

import typer

from ccari.cli import holds, listening, purge
from ccari.cli.context import ControllerId, Json, Limit, told_of, with_store
from ccari.cli.output import as_json, as_table
from ccari.config import Settings
from ccari.recordings.housekeeping import end
from ccari.store.opened import Store

app = typer.Typer(help="Recordings and their tags, and how long they are kept.")
app.command()(holds.hold)
app.command()(holds.release)
app.command()(holds.holds)
app.command()(purge.purge)
app.command("play-to")(listening.play_to)
app.command()(listening.verify)


@app.command("list")
def list_(
    context: typer.Context, *, controller: ControllerId = None, limit: Limit = 100, json: Json = False
) -> None:
    """List recordings, the newest first, each with its legal basis, the moment from which it is deleted, and what holds it."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        rows = await told_of(store, controller, await store.records.list_recordings(controller, limit))
        return await _with_end(store, rows)

    rows = with_store(context, work)
    if json:
        as_json(rows)
        return
    columns = {
        "id": "RECORDING", "campaign": "CAMPAIGN", "legal_basis": "LEGAL BASIS", "mode": "MODE", "state": "STATE",
        "started_at": "STARTED", "duration_ms": "MS", "due": "DUE", "held_by": "HELD BY",
    }  # fmt: skip
    shown = [{**row, "held_by": "; ".join(row["held_by"])} for row in rows]
    as_table(shown, columns, none="there are no recordings")


async def _with_end(store: Store, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``due``: from when it is deleted, were it not held; None for what is not stored. ``held_by``: in words."""
    stored = await store.deletions.stored([row["id"] for row in rows if row["state"] == "stored"])
    told = []
    for row in rows:
        kept = stored.get(row["id"])
        due = end(kept) if kept else None
        told.append(
            {
                **row,
                "due": due.at if due else None,
                "due_for": due.why if due else None,
                "held_by": [each.words for each in kept.held] if kept else [],
            }
        )
    return told
