"""``ccari requests show``: one request with all that an authority asks about it."""

from typing import Annotated, Any

import typer

from ccari.cli.context import Json, Why, note, with_store
from ccari.cli.forwards import Reference
from ccari.cli.output import as_json, as_table, cell
from ccari.cli.plain import printable
from ccari.config import Settings
from ccari.office.dossiers import dossier
from ccari.policy.sentences import in_utc
from ccari.ports.accesses import Looked
from ccari.store.opened import Store


def command(
    context: typer.Context,
    reference: Reference,
    *,
    number: Annotated[bool, typer.Option("--number", help="Show the whole number.")] = False,
    why: Why = "",
    json: Json = False,
) -> None:
    """Show one request: where it came from, what it did at once, what it asks for, and what was done about it.

    Exit status 1 if its history was tampered with.
    """

    async def work(_: Settings, store: Store) -> dict[str, Any]:
        revision = await store.policies.newest()
        policy = revision.policy if revision else None
        shown = await dossier(reference, store.requests, store.forwards, policy, whole=number)
        target = {
            "request": shown["reference"],
            "controller": shown["controller"],
            "number": "whole" if number else "masked",
        }
        await note(store, Looked.REQUEST_SHOWN, target, why)
        return shown

    shown = with_store(context, work)
    fault = shown["fault"]
    if json:
        as_json(shown)
    else:
        _print(shown)
    raise typer.Exit(1 if fault else 0)


def _print(shown: dict[str, Any]) -> None:
    fault = shown.pop("fault")
    effect, tables = shown.pop("effect"), {name: shown.pop(name) for name in _TABLES}
    shown["received_at"] = in_utc(shown["received_at"])
    for name, value in {**shown, **effect}.items():
        if value is not None:
            typer.echo(f"{name:18} {cell(value)}")
    for name, columns in _TABLES.items():
        if tables[name]:
            typer.echo()
            as_table(tables[name], columns, none="")
    if fault:
        typer.echo(f"\nTHE HISTORY IS DAMAGED OR WAS ALTERED: {printable(fault)}")


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
