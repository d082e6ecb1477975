"""``ccari subject find``: what is known of a number, in one look."""

from collections.abc import Mapping
from typing import Any

import typer

from ccari.cli import calls, consents, contacts, requests, suppressions
from ccari.cli.context import (
    Json,
    Limit,
    NumberText,
    OfController,
    Why,
    current_policy,
    looked_up_in,
    vouched,
    with_store,
)
from ccari.cli.output import as_json, as_table
from ccari.config import Settings
from ccari.office.known import is_known, known_of
from ccari.store.opened import Store


def command(
    context: typer.Context,
    number: NumberText,
    *,
    controller: OfController = None,
    why: Why = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Show what is known of a number: its bars and those that were lifted, where it came from, its consents, its
    requests and its calls. Exit status 1 if nothing is.

    This is what a complaint or a letter of the authority asks first. --limit is of the requests and of the calls of
    each controller. What was erased or has expired no longer shows whose it was, and is not found.
    """

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        known_as = await looked_up_in(settings, store, number, controller, "everything", why)
        policy, secrets = await current_policy(store), await vouched(settings, store)
        return await known_of(number, known_as, store, policy, secrets, limit)

    found = with_store(context, work)
    if json:
        as_json(found)
    else:
        for each in found:
            _print(each, limit)
    raise typer.Exit(0 if any(map(is_known, found)) else 1)


def _print(known: Mapping[str, Any], limit: int) -> None:
    typer.echo(f"## {known['controller']}")
    as_table(known["bars"], {"scope": "SCOPE", **suppressions.COLUMNS}, none="not barred")
    if known["lifted"]:
        lifted = {"removed_at": "LIFTED", "removed_by": "BY", "why": "WHY"}
        as_table(known["lifted"], {**suppressions.COLUMNS, **lifted}, none="")
    as_table(known["sources"], contacts.COLUMNS, none="the number is not a contact of this controller")
    consents.print_of_number(known["consents"])
    asked = list(map(requests.coloured, known["requests"]))
    as_table(asked, requests.COLUMNS, none="there are no requests from this number")
    as_table(known["calls"], calls.COLUMNS, none="there are no calls with this number")
    for what in ("requests", "calls"):
        if known[f"more_{what}"]:
            typer.echo(f"these are the newest {limit} {what}, and there are more: see --limit", err=True)
    typer.echo()
