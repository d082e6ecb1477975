"""``ccari subject``: exports a person's data, or erases it, on their request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from ccari.cli import subject_dossier, subject_export, subject_find
from ccari.cli.context import ControllerId, Json, NumberText, actor, current_policy, note, vouched, with_store
from ccari.cli.drafts import refuse_unwritable, writing
from ccari.cli.output import as_json, as_table
from ccari.cli.purging import Yes
from ccari.cli.spooled import refuse_while_spooled
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError
from ccari.office.subjects import IdentifiedPerson, identified_person, wanted_of
from ccari.policy.erasure import Plan, count_deleted, count_kept
from ccari.policy.rights import Right
from ccari.ports.accesses import Looked
from ccari.ports.subjects import Mandate
from ccari.recordings.known_folder import known_folder
from ccari.recordings.subject.erasing import Erased, Eraser, refuse, terms_now
from ccari.recordings.subject.pack import refuse_taken
from ccari.store.opened import Store

_Report = Mapping[str, Any]

app = typer.Typer(help="Everything held on one person: looking it up; export and erasure, on their request.")
app.command("find")(subject_find.command)
app.command("export")(subject_export.command)
app.command("dossier")(subject_dossier.command)


@app.command()
def erase(
    context: typer.Context,
    number: NumberText,
    *,
    request: Annotated[
        str, typer.Option(metavar="REFERENCE", help="Their request for erasure: open, and at L2.")
    ],
    controller: ControllerId = None,
    yes: Yes = False,
    drop_proof: Annotated[
        bool, typer.Option("--drop-proof", help="Also erase the proof of consents.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write what was done to this file, as JSON.")] = None,
    json: Json = False,
) -> None:
    """Erase what is held on a person (Art 17). Without --yes, only show what goes, what stays, and on which
    ground.

    Exit status 1 if nothing may be erased, or something could not be. If everything was erased before, --report
    writes the report of that erasure.
    """
    if report is not None:
        refuse_taken(report, "report")
        refuse_unwritable(report)

    async def work(settings: Settings, store: Store) -> tuple[Mandate, Plan, Erased | None, _Report | None]:
        of = await _identified(settings, store, number, controller, request.upper())
        refuse_while_spooled(settings, of.controller.id, of.subject.digests)
        wanted, terms = wanted_of(of), terms_now(of.controller, of.number, keep_proof=not drop_proof)
        eraser = Eraser(
            store.erasures, store.deletions, settings.recordings_dir, known_folder(settings), actor()
        )
        plan = await eraser.plan(wanted, terms)
        # the person is told what is on record (Art 15): that their data were erased, only if something is
        erases = yes and await eraser.has_work(wanted, plan)
        looked = Looked.SUBJECT_ERASED if erases else Looked.SUBJECT_LOOKED_UP
        await note(store, looked, of.access_target, of.mandate.reference)
        if not erases:
            refuse(wanted, plan)
        if not yes:
            return of.mandate, plan, None, None
        # not tried if it is on record as a look only: what held everything may end meanwhile
        erased = await eraser.erase(wanted, terms) if erases else Erased(None)
        # if an earlier run finished the erasure and its report was lost, write that report now
        last = erased.report or await store.erasures.report(of.mandate.reference)
        return of.mandate, plan, erased, last

    mandate, plan, erased, last_report = with_store(context, work)
    if erased is None:
        _print_plan(plan, json=json)
        return
    _refuse_unfinished(erased)
    fault = _write(report, last_report) if report is not None and last_report is not None else None
    if json:
        as_json(erased.report)
    elif erased.report is None:
        _print_plan(plan, json=False)
    else:
        _print_report(erased.report, answered=not mandate.state.is_open)
    if fault is not None:
        raise CcariError(
            f"everything is erased, but the report could not be written: {fault}: run the command again to write it"
        )
    if report is not None and last_report is not None and erased.report is None:
        typer.echo(f"the report of what was erased before is in {report}", err=True)


def _refuse_unfinished(erased: Erased) -> None:
    """Raise CcariError if a recording could not be removed."""
    if erased.faults:
        first = next(iter(erased.faults.values()))
        raise CcariError(
            f"{counted(len(erased.faults), 'recording')} could not be removed: {first}; all but these and their calls is erased: "
            "put this right and run the command again"
        )


def _write(path: Path, report: _Report) -> str | None:
    """Write the report; returns why that failed, or None. It does not raise: what was erased must still be printed."""
    try:
        # an existing file was refused at the beginning; one may have appeared since
        with writing(path, new="report") as file:
            file.write(orjson.dumps(report, default=str, option=orjson.OPT_INDENT_2) + b"\n")
    except CcariError as error:
        return str(error)
    return None


async def _identified(
    settings: Settings, store: Store, number: str, controller: str | None, reference: str
) -> IdentifiedPerson:
    secrets = await vouched(settings, store)
    policy = await current_policy(store)
    return await identified_person(
        policy, store.subjects, secrets, number, controller, reference, {Right.ERASURE}
    )


def _print_plan(plan: Plan, *, json: bool) -> None:
    goes = count_deleted(plan)
    if json:
        as_json({"goes": goes, "stays": count_kept(plan)})
        return
    as_table(goes, {"what": "GOES", "count": "COUNT"}, none="nothing is left to erase")
    if plan.stays:
        typer.echo()
        columns = {"what": "STAYS", "count": "COUNT", "article": "ARTICLE", "why": "WHY"}
        as_table(count_kept(plan), columns, none="")
    if goes:
        typer.echo("nothing has been erased yet: add --yes to erase it; this cannot be undone", err=True)


def _print_report(report: _Report, *, answered: bool) -> None:
    """``answered``: the request was closed before, and this erasure completes it with data that had to be kept then."""
    rows = [{"what": what, "count": count} for what, count in report["erased"].items()]
    as_table(rows, {"what": "ERASED", "count": "COUNT"}, none="nothing was erased")
    columns = {"what": "STAYS", "count": "COUNT", "article": "ARTICLE", "why": "WHY"}
    if report["kept"]:
        typer.echo()
        as_table(report["kept"], columns, none="")
    for where, why in report["traces"]["left"].items():
        typer.echo(f"traces may be left in {where}: {why}", err=True)
    then = f"answer the person, then: ccari requests resolve {report['reference']}"
    typer.echo(
        f"{'tell the person that this is erased too' if answered else then}; "
        "take care yourself of backups, and of data that was passed on",
        err=True,
    )
