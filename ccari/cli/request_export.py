"""``ccari requests export``: writes all requests as CSV or JSON, row by row."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from ccari.cli.context import OfController, note, rows_of_declared, with_store
from ccari.cli.drafts import writing
from ccari.config import Settings
from ccari.counting import counted
from ccari.lists.requests import as_csv, as_json
from ccari.office import moments
from ccari.policy.calendars import TIME_ZONES
from ccari.ports.accesses import Looked
from ccari.store.opened import Store


def command(
    context: typer.Context,
    *,
    controller: OfController = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Only those received since this date or time, by the controller's clock; of several, the one that is there first.",
        ),
    ] = None,
    format: Annotated[Literal["csv", "json"], typer.Option(help="JSON includes the history.")] = "csv",  # noqa: A002 - the option's name
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write, readable by its owner only; default: standard output."),
    ] = None,
) -> None:
    """Export the requests, the earliest first. Numbers are masked."""

    async def work(_: Settings, store: Store) -> int:
        if controller is not None:
            await rows_of_declared(store, controller, await store.requests.list(controller, 1))
        moment = await _moment(store, controller, since)
        target = {"controller": controller or "all", "since": moment.isoformat() if moment else "ever"}
        await note(store, Looked.REQUESTS_EXPORTED, target)
        written = 0

        async def counting() -> AsyncGenerator[dict[str, Any], None]:
            nonlocal written
            async with aclosing(store.requests.export(controller, moment)) as rows:
                async for row in rows:
                    written += 1
                    yield row

        pieces = as_csv(counting()) if format == "csv" else as_json(counting())
        async with aclosing(pieces):
            with writing(out) as file:
                async for piece in pieces:
                    file.write(piece)
        return written

    written = with_store(context, work)
    if out is not None:
        typer.echo(f"{counted(written, 'request is', 'requests are')} in {out}")


async def _moment(store: Store, controller: str | None, since: str | None) -> datetime | None:
    if since is None:
        return None
    revision = await store.policies.newest()
    declared = revision.policy.controllers if revision else ()
    zones = {TIME_ZONES[each.country] for each in declared if controller in {None, each.id}} or {"UTC"}
    try:
        # includes the whole day of every controller; for some, also requests from an hour or two earlier
        return min(moments.since(since, ZoneInfo(zone)) for zone in zones)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
