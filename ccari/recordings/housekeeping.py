"""Deletes recordings whose retention has ended: the limit has passed, the person withdrew consent, or an erasure was granted.

The decision is committed first (see :class:`ccari.ports.holds.Sweep`), then the files are removed, and only then do the rows say so. The
next round carries out the decisions of an interrupted one.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog

from ccari.errors import RecordingDelayed, RefusedError
from ccari.office.deletion_clock import Now, by_the_clock
from ccari.office.rounds import again_and_again
from ccari.own_threads import OwnThreads
from ccari.policy import retention
from ccari.policy.retention import Deletion, HoldKind, Why
from ccari.ports.holds import Disposal, Doomed, Judge, StoredRecording, Sweep, Sweeps
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.ports.recordings import changed
from ccari.recordings.known_folder import KnownFolder
from ccari.recordings.removal import remove

#: From the end of one round to the start of the next. Retention is in days, so minutes are soon enough, even after a withdrawal of
#: consent.
ROUND_SECONDS = 300.0
#: How many are decided on in one transaction. Placing a hold waits for it.
BATCH = 250
#: How many files one thread removes in a row. Several threads run at once, since a network file system is slow for each file.
_CHUNK = 64
#: How long, in seconds, one thread may take for them. A folder that hangs must not keep the turn from other nodes for ever.
REMOVAL_SECONDS = 300.0
#: A limit that never passes, and a moment before every limit.
_NEVER, _NO_LIMIT_PASSED = datetime.max.replace(tzinfo=UTC), datetime.fromtimestamp(0, UTC)

_log = structlog.get_logger()
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass
class Swept:
    """The result of one round. ``deleted``: how many, by reason. ``missing``: how many of those had no file (any more). ``held``: how many
    are due, but held. ``faults``: what went wrong, by file, or by recording id if it could not be told whether it is due.
    """

    deleted: dict[Why, int] = field(default_factory=dict)
    missing: int = 0
    held: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.deleted.values())


def due(now: datetime, held: list[StoredRecording]) -> Judge:
    """The law on stored recordings at ``now``: see :func:`ccari.policy.retention.deletion`. Recordings that are due but held are added to
    ``held``.
    """

    def judge(stored: StoredRecording) -> Disposal | None:
        if stored.held and fallen_due(stored, now) is not None:
            held.append(stored)
        return fallen_due(stored, now, stored.kinds)

    return judge


def fallen_due(stored: StoredRecording, now: datetime, holds: Collection[HoldKind] = ()) -> Disposal | None:
    """Why the recording is due for deletion at ``now``, counting only the holds in ``holds``; None if it is kept."""
    # a withdrawal or an erasure takes effect whatever its date: a fast clock may have dated it after ``now``, even after the limit
    deletion = end(stored if stored.limit <= now else replace(stored, limit=_NEVER), holds)
    if deletion.at in {None, _NEVER}:
        return None
    why = Why(deletion.why)
    request = {Why.CONSENT_WITHDRAWN: stored.consent_withdrawn, Why.ERASURE: stored.erasure_granted}.get(why)
    return Disposal(why, request[1] if request else "")


def end(stored: StoredRecording, holds: Collection[HoldKind] = ()) -> Deletion:
    """When the recording is due for deletion, and why, counting only the holds in ``holds``."""
    withdrawn, erased = stored.consent_withdrawn, stored.erasure_granted
    return retention.deletion(
        stored.recorded, stored.legal_basis, stored.limit, holds=holds,
        consent_withdrawn=withdrawn[0] if withdrawn else None, erasure_granted=erased[0] if erased else None,
    )  # fmt: skip


def purging(now: datetime, reason: str) -> Judge:
    """The law on deleting recordings early, by hand; ``reason`` is stored with each."""

    def judge(stored: StoredRecording) -> Disposal | None:
        fault = retention.purge_fault(stored.legal_basis, stored.limit, now, stored.kinds)
        return None if fault else Disposal(Why.PURGE, reason)

    return judge


@dataclass
class Plan:
    """What a round would do. ``due``: how many recordings, by controller, campaign and reason. ``held``: how many are due but held;
    ``held_by``: by what. ``begun``: how many deletions were decided earlier and not carried out yet. ``faults``: by recording id, why it
    cannot be told whether it is due.
    """

    due: Counter[tuple[str, str, Why]] = field(default_factory=Counter)
    held: int = 0
    held_by: Counter[str] = field(default_factory=Counter)
    begun: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return self.due.total() + self.begun

    def add(self, stored: StoredRecording, disposal: Disposal) -> None:
        """Count a recording that is due."""
        if stored.held:
            self.held += 1
            self.held_by.update({each.words for each in stored.held})
        else:
            self.due[stored.controller, stored.campaign, disposal.why] += 1


class Housekeeper:
    """Deletes recordings below ``folder``. ``who``: recorded as having decided on each deletion. ``known``: tells whether it is the
    folder that they were stored in; None: not checked. ``now``: tells the time by which limits have passed; None: no limit counts as
    passed.
    """

    def __init__(
        self, sweeps: Sweeps, folder: Path, known: KnownFolder | None, who: str = "housekeeping", meter: Meter = UNMETERED,
        now: Now = by_the_clock,
    ) -> None:  # fmt: skip
        self._now = now
        self._meter = meter
        self._known = known
        self._sweeps = sweeps
        self._folder = folder
        self._who = who
        self._threads = OwnThreads("ccari-deletions", RecordingDelayed)

    async def run(self) -> None:
        """A round every :data:`ROUND_SECONDS` until cancelled. A failure is logged, and the next round tries again: no call depends on
        it.
        """
        await again_and_again(
            self.round, ROUND_SECONDS, Work.HOUSEKEEPING, self._meter,
            stalled=lambda error: _log.warning("housekeeping_stalled", reason=str(error)), failed=lambda: _log.exception("housekeeping_failed"),
        )  # fmt: skip

    async def round(self) -> Swept | None:
        """Delete what is due; None if another node of the fleet is doing so.

        Raises
        ------
        RecordingDelayed, StoreError
            If the recordings folder hangs, or the database fails. What was decided by then is carried out in the next round.
        """
        async with self._sweeps.turn() as sweep:
            if sweep is None:
                return None
            swept = Swept()
            await self.finish(sweep, swept)
            await self.delete_due(sweep, swept)
        self._report(swept)
        return swept

    def _report(self, swept: Swept) -> None:
        for why, count in swept.deleted.items():
            self._meter.deleted(why, count)
        self._meter.not_deleted(len(swept.faults))
        for reason, count in Counter(swept.faults.values()).items():
            _log.error("recordings_not_deleted", reason=reason, recordings=count)
        if swept.missing:
            # an interrupted round removed them, or this node has a different folder
            _log.warning(
                "recordings_were_not_there", recordings=swept.missing,
                advice="all nodes must have the same [recordings] dir",
            )  # fmt: skip
        if swept.count or swept.held or swept.faults:
            _log.info(
                "recordings_swept", deleted={each.value: count for each, count in swept.deleted.items()},
                held=swept.held, failed=len(swept.faults),
            )  # fmt: skip

    async def plan(self, progress: Callable[[int], None] = lambda _looked_at: None) -> Plan:
        """What a round would do now. ``progress`` is called with the number looked at. Raises StoreError."""
        plan, now, looked_at = Plan(), self._now() or _NO_LIMIT_PASSED, 0
        async with self._sweeps.sweep() as sweep:
            after = None
            while begun := await sweep.decided(BATCH, after):
                plan.begun, after = plan.begun + len(begun), begun[-1].id
            async for ids in sweep.candidates(now):
                for batch in _parts(ids, BATCH):
                    for stored in await _without_changed(sweep.still_stored, batch, _adding_to(plan.faults)):
                        if (disposal := fallen_due(stored, now)) is not None:
                            plan.add(stored, disposal)
                looked_at += len(ids)
                progress(looked_at)
        return plan

    async def everything(self, progress: Callable[[int], None]) -> Swept:
        """A round for a caller who waits for it, even while another node runs one. ``progress``: as in :meth:`delete_due`."""
        swept = Swept()
        async with self._sweeps.sweep() as sweep:
            await self.finish(sweep, swept)
            await self.delete_due(sweep, swept, progress)
        return swept

    async def delete(self, recording_ids: Sequence[UUID], judge: Judge) -> Swept:
        """Delete those recordings that ``judge``, asked now, condemns. Raises like :meth:`round`."""
        swept = Swept()
        async with self._sweeps.sweep() as sweep:
            for batch in _parts(recording_ids, BATCH):
                doomed = await self._decide(sweep, batch, judge, swept)
                await self.carry_out(sweep, doomed, swept)
        return swept

    async def finish(self, sweep: Sweep, swept: Swept) -> None:
        """Carry out deletions decided earlier."""
        after = None
        while doomed := await sweep.decided(BATCH, after):
            await self.carry_out(sweep, doomed, swept)
            after = doomed[-1].id

    async def delete_due(
        self, sweep: Sweep, swept: Swept, progress: Callable[[int], None] = lambda _looked_at: None
    ) -> None:
        """Decide on everything that is due, and carry it out. ``progress`` is called with the number decided on."""
        now = self._now() or _NO_LIMIT_PASSED
        looked_at = 0
        async for ids in sweep.candidates(now):
            for batch in _parts(ids, BATCH):
                held: list[StoredRecording] = []
                doomed = await self._decide(sweep, batch, due(now, held), swept)
                swept.held += len(held)
                await self.carry_out(sweep, doomed, swept)
                looked_at += len(batch)
                progress(looked_at)

    async def _decide(
        self, sweep: Sweep, recording_ids: Sequence[UUID], judge: Judge, swept: Swept
    ) -> list[Doomed]:
        return await _without_changed(
            lambda ids: sweep.decide(ids, judge, self._who), recording_ids, _adding_to(swept.faults)
        )

    async def carry_out(self, sweep: Sweep, doomed: Sequence[Doomed], swept: Swept) -> None:
        """Remove the files, and mark the rows of removed ones as deleted.

        Raises
        ------
        RecordingDelayed, StoreError
            If the recordings folder hangs, or the rows could not be written. The next round carries it out.
        """
        faults, missing = await self._remove(doomed)
        swept.faults |= faults

        def refused(doomed: Doomed, _: str) -> None:
            swept.faults[doomed.file] = changed(doomed.call_id)

        removed = [each for each in doomed if each.file not in faults]
        deleted = await _without_changed(sweep.carried_out, removed, refused)
        for number, recording in enumerate(deleted):
            swept.missing += recording.file in missing
            swept.deleted[recording.disposal.why] = swept.deleted.get(recording.disposal.why, 0) + 1
            _log_deleted(recording)
            if number % _CHUNK == 0:
                # logging hundreds of lines must not hold up calls
                await asyncio.sleep(0)

    async def _remove(self, doomed: Sequence[Doomed]) -> tuple[dict[str, str], set[str]]:
        """Returns why files could not be removed, by file; and which files were not there. Raises RecordingDelayed if the folder hangs."""
        files = sorted(each.file for each in doomed)
        results = await asyncio.gather(
            *(
                self._threads.within(REMOVAL_SECONDS, remove, self._folder, part, self._known)
                for part in _parts(files, _CHUNK)
            )
        )
        faults = {file: reason for failed, _ in results for file, reason in failed.items()}
        return faults, {file for _, missing in results for file in missing}


def _parts(whole: Sequence[_T], most: int) -> Iterator[Sequence[_T]]:
    return (whole[start : start + most] for start in range(0, len(whole), most))


async def _without_changed(
    step: Callable[[Sequence[_T]], Awaitable[list[_R]]],
    batch: Sequence[_T],
    refused: Callable[[_T, str], None],
) -> list[_R]:
    """Run ``step`` for all of a batch except rows that were tampered with: ``step`` refuses those with RefusedError, and ``refused`` is
    called with them. A batch is refused as a whole, so it is halved until only the tampered rows are left out.
    """
    try:
        return await step(batch)
    except RefusedError as error:
        if len(batch) == 1:
            refused(batch[0], str(error))
            return []
    half = len(batch) // 2
    return [
        *await _without_changed(step, batch[:half], refused),
        *await _without_changed(step, batch[half:], refused),
    ]


def _adding_to(faults: dict[str, str]) -> Callable[[UUID, str], None]:
    return lambda recording, reason: faults.update({str(recording): reason})


def _log_deleted(doomed: Doomed) -> None:
    disposal = doomed.disposal
    # the reference of a purge is free text, which must not get into a log
    reference = (
        {"reference": disposal.reference} if disposal.reference and disposal.why is not Why.PURGE else {}
    )
    _log.info(
        "recording_deleted", recording=str(doomed.id), call_id=str(doomed.call_id), controller=doomed.controller,
        campaign=doomed.campaign, legal_basis=doomed.legal_basis, why=disposal.why.value, by=doomed.decided_by,
        **reference,
    )  # fmt: skip
