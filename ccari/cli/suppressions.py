"""``ccari suppress``."""

from typing import Annotated, Any

import typer

from ccari.app import Store
from ccari.cli.context import (
    ControllerId,
    Json,
    Limit,
    current_policy,
    the_controller,
    the_number,
    who,
    with_store,
)
from ccari.cli.output import as_json, as_table
from ccari.config import Settings
from ccari.policy.suppression import Reason
from ccari.store.secrets import SecretStore

app = typer.Typer(help="Numbers that may not be called.")

NumberText = Annotated[str, typer.Argument(help="The number, in any usual way of writing it.")]


@app.command()
def add(
    context: typer.Context,
    number: NumberText,
    *,
    controller: ControllerId = None,
    reason: Annotated[
        Reason, typer.Option(help="Why; it decides which calls are barred.")
    ] = Reason.DO_NOT_CALL,
    proof: Annotated[str, typer.Option(help="Where the wish is on file, such as a letter's reference.")] = "",
    json: Json = False,
) -> None:
    """Bar a number for one controller. Only its keyed digest is kept."""

    async def work(settings: Settings, store: Store) -> dict[str, Any]:
        whose = the_controller(await current_policy(store), controller)
        parsed = the_number(number, whose)
        digests = SecretStore(settings.keys_dir).digests(whose.id, parsed)
        added = await store.suppressions.add(whose.id, digests, reason, f"cli:{who()}", proof)
        return {"controller": whose.id, "number": parsed.masked, "reason": reason, "added": added}

    done = with_store(context, work)
    if json:
        as_json(done)
    else:
        words = "is now barred" if done["added"] else "was barred already"
        typer.echo(f"{done['number']} {words} for {done['controller']}: {done['reason']}")


@app.command()
def check(
    context: typer.Context, number: NumberText, *, controller: ControllerId = None, json: Json = False
) -> None:
    """Tell why a number is barred. Exit status 0: it is not, 1: it is."""

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        whose = the_controller(await current_policy(store), controller)
        digests = SecretStore(settings.keys_dir).digests(whose.id, the_number(number, whose))
        return await store.suppressions.of(whose.id, digests)

    rows = with_store(context, work)
    if json:
        as_json(rows)
    else:
        columns = {"reason": "REASON", "origin": "ORIGIN", "proof": "PROOF", "entered_at": "SINCE"}
        as_table(rows, columns, none="not barred")
    raise typer.Exit(1 if rows else 0)


@app.command("list")
def list_(
    context: typer.Context, *, controller: ControllerId = None, limit: Limit = 100, json: Json = False
) -> None:
    """List what is barred, the newest first."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        return await store.suppressions.list(controller, limit)

    rows = with_store(context, work)
    if json:
        as_json(rows)
        return
    shown = [{**row, "digest": row["digest"][:12]} for row in rows]
    columns = {
        "controller": "CONTROLLER", "reason": "REASON", "origin": "ORIGIN", "proof": "PROOF", "entered_at": "SINCE",
        "digest": "DIGEST",
    }  # fmt: skip
    as_table(shown, columns, none="nothing is barred")
