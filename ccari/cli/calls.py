"""``ccari calls``: lists calls, finds those of a number, shows one with its journal, and expires calls."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from ccari.cli.context import Json, Limit, NumberText, OfController, Why, looked_up_in, note, with_store
from ccari.cli.output import as_json, as_list, as_table, cell, day
from ccari.cli.plain import printable
from ccari.cli.purging import Yes, purging
from ccari.config import Settings
from ccari.counting import counted
from ccari.policy.retention import Limited
from ccari.ports.accesses import Looked
from ccari.ports.records import CallRecord
from ccari.store.opened import Store

app = typer.Typer(help="Calls and their journals.")


@app.command("list")
def list_(context: typer.Context, *, limit: Limit = 100, json: Json = False) -> None:
    """List calls, the newest first. Numbers are masked."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        return await store.records.list_calls(limit)

    rows = with_store(context, work)
    as_list(rows, COLUMNS, json=json, none="there are no calls", limit=limit, shown=_expired)


@app.command()
def find(
    context: typer.Context,
    number: NumberText,
    *,
    controller: OfController = None,
    why: Why = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List the calls with a number, the newest first, including blocked calls. Exit status 1 if there are none.

    Calls that were erased or have expired no longer show whom they were with, and are not found.
    """

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        known_as = await looked_up_in(settings, store, number, controller, "calls", why)
        return await store.records.of(known_as, limit)

    rows = with_store(context, work)
    as_list(rows, COLUMNS, json=json, none="there are no calls with this number", limit=limit)
    raise typer.Exit(0 if rows else 1)


@app.command()
def show(
    context: typer.Context,
    call: Annotated[UUID, typer.Argument(help="The id, as calls list shows it.")],
    *,
    why: Why = "",
    json: Json = False,
) -> None:
    """Show one call with its journal, and check the journal's chain. Exit status 1 if the journal was tampered
    with.
    """

    async def work(_: Settings, store: Store) -> CallRecord:
        record = await store.records.show_call(call)
        await note(store, Looked.CALL_SHOWN, record.access_target, why)
        return record

    record = with_store(context, work)
    if json:
        as_json(
            {**record.call, "events": record.events, "recorded": record.recorded, "recordings": record.recordings,
             "fault": record.fault}
        )  # fmt: skip
    else:
        _print(record)
    raise typer.Exit(1 if record.fault else 0)


@app.command()
def purge(context: typer.Context, *, yes: Yes = False, json: Json = False) -> None:
    """Expire now the calls that are past their controller's calls_days, by the policy in force: they no longer
    show whom they were with.

    The service does this by itself, once a limit has been in force for a day. Calls that are held are kept, and
    what holds them is named.
    """
    purging(context, Limited.CALLS, yes=yes, json=json)


COLUMNS = {
    "id": "CALL", "opened_at": "OPENED", "direction": "DIRECTION", "campaign": "CAMPAIGN", "legal_basis": "LEGAL BASIS", "number": "NUMBER",
    "outcome": "OUTCOME", "reason": "REASON",
}  # fmt: skip


def _expired(row: dict[str, Any]) -> dict[str, Any]:
    """A row for the table, which says why a call has no number."""
    return row if row["expired_at"] is None else {**row, "number": f"expired {day(row['expired_at'])}"}


def _print(record: CallRecord) -> None:
    for name, value in record.call.items():
        if value is not None:
            typer.echo(f"{name:16} {cell(value)}")
    typer.echo()
    opened = record.call["opened_at"].astimezone()
    rows = [
        {**each, "at": _clock(each["at"], opened), "fields": _as_text(each["fields"])} for each in record.events
    ]  # fmt: skip
    as_table(rows, {"seq": "#", "at": "AT", "event": "EVENT", "fields": ""}, none="the journal is empty")
    if record.recordings:
        typer.echo()
        columns = {"id": "RECORDING", "state": "STATE", "legal_basis": "LEGAL BASIS", "duration_ms": "MS",
                   "delete_at": "DELETE AT", "file": "FILE"}  # fmt: skip
        as_table(record.recordings, columns, none="")
        if recorded := record.recorded:
            segments = counted(recorded["segments"], "segment")
            typer.echo(f"{recorded['duration_ms'] / 1000:.1f} s in {segments}, from {_clock(recorded['started_at'], opened)} "
                       f"to {_clock(recorded['ended_at'], opened)}")  # fmt: skip
    typer.echo()
    fault = printable(record.fault or "")
    typer.echo(f"JOURNAL DAMAGED OR ALTERED: {fault}" if fault else "the journal is intact")


def _clock(at: datetime, opened: datetime) -> str:
    """The time; with date and time zone if either differs from when the call was ``opened``. A journal goes on for years, with a deletion
    or an expiry, and clocks change at night, even during a call.
    """
    here = at.astimezone()
    time = here.strftime("%H:%M:%S.%f")[:-3]
    of_its_day = (here.date(), here.utcoffset()) == (opened.date(), opened.utcoffset())
    return time if of_its_day else f"{here:%Y-%m-%d} {time} {here:%Z}"


def _as_text(fields: dict[str, str] | None) -> str:
    return "erased" if fields is None else " ".join(f"{name}={value}" for name, value in fields.items())
