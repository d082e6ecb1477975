"""``ccari requests export``: the register as one stream."""

import csv
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO
from zoneinfo import ZoneInfo

import orjson
import typer

from ccari.cli.context import note, with_store
from ccari.cli.drafts import writing_text
from ccari.config import Settings
from ccari.gating import moments
from ccari.gating.dossiers import listed
from ccari.lists.cells import inert
from ccari.policy.calendars import TIME_ZONES
from ccari.ports.accesses import Looked
from ccari.store.opened import Store


def command(
    context: typer.Context,
    *,
    controller: Annotated[str | None, typer.Option(help="Whose; else all.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="Received since a day or moment, by the controller's clock, else UTC."
        ),
    ] = None,
    format: Annotated[Literal["csv", "json"], typer.Option(help="JSON has the history too.")] = "csv",  # noqa: A002 - the option's name
    out: Annotated[
        Path | None, typer.Option(help="The file to write, its owner's only; else standard output.")
    ] = None,
) -> None:
    """Export the requests, the first received at the top. Numbers are masked."""

    async def work(_: Settings, store: Store) -> int:
        moment = await _moment(store, controller, since)
        told = {"controller": controller or "all", "since": moment.isoformat() if moment else "ever"}
        await note(store, Looked.REQUESTS_EXPORTED, told)
        found = store.requests.export(controller, moment)
        rows = (listed(row) async for row in found)
        with writing_text(out) as file:
            return await (_csv if format == "csv" else _json)(rows, file)

    written = with_store(context, work)
    if out is not None:
        typer.echo(f"{written} requests are in {out}")


async def _moment(store: Store, controller: str | None, since: str | None) -> datetime | None:
    if since is None:
        return None
    revision = await store.policies.newest()
    whose = revision.policy.controller(controller) if revision and controller else None
    try:
        return moments.since(since, ZoneInfo(TIME_ZONES[whose.country] if whose else "UTC"))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None


async def _csv(rows: AsyncIterator[dict[str, Any]], file: TextIO) -> int:
    columns = [
        "reference", "controller", "campaign", "purpose", "right", "article", "state", "level", "number", "number_from",
        "channel", "call_id", "key", "notice_version", "language", "received_at", "registered_at", "due", "extended_at",
        "closed_at",
    ]  # fmt: skip
    written = 0
    table = csv.DictWriter(file, columns, extrasaction="ignore")
    table.writeheader()
    async for row in rows:
        table.writerow(
            {
                name: value.isoformat() if isinstance(value, datetime) else _inert(name, value)
                for name, value in row.items()
            }
        )
        written += 1
    return written


def _inert(name: str, value: Any) -> Any:
    # a masked number begins with a plus sign, and is ours
    return inert(value) if isinstance(value, str) and name != "number" else value


async def _json(rows: AsyncIterator[dict[str, Any]], file: TextIO) -> int:
    written = 0
    file.write("[")
    async for row in rows:
        told = orjson.dumps({**row, "history": orjson.Fragment(row["history"] or "[]")}, default=str)
        file.write((",\n" if written else "\n") + told.decode())
        written += 1
    file.write("\n]\n")
    return written
