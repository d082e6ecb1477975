"""``ccari webhooks``: messages to the centre's own webhooks: lists them, and retries or discards those given up."""

from typing import Annotated, Any

import typer

from ccari.cli.context import LAST_ID, Json, Limit, OfController, rows_of_declared, with_store
from ccari.cli.output import as_done, as_list
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError
from ccari.ports.webhooks import DeliveryState
from ccari.store.opened import Store

app = typer.Typer(help="Your own webhooks, as set in ccari.toml: delivered messages, and dead letters.")

_Number = Annotated[
    int | None,
    typer.Argument(
        min=1,
        max=LAST_ID,
        help="The number, as webhooks list shows it; default: all of them.",
    ),
]
_Endpoint = Annotated[str | None, typer.Option(help="Only messages to the webhook of this name.")]


@app.command("list")
def list_(
    context: typer.Context,
    *,
    state: Annotated[
        DeliveryState | None,
        typer.Option(help="Only in this state; given_up: the dead letters."),
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only to the webhook of this name.")] = None,
    controller: OfController = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List messages to webhooks, delivered, waiting and given up, the newest first."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        whose = None if controller is None else [controller]
        rows = await store.webhooks.page(limit, state=state, endpoint=endpoint, controllers=whose)
        return await rows_of_declared(store, controller, rows)

    rows = with_store(context, work)
    columns = {
        "id": "NUMBER", "endpoint": "WEBHOOK", "event": "EVENT", "subject": "OF", "state": "STATE", "tries": "TRIES", "at": "AT",
        "next_try_at": "NEXT TRY", "fault": "FAULT",
    }  # fmt: skip
    as_list(rows, columns, json=json, none="there are no messages to webhooks", limit=limit)


@app.command()
def retry(
    context: typer.Context,
    number: _Number = None,
    *,
    endpoint: _Endpoint = None,
    json: Json = False,
) -> None:
    """Try again at once messages that were given up, or that wait for their next try, as if for the first time.
    Exit status 1 if there are none.

    Messages cannot be tried again if their webhook is no longer in any ccari.toml, or no longer receives that
    kind.
    """

    async def work(_: Settings, store: Store) -> list[int]:
        return await store.webhooks.retry(number, endpoint=endpoint)

    retried = with_store(context, work)
    if not retried:
        raise CcariError(
            "no such message was given up, or waits for more than two minutes, whose webhook is still configured for it: see ccari webhooks list"
        )
    words = f"{counted(len(retried), 'message is', 'messages are')} tried again"
    as_done({"retried": retried}, words, json=json)


@app.command()
def discard(
    context: typer.Context,
    number: _Number = None,
    *,
    endpoint: _Endpoint = None,
    json: Json = False,
) -> None:
    """Discard messages that were given up: they are never delivered. Exit status 1 if there are none."""

    async def work(_: Settings, store: Store) -> list[int]:
        return await store.webhooks.discard(number, endpoint=endpoint)

    discarded = with_store(context, work)
    if not discarded:
        raise CcariError("no such message was given up: see ccari webhooks list --state given_up")
    words = f"{counted(len(discarded), 'message is', 'messages are')} discarded"
    as_done({"discarded": discarded}, words, json=json)
