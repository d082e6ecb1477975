"""``ccari recordings hold``, ``release`` and ``holds``: legal holds, which keep recordings beyond their time for claims."""

from typing import Annotated, Any
from uuid import UUID

import typer

from ccari.cli.context import (
    LAST_ID,
    ControllerId,
    Json,
    Limit,
    actor,
    current_policy,
    stated,
    vouched,
    with_store,
)
from ccari.cli.output import afterwards, as_done, as_list
from ccari.config import Settings
from ccari.counting import counted
from ccari.office.subjects import subject_to_hold
from ccari.ports.holds import HoldOn
from ccari.store.opened import Store


def hold(
    context: typer.Context,
    recording: Annotated[UUID | None, typer.Argument(help="The id, as recordings list shows it.")] = None,
    *,
    call: Annotated[UUID | None, typer.Option(help="All recordings of this call.")] = None,
    request: Annotated[
        str | None, typer.Option(metavar="REFERENCE", help="All recordings that this request concerns.")
    ] = None,
    number: Annotated[
        str | None, typer.Option(help="All recordings of this number's calls with the controller.")
    ] = None,
    controller: ControllerId = None,
    reason: Annotated[str, typer.Option(help="The legal claim that it is for; kept with the hold.")],
    json: Json = False,
) -> None:
    """Keep recordings beyond their time, including later ones, until the hold is released (Art 17(3)(e))."""
    if sum(map(bool, (recording, call, request, number))) != 1:
        raise typer.BadParameter("give one of RECORDING, --call, --request and --number")
    reason = stated(reason, "--reason")

    async def work(settings: Settings, store: Store) -> tuple[dict[str, Any], bool]:
        subject = None
        if number is not None:
            policy, secrets = await current_policy(store), await vouched(settings, store)
            subject = subject_to_hold(policy, secrets, number, controller, reason)
        on = HoldOn(recording, call, request.upper() if request else None, subject)
        placed = await store.holds.place(on, reason, actor())
        with afterwards(f"hold {placed['id']} is placed"):
            return placed, await store.holds.misses_later_calls(placed["id"])

    placed, misses = with_store(context, work)
    words = f"hold {placed['id']} keeps {_recordings(placed['recordings'])}"
    as_done(placed, words if misses else f"{words}, and those that are still to come", json=json)
    if misses:
        typer.echo(
            "it does not cover calls that were made since the secret was rotated, because the request was closed before that; one on the "
            "number does: ccari recordings hold --number NUMBER --reason …",
            err=True,
        )


def release(
    context: typer.Context,
    number: Annotated[
        int,
        typer.Argument(min=1, max=LAST_ID, metavar="HOLD", help="The number, as recordings holds shows it."),
    ],
    *,
    reason: Annotated[str, typer.Option(help="Why it is no longer needed; kept with the hold.")],
    json: Json = False,
) -> None:
    """Release a hold. Recordings past their limit that nothing else holds are deleted within minutes."""
    reason = stated(reason, "--reason")

    async def work(_: Settings, store: Store) -> dict[str, Any]:
        return await store.holds.release(number, reason, actor())

    released = with_store(context, work)
    words = f"hold {number} is released; it was on {_recordings(released['recordings'])}"
    as_done(released, words, json=json)


def holds(
    context: typer.Context,
    *,
    released: Annotated[bool, typer.Option("--all", help="Include released holds.")] = False,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List legal holds, the newest first, each with the number of stored recordings that it covers."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        return await store.holds.page(limit, released=released, controllers=None)

    rows = with_store(context, work)
    columns = {
        "id": "HOLD", "on": "ON", "what": "WHICH", "controller": "CONTROLLER", "reason": "REASON",
        "recordings": "RECORDINGS", "placed_by": "BY", "placed_at": "SINCE",
    }  # fmt: skip
    if released:
        columns |= {"released_by": "RELEASED BY", "released_at": "RELEASED", "release_reason": "WHY"}
    as_list(rows, columns, json=json, none="there are no holds", limit=limit)


def _recordings(count: int) -> str:
    return counted(count, "stored recording")
