"""``ccari requests show``: everything that an authority asks of one request."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from ccari.cli.context import Json, with_store
from ccari.cli.forwards import Reference, forwarded_to
from ccari.cli.output import as_json, as_table, cell
from ccari.config import Settings
from ccari.policy.calendars import TIME_ZONES
from ccari.policy.numbers import mask
from ccari.policy.rights import EFFECTS, Level, Right
from ccari.store.opened import Store


def command(
    context: typer.Context,
    reference: Reference,
    *,
    number: Annotated[bool, typer.Option("--number", help="Show the whole number.")] = False,
    json: Json = False,
) -> None:
    """Show one request: where it came from, what it did at once, what it asks for, and what was done with it."""

    async def work(_: Settings, store: Store) -> dict[str, Any]:
        record = await store.requests.show(reference)
        revision = await store.policies.newest()
        policy = revision.policy if revision else None
        controller = policy.controller(record.request["controller"]) if policy else None
        request, effect = record.request, EFFECTS[Right(record.request["right"])]
        zone = TIME_ZONES[controller.country] if controller else "UTC"
        whole = request["number"]
        return {
            **request,
            "number": whole if number or whole is None else mask(whole),
            "digest": request["digest"].hex(),
            "level": Level(request["level"]).name,
            "received_local": f"{request['received_at'].astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} {zone}",
            "effect": {
                "suppression": effect.suppress,
                "stops_recording": effect.stops_recording,
                "stored_recordings": effect.stored,
                "identity_to_fulfil": effect.fulfil_at.name,
                "refusable": effect.refusable,
            },
            "suppressions": record.bars,
            "recordings": record.recordings,
            "history": [{**each, "level": Level(each["level"]).name} for each in record.history],
            "forwards": await store.forwards.of(reference, forwarded_to(policy)),
        }

    shown = with_store(context, work)
    if json:
        as_json(shown)
    else:
        _print(shown)


def _print(shown: dict[str, Any]) -> None:
    effect, tables = shown.pop("effect"), {name: shown.pop(name) for name in _TABLES}
    shown["received_at"] = f"{shown['received_at']:%Y-%m-%d %H:%M:%S} UTC"
    for name, value in {**shown, **effect}.items():
        if value is not None:
            typer.echo(f"{name:18} {cell(value)}")
    for name, columns in _TABLES.items():
        if tables[name]:
            typer.echo()
            as_table(tables[name], columns, none="")


_TABLES = {
    "suppressions": {
        "reason": "BARRED FOR", "entered_at": "SINCE", "origin": "ORIGIN", "proof": "PROOF", "removed_at": "REMOVED",
        "removed_by": "BY", "why": "WHY",
    },
    "recordings": {
        "id": "RECORDING", "state": "STATE", "legal_basis": "LEGAL BASIS", "started_at": "STARTED", "duration_ms": "MS",
        "delete_at": "DELETE AT",
    },
    "history": {
        "seq": "CHANGE", "at": "AT", "who": "WHO", "state": "STATE", "level": "LEVEL", "due": "DUE", "reason": "REASON",
    },
    "forwards": {
        "seq": "CHANGE", "state": "FORWARDED", "tries": "TRIES", "webhook_at": "WEBHOOK", "folder_at": "FOLDER",
        "fault": "FAULT",
    },
}  # fmt: skip
