"""``ccari contacts``: imports and shows contacts, and scrubs a dialler's list."""

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
    looked_up,
    note,
    rows_of_declared,
    who,
    with_store,
)
from ccari.cli.drafts import writing
from ccari.cli.imports import KeepGoing, ListFile, tell, tell_doubts, tell_faults, the_lists, watched
from ccari.cli.output import as_json, as_list, with_short_digest
from ccari.cli.purging import Yes, purging
from ccari.config import Settings
from ccari.counting import counted
from ccari.office.naming import the_campaign
from ccari.policy.bases import LegalBasis
from ccari.policy.retention import Limited
from ccari.ports.accesses import Looked
from ccari.ports.lists import ContactsGiven, RemainingLines, Scrubbed, by_reason
from ccari.store.opened import Store

app = typer.Typer(help="The numbers that a controller may have called, and where each comes from.")


@app.command("import")
def import_(
    context: typer.Context,
    file: ListFile,
    *,
    controller: ControllerId = None,
    campaign: Annotated[
        str | None,
        typer.Option(
            help="Leave out numbers that this campaign may not call; default: those that no campaign may call."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Where the numbers come from, in the words that callees hear.")
    ] = None,
    obtained: Annotated[
        str | None, typer.Option(help="When they were obtained from there, such as 2026-01-31.")
    ] = None,
    basis: Annotated[LegalBasis | None, typer.Option(help="The legal basis on which they are kept.")] = None,
    valid_until: Annotated[
        str | None, typer.Option(help="The last day on which they may be used; default: no limit.")
    ] = None,
    proof: Annotated[str, typer.Option(help="Where the proof is on file, such as a contract's number.")] = "",
    keep_going: KeepGoing = False,
    json: Json = False,
) -> None:
    """Import numbers with their source. Exit status 1 if a line is invalid: then nothing is changed, unless
    --keep-going.

    A CSV has the column number, and optionally source, obtained, basis, proof and valid_until, which take
    precedence over the options. Source, obtained and basis are required. Only keyed digests are kept. Numbers
    that were erased or may not be used are left out, and counted by reason. If the import of a valid file is
    interrupted, import the file again.
    """

    async def work(settings: Settings, store: Store) -> Scrubbed:
        given = ContactsGiven(controller, campaign, source, obtained, basis, proof, valid_until)
        with watched() as watch:
            lists = await the_lists(settings, store)
            done = await lists.contact(file, given, who(), keep_going=keep_going, watch=watch)
        await note(store, Looked.LIST_IMPORTED, done.report.access_target("contacts", by_reason(done.barred)))
        return done

    done = with_store(context, work)
    tell(done.report, json=json, barred=by_reason(done.barred))


@app.command()
def scrub(
    context: typer.Context,
    file: ListFile,
    *,
    campaign: Annotated[str, typer.Option(help="The campaign that will call them.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; default: standard output.")] = None,
    json: Json = False,
) -> None:
    """Write the rows whose number the campaign may call, unchanged, and report how many were left out and why.

    Calling hours and earlier attempts are not considered, and nothing of the file is kept. The gate is still
    asked at each call. If the rows go to standard output, the report goes to standard error.
    """

    async def work(settings: Settings, store: Store) -> RemainingLines:
        lists = await the_lists(settings, store)
        declared = the_campaign(lists.policy, campaign)
        target = {"controller": declared.controller, "campaign": declared.id}
        await note(store, Looked.LIST_SCRUBBED, target)
        with watched() as watch, writing(out) as rest:
            return await lists.scrub(file, campaign, rest.write, watch=watch)

    left, rows_printed = with_store(context, work), out is None
    if json:
        as_json(left.as_dict(), err=rows_printed)
        return
    tell_doubts(left.doubts)
    if left.unchecked:
        typer.echo(
            f"ccari: {', '.join(map(repr, left.unchecked))}: there seem to be telephone numbers here too, which were not checked: only those in "
            "'number' were. Give each number a row of its own, and scrub again",
            err=True,
        )
    tell_faults(left.faults, left.invalid)
    parts = [f"{number} {reason}" for reason, number in by_reason(left.left_out).items()]
    typer.echo(
        f"{counted(left.lines, 'line')}: {', '.join([f'{left.kept} may be called', f'{left.invalid} invalid', *parts])}",
        err=rows_printed,
    )


@app.command("list")
def list_(
    context: typer.Context,
    *,
    controller: OfController = None,
    source: Annotated[str | None, typer.Option(help="Only contacts from this source.")] = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List contacts, the newest first. No numbers are kept."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        whose = None if controller is None else [controller]
        rows = await store.contacts.page(whose, source, limit, None)
        return await rows_of_declared(store, controller, rows)

    rows = with_store(context, work)
    columns = {"controller": "CONTROLLER", **COLUMNS, "digest": "DIGEST"}
    as_list(rows, columns, json=json, none="there are no contacts", limit=limit, shown=with_short_digest)


@app.command()
def show(
    context: typer.Context,
    number: NumberText,
    *,
    controller: ControllerId = None,
    why: Why = "",
    json: Json = False,
) -> None:
    """Show where a controller got a number from. Exit status 1 if the number is not a contact."""

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        whose = await looked_up(settings, store, number, controller, why)
        return await store.contacts.of(whose.controller.id, whose.digests)

    rows = with_store(context, work)
    as_list(rows, COLUMNS, json=json, none="the number is not a contact of this controller")
    raise typer.Exit(0 if rows else 1)


COLUMNS = {
    "source": "SOURCE", "obtained_on": "OBTAINED", "legal_basis": "BASIS", "proof": "PROOF", "valid_until": "UNTIL",
    "origin": "ORIGIN", "entered_at": "ENTERED",
}  # fmt: skip


@app.command()
def purge(context: typer.Context, *, yes: Yes = False, json: Json = False) -> None:
    """Delete now the contacts that are past their controller's contacts_days, by the policy in force: no list has
    contained them, and nobody has called them, for so long.

    The service does this by itself, once a limit has been in force for a day. Contacts that are held are kept, and
    what holds them is named.
    """
    purging(context, Limited.CONTACTS, yes=yes, json=json)
