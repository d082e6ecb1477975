"""``ccari consents``: imports, withdraws and shows consents."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ccari.cli.context import (
    ControllerId,
    Json,
    Limit,
    NumberText,
    OfController,
    Why,
    actor,
    current_policy,
    looked_up,
    note,
    rows_of_declared,
    vouched,
    who,
    with_store,
)
from ccari.cli.imports import KeepGoing, tell, the_lists, watched
from ccari.cli.output import as_done, as_json, as_list, as_table, with_short_digest
from ccari.cli.purging import Yes, purging
from ccari.config import Settings
from ccari.office import withdrawing
from ccari.policy.retention import Limited
from ccari.ports.accesses import Looked
from ccari.ports.lists import Scrubbed, by_reason
from ccari.store.opened import Store

app = typer.Typer(help="Consents: what people agreed to, the proof, and each use.")


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV with a header; - is standard input.")],
    *,
    controller: ControllerId = None,
    keep_going: KeepGoing = False,
    json: Json = False,
) -> None:
    """Import consents from a CSV. Exit status 1 if a line is invalid: then nothing is changed, unless
    --keep-going.

    The columns are number, purpose, channel, given and proof, and optionally withdrawn and valid_until. A date
    without a time is midnight by the controller's clock; for withdrawn and valid_until, the end of that day.
    The purpose is `marketing`, or the id or consent_purpose of a campaign. Only keyed digests are kept. No list
    undoes a withdrawal. What was erased is left out and counted. If the import of a valid file is interrupted,
    import the file again.
    """

    async def work(settings: Settings, store: Store) -> tuple[Scrubbed, list[str]]:
        with watched() as watch:
            lists = await the_lists(settings, store)
            done, unasked = await lists.consent(file, controller, who(), keep_going=keep_going, watch=watch)
        await note(store, Looked.LIST_IMPORTED, done.report.access_target("consents", by_reason(done.barred)))
        return done, unasked

    done, unasked = with_store(context, work)
    for purpose in unasked:
        typer.echo(f"warning: no campaign asks for a consent to {purpose!r}", err=True)
    tell(done.report, json=json, barred=by_reason(done.barred))


@app.command()
def withdraw(
    context: typer.Context,
    number: NumberText,
    *,
    controller: ControllerId = None,
    purpose: Annotated[
        str | None, typer.Option(help="Withdraw the consent to this purpose only; default: all consents.")
    ] = None,
    proof: Annotated[
        str, typer.Option(help="Where the person's wish is on file, such as a letter's reference.")
    ],
    json: Json = False,
) -> None:
    """Withdraw a number's consents, and bar the calls that rested on them until there is a newer consent."""

    async def work(settings: Settings, store: Store) -> dict[str, Any]:
        policy, secrets = await current_policy(store), await vouched(settings, store)
        asked = withdrawing.Withdrawal(number, controller, purpose, proof)
        return await withdrawing.withdraw(policy, store.consents, secrets, asked, actor())

    done = with_store(context, work)
    words = f"consents withdrawn: {done['consents_withdrawn']}; calls based on them are barred"
    as_done(done, f"{done['number']} for {done['controller']}: {words}", json=json)


@app.command("list")
def list_(
    context: typer.Context,
    *,
    controller: OfController = None,
    purpose: Annotated[str | None, typer.Option(help="Only consents to this purpose.")] = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List consents, the last entered first. No numbers are kept."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        whose = None if controller is None else [controller]
        rows = await store.consents.page(whose, purpose, None, limit, None)
        return await rows_of_declared(store, controller, rows)

    rows = with_store(context, work)
    columns = {"controller": "CONTROLLER", **COLUMNS, "digest": "DIGEST"}
    as_list(rows, columns, json=json, none="there are no consents", limit=limit, shown=with_short_digest)


@app.command()
def show(
    context: typer.Context,
    number: NumberText,
    *,
    controller: ControllerId = None,
    why: Why = "",
    json: Json = False,
) -> None:
    """Show a number's consents, and each call that was made on them. Exit status 1 if there are none."""

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        whose = await looked_up(settings, store, number, controller, why)
        return await store.consents.of(whose.controller.id, whose.digests)

    rows = with_store(context, work)
    if json:
        as_json(rows)
    else:
        print_of_number(rows)
    raise typer.Exit(0 if rows else 1)


@app.command()
def purge(context: typer.Context, *, yes: Yes = False, json: Json = False) -> None:
    """Delete now the consents that ended longer ago than their controller's consents_days, by the policy in force.

    The service does this by itself, once a limit has been in force for a day. Consents that are held are kept, and
    what holds them is named.
    """
    purging(context, Limited.CONSENTS, yes=yes, json=json)


def print_of_number(consents: Sequence[Mapping[str, Any]]) -> None:
    """Print a number's consents, and the calls made on each."""
    as_table(consents, COLUMNS, none="there is no consent")
    if consents:
        uses = [
            {"purpose": row["purpose"], "given_at": row["given_at"], **use}
            for row in consents
            for use in row["uses"]
        ]
        as_table(
            uses,
            {"purpose": "USED FOR", "given_at": "GIVEN", "call": "CALL", "at": "AT"},
            none="no consent was used for a call",
        )


COLUMNS = {
    "purpose": "PURPOSE", "channel": "CHANNEL", "state": "STATE", "given_at": "GIVEN", "withdrawn_at": "WITHDRAWN",
    "valid_until": "UNTIL", "proof": "PROOF", "origin": "ORIGIN",
}  # fmt: skip
