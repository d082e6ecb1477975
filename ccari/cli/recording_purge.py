"""``ccari recordings purge``: deletes recordings that are due now, or one recording before its time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID

import typer

from ccari.cli.context import Json, actor, stated, with_store
from ccari.cli.output import as_json, as_table, cell, watched
from ccari.cli.purging import Yes
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError, RecordingError, UnknownError
from ccari.policy.retention import purge_fault
from ccari.ports.holds import StoredRecording
from ccari.recordings.housekeeping import Housekeeper, Plan, Swept, end, purging
from ccari.recordings.known_folder import known_folder
from ccari.store.opened import Store


def purge(
    context: typer.Context,
    recording: Annotated[
        UUID | None,
        typer.Argument(help="This recording, even if its time is not over; default: all that are due."),
    ] = None,
    *,
    reason: Annotated[
        str, typer.Option(help="Why it is deleted before its time; kept with the record of it.")
    ] = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete recordings now, with their tags. Recordings that are held are kept, and what holds them is named.

    Exit status 1 if a recording must not or could not be deleted.
    """
    if recording is None:
        if reason:
            raise typer.BadParameter("only for one RECORDING: name it", param_hint="--reason")
        _purge_due(context, yes=yes, json=json)
        return
    _purge_one(context, recording, stated(reason, "--reason"), yes=yes, json=json)


def _purge_due(context: typer.Context, *, yes: bool, json: bool) -> None:
    async def work(settings: Settings, store: Store) -> tuple[Plan, Swept | None]:
        keeper = _keeper(settings, store)
        with watched("looking for what is due") as progress:
            plan = await keeper.plan(progress)
        if not yes:
            return plan, None
        with watched("deleting", plan.due.total() + plan.held) as progress:
            return plan, await keeper.everything(progress)

    plan, swept = with_store(context, work)
    due = [
        {"controller": controller, "campaign": campaign, "why": why, "recordings": count}
        for (controller, campaign, why), count in sorted(plan.due.items())
    ]
    if json:
        held = {"held": plan.held, "held_by": plan.held_by, "begun": plan.begun}
        as_json({"due": due, **held, **_done(swept, plan.faults)})
    else:
        columns = {
            "controller": "CONTROLLER",
            "campaign": "CAMPAIGN",
            "why": "WHY",
            "recordings": "RECORDINGS",
        }
        as_table(due, columns, none="nothing is due, apart from what is held")
        for words, count in plan.held_by.most_common():
            typer.echo(f"{count} due, but held by {words}")
        if plan.begun:
            typer.echo(f"{plan.begun} whose deletion began earlier, but whose files still exist")
        for recording, reason in plan.faults.items():
            typer.echo(f"ccari: recording {recording} is not deleted: {reason}", err=True)
        _conclude(plan.count, swept)
    _warn_of_missing(context, swept)
    _fail_for(swept)


def _purge_one(context: typer.Context, recording: UUID, reason: str, *, yes: bool, json: bool) -> None:
    async def work(settings: Settings, store: Store) -> tuple[StoredRecording, Swept | None]:
        stored = await _stored(store, recording)
        if not yes:
            return stored, None
        now = datetime.now(UTC)
        swept = await _keeper(settings, store).delete([recording], purging(now, reason))
        if not swept.count and not swept.faults:
            # it was held or deleted after we looked: this raises the error that says so
            await _stored(store, recording)
        return stored, swept

    stored, swept = with_store(context, work)
    if json:
        as_json({
            "recording": stored.id, "call": stored.call_id, "controller": stored.controller,
            "campaign": stored.campaign, "legal_basis": stored.legal_basis, "recorded_at": stored.recorded,
            "due": end(stored).at, **_done(swept),
        })  # fmt: skip
    else:
        typer.echo(
            f"recording {stored.id} of {stored.campaign}, {cell(stored.recorded)}, {stored.legal_basis}: "
            f"due {cell(end(stored).at)}"
        )
        _conclude(1, swept)
    _warn_of_missing(context, swept)
    _fail_for(swept)


async def _stored(store: Store, recording: UUID) -> StoredRecording:
    """The recording. Raises CcariError, saying why, if it may not be deleted."""
    stored = (await store.deletions.stored([recording])).get(recording)
    if stored is None:
        raise UnknownError(f"no recording {recording} is stored: see ccari recordings list")
    fault = purge_fault(stored.legal_basis, stored.limit.astimezone(), datetime.now(UTC), stored.kinds)
    if stored.held:
        fault = f"held by {' and by '.join(each.words for each in stored.held)}"
    if fault is not None:
        raise RecordingError(f"recording {recording} is not deleted: {fault}")
    return stored


def _keeper(settings: Settings, store: Store) -> Housekeeper:
    return Housekeeper(store.deletions, settings.recordings_dir, known_folder(settings), actor())


def _done(swept: Swept | None, faults: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    return {
        "deleted": None if swept is None else swept.count,
        "missing": None if swept is None else swept.missing,
        "faults": dict(faults) if swept is None else swept.faults,
    }


def _conclude(planned: int, swept: Swept | None) -> None:
    if swept is not None:
        typer.echo(f"{swept.count} deleted")
    elif planned:
        typer.echo(f"nothing has been deleted yet: add --yes to delete {planned}", err=True)


def _warn_of_missing(context: typer.Context, swept: Swept | None) -> None:
    """Say on standard error whose files were not there: deleted is then only what the database knew of them, and not the audio, if this
    is another folder than the one that they were stored in.
    """
    if swept is not None and swept.missing:
        folder = context.obj.settings().recordings_dir
        were = counted(swept.missing, "of them had no file", "of them had no files")
        typer.echo(
            f"ccari: {were} in {folder}: gone before, or stored by a node with another [recordings] dir",
            err=True,
        )


def _fail_for(swept: Swept | None) -> None:
    if swept is None or not swept.faults:
        return
    first = next(iter(swept.faults.values()))
    raise CcariError(f"{len(swept.faults)} could not be deleted: {first}")
