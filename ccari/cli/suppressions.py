"""``ccari suppress``: bars numbers and lifts bars, one by one or by lists."""

from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from ccari.cli.context import (
    MOST,
    ControllerId,
    Json,
    NumberText,
    OfController,
    Why,
    actor,
    current_policy,
    note,
    rows_of_declared,
    stated,
    vouched,
    who,
    with_store,
)
from ccari.cli.drafts import writing
from ccari.cli.imports import KeepGoing, ListFile, tell, the_lists, watched
from ccari.cli.output import as_done, as_list, stream_json, with_short_digest
from ccari.config import Settings
from ccari.office.bars import Barring, Bars, Lifting
from ccari.office.naming import the_controller
from ccari.policy.suppression import Reason
from ccari.ports.accesses import Looked
from ccari.ports.lists import BarsGiven, Report
from ccari.store.opened import Store

app = typer.Typer(help="Numbers that may not be called.")

CampaignId = Annotated[
    str | None, typer.Option("--campaign", help="Only for this campaign; default: all of the controller's.")
]
AnyReason = Annotated[Reason, typer.Option(help="The reason; it decides which calls are barred.")]
Proof = Annotated[
    str, typer.Option(help="Where the person's wish is on file, such as a letter's reference; no name.")
]
Until = Annotated[
    str | None,
    typer.Option(help="The last day of the suppression, such as 2026-12-31; default: until it is removed."),
]


@app.command()
def add(
    context: typer.Context,
    number: NumberText,
    *,
    controller: ControllerId = None,
    campaign: CampaignId = None,
    reason: AnyReason = Reason.DO_NOT_CALL,
    proof: Proof = "",
    until: Until = None,
    json: Json = False,
) -> None:
    """Bar a number for one controller. Only its keyed digest is kept."""

    async def work(settings: Settings, store: Store) -> dict[str, Any]:
        asked = Barring(number, controller, campaign, reason, proof, until)
        return await (await _bars(settings, store)).enter(asked, actor())

    done = with_store(context, work)
    barred = "is now barred" if done["added"] else "was already barred"
    words = f"{done['number']} {barred} for {campaign or done['controller']}: {done['reason']}"
    as_done(done, words, json=json)


@app.command()
def remove(
    context: typer.Context,
    number: NumberText,
    *,
    why: Annotated[
        str, typer.Option(help="Why the suppression may be lifted; kept with who lifted it and when.")
    ],
    controller: ControllerId = None,
    campaign: Annotated[
        str | None, typer.Option("--campaign", help="Only suppressions for this campaign; default: any.")
    ] = None,
    reason: Annotated[
        Reason | None,
        typer.Option(help="Only suppressions for this reason; default: any but restriction and erasure."),
    ] = None,
    json: Json = False,
) -> None:
    """Lift a number's suppressions. What is lifted stays on record. Exit status 1 if there is none.

    A suppression for a restriction or an erasure is lifted only if --reason names it. Tell the person before a
    restriction ends (Art 18(3)): recordings that only the restriction has kept are deleted within minutes. A
    consent from before an objection counts again: if the person has agreed anew, import that consent (Art 7(1)).
    """
    why = stated(why, "--why")

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        asked = Lifting(number, controller, campaign, reason, why)
        bars = await _bars(settings, store)
        lifted = await bars.lift(asked, actor())
        if not lifted:
            # recorded as a look-up: the answer says that the number is not barred
            await note(store, Looked.NUMBER_CHECKED, bars.subject(number, controller), "lifting")
        return lifted

    rows = with_store(context, work)
    none = "there is no such suppression" if reason else _NO_BAR_WITHOUT_REASON
    as_list(rows, COLUMNS, json=json, none=none)
    raise typer.Exit(0 if rows else 1)


