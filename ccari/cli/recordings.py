"""``ccari recordings``: lists and shows recordings; the other commands are in modules of their own."""

from typing import Annotated, Any
from uuid import UUID

import typer

from ccari.cli import holds, listening, recording_export, recording_purge
from ccari.cli.context import Json, Limit, OfController, rows_of_declared, with_store
from ccari.cli.output import as_json, as_list, cell
from ccari.config import Settings
from ccari.ports.recordings import WantedRecordings
from ccari.recordings.shelf import Shelf
from ccari.store.opened import Store

app = typer.Typer(help="Recordings and their tags, and how long they are kept.")
app.command()(holds.hold)
app.command()(holds.release)
app.command()(holds.holds)
app.command()(recording_purge.purge)
app.command("play-to")(listening.play_to)
app.command()(listening.verify)
app.command()(recording_export.export)


@app.command("list")
def list_(
    context: typer.Context, *, controller: OfController = None, limit: Limit = 100, json: Json = False
) -> None:
    """List recordings, the newest first, each with its legal basis, its deletion date, and what holds it."""

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        wanted = WantedRecordings(controllers=None if controller is None else [controller])
        return await rows_of_declared(store, controller, await _shelf(settings, store).page(limit, wanted))

    rows = with_store(context, work)
    columns = {
        "id": "RECORDING", "campaign": "CAMPAIGN", "legal_basis": "LEGAL BASIS", "mode": "MODE", "state": "STATE",
        "started_at": "STARTED", "duration_ms": "MS", "due": "DUE", "held_by": "HELD BY",
    }  # fmt: skip
    as_list(
        rows, columns, json=json, none="there are no recordings", limit=limit,
        shown=lambda row: {**row, "held_by": "; ".join(row["held_by"])},
    )  # fmt: skip


@app.command()
def show(
    context: typer.Context,
    recording: Annotated[UUID, typer.Argument(help="The id, as recordings list shows it.")],
    *,
    json: Json = False,
) -> None:
    """Show one recording with its tag, its deletion date, and what holds it."""

    async def work(settings: Settings, store: Store) -> dict[str, Any]:
        return await _shelf(settings, store).show(recording)

    found = with_store(context, work)
    if json:
        as_json(found)
        return
    tag = found.pop("tag") or {}
    for name, value in {**found, "held_by": "; ".join(found["held_by"]), **tag}.items():
        if value is not None and value != "":
            typer.echo(f"{name:16} {cell(value)}")


def _shelf(settings: Settings, store: Store) -> Shelf:
    return Shelf(store.records, store.deletions, store.recordings, settings.recordings_dir)