@app.command()
def check(
    context: typer.Context,
    number: NumberText,
    *,
    controller: ControllerId = None,
    why: Why = "",
    json: Json = False,
) -> None:
    """Show why a number is barred, and in which registers it is. Exit status 0: not barred, and in no register;
    1: otherwise.
    """

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        bars = await _bars(settings, store)
        await note(store, Looked.NUMBER_CHECKED, bars.subject(number, controller), why)
        return await bars.of_number(number, controller)

    rows = with_store(context, work)
    as_list(rows, {"scope": "SCOPE", **COLUMNS}, json=json, none="not barred")
    raise typer.Exit(1 if any(row["stands"] for row in rows) else 0)


@app.command("list")
def list_(
    context: typer.Context,
    *,
    controller: OfController = None,
    limit: Annotated[
        int, typer.Option(min=0, max=MOST, help="Print at most this many rows; 0, with --json: all.")
    ] = 100,
    json: Json = False,
) -> None:
    """List suppressions, the newest first; one that is entered again keeps its place in the list."""
    if not limit and not json:
        raise typer.BadParameter("all of them can be printed as JSON only: add --json", param_hint="--limit")

    async def work(_: Settings, store: Store) -> None:
        if controller is not None:
            # before the first row is printed
            await rows_of_declared(store, controller, await store.suppressions.page([controller], 1, None))
        batches = store.suppressions.newest(controller, limit or None)
        if json:
            await stream_json(batches, limit=limit)
            return
        rows = [dict(row) async for rows in batches for row in rows]
        columns = {"controller": "CONTROLLER", **COLUMNS, "digest": "DIGEST"}
        as_list(
            rows, columns, json=False, none="there are no suppressions", limit=limit, shown=with_short_digest
        )

    with_store(context, work)


@app.command("import")
def import_(
    context: typer.Context,
    file: ListFile,
    *,
    controller: ControllerId = None,
    campaign: CampaignId = None,
    reason: AnyReason = Reason.DO_NOT_CALL,
    proof: Proof = "",
    until: Until = None,
    keep_going: KeepGoing = False,
    json: Json = False,
) -> None:
    """Bar the numbers of a file. Exit status 1 if a line is invalid: then nothing is changed, unless
    --keep-going.

    A CSV has the column number, and optionally reason, proof, campaign, since and until, which take precedence
    over the options; or it is an export of `suppress export`. A withdrawal without since counts from now. If
    the import of a valid file is interrupted, import the file again.
    """

    async def work(settings: Settings, store: Store) -> Report:
        given = BarsGiven(controller, campaign, reason, proof, until)
        with watched() as watch:
            lists = await the_lists(settings, store)
            report = await lists.bar(file, given, who(), keep_going=keep_going, watch=watch)
        await note(store, Looked.LIST_IMPORTED, report.access_target("bars"))
        return report

    tell(with_store(context, work), json=json)


@app.command()
def export(
    context: typer.Context,
    *,
    controller: ControllerId = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; default: standard output.")] = None,
) -> None:
    """Write a controller's suppressions as CSV, for `suppress import` with the same keys.

    The file has keyed digests only, because the numbers are not kept: without the secrets in the keys folder
    nobody can tell whose they are, or use the file.
    """

    async def work(settings: Settings, store: Store) -> None:
        lists = await the_lists(settings, store)
        whose = the_controller(lists.policy, controller)
        await note(store, Looked.BARS_EXPORTED, {"controller": whose.id})
        async with aclosing(lists.bars_csv(whose.id)) as rows:
            first = await anext(rows)
            with writing(out) as file:
                file.write(first)
                async for piece in rows:
                    file.write(piece)

    with_store(context, work)


_NO_BAR_WITHOUT_REASON = (
    "there is no such suppression; to lift one for restriction or erasure, name it by --reason"
)
COLUMNS = {
    "campaign": "CAMPAIGN", "reason": "REASON", "origin": "ORIGIN", "proof": "PROOF", "entered_at": "SINCE",
    "expires_at": "UNTIL",
}  # fmt: skip


async def _bars(settings: Settings, store: Store) -> Bars:
    return Bars(
        await current_policy(store), store.suppressions, store.registers, await vouched(settings, store)
    )
