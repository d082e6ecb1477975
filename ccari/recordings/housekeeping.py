"""The deletion of recordings that nothing keeps any more: their limit has passed, or the person took away the reason.

What is to go is decided and written down first (see :class:`ccari.ports.holds.Sweep`), then the files are removed, and
only when they are gone do the rows say so. Whoever is interrupted anywhere leaves a decision that the next one carries out.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog

from ccari.errors import RefusedError
from ccari.gating.rounds import again_and_again
from ccari.policy import retention
from ccari.policy.retention import Deletion, HoldKind, Why
from ccari.ports.holds import Doomed, Judge, Stored, Sweep, Sweeps, Verdict
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.ports.recordings import changed
from ccari.recordings.removal import remove

#: From the end of one round to the next. Storage is limited to days, so that minutes are soon enough, also after a consent
#: was withdrawn.
ROUND_SECONDS = 300.0
#: Decided upon in one transaction, for which those wait who place holds.
BATCH = 250
#: Removed by one thread in a row, and how many threads do it: a network file system takes its time for each.
_CHUNK, _THREADS = 64, 4

_log = structlog.get_logger()
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass
class Swept:
    """What became of one round. ``deleted``: how many, by why; ``missing``: of them, those whose file was not there (any more).
    ``held``: due, but kept. ``faults``: by file, or by the recording's id where nobody can tell whether it is due.
    """

    deleted: dict[Why, int] = field(default_factory=dict)
    missing: int = 0
    held: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.deleted.values())


def due(now: datetime) -> Judge:
    """The law on stored recordings at ``now``: see :func:`ccari.policy.retention.deletion`."""

    def judge(stored: Stored) -> Verdict | None:
        return fallen_due(stored, now, stored.kinds)

    return judge


def fallen_due(stored: Stored, now: datetime, holds: Collection[HoldKind] = ()) -> Verdict | None:
    """For what the recording is to be deleted by ``now``, with nothing but ``holds`` to hold it; None if it is kept."""
    found = end(stored, holds)
    if found.at is None or found.at > now:
        return None
    why = Why(found.why)
    of = {Why.CONSENT_WITHDRAWN: stored.consent_withdrawn, Why.ERASURE: stored.erasure_granted}.get(why)
    return Verdict(why, of[1] if of else "")


def end(stored: Stored, holds: Collection[HoldKind] = ()) -> Deletion:
    """Until when the recording is kept, with nothing but ``holds`` to hold it."""
    withdrawn, erased = stored.consent_withdrawn, stored.erasure_granted
    return retention.deletion(
        stored.recorded, stored.legal_basis, stored.limit, holds=holds,
        consent_withdrawn=withdrawn[0] if withdrawn else None, erasure_granted=erased[0] if erased else None,
    )  # fmt: skip


def purging(now: datetime, reason: str) -> Judge:
    """Whether somebody may delete recordings before their time, for a ``reason`` that is kept."""

    def judge(stored: Stored) -> Verdict | None:
        fault = retention.purge_fault(stored.legal_basis, stored.limit, now, stored.kinds)
        return None if fault else Verdict(Why.PURGE, reason)

    return judge


@dataclass
class Plan:
    """What a round would do. ``due``: recordings by controller, campaign and why. ``held_by``: of those that are due as well
    and kept, how many by what. ``begun``: decided before, and not carried out yet. ``faults``: why nobody can tell whether it is
    due, by the recording's id.
    """

    due: Counter[tuple[str, str, Why]] = field(default_factory=Counter)
    held: int = 0
    held_by: Counter[str] = field(default_factory=Counter)
    begun: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return self.due.total() + self.begun


class Housekeeper:
    """Deletes what is due below ``folder``. ``who``: as what is kept of who decided it."""

    def __init__(
        self, sweeps: Sweeps, folder: Path, who: str = "housekeeping", meter: Meter = UNMETERED
    ) -> None:
        self._meter = meter
        self._sweeps = sweeps
        self._folder = folder
        self._who = who
        # their own: on a disk that hangs they would keep from the others what all share
        self._threads = ThreadPoolExecutor(_THREADS, "ccari-deletions")

    async def run(self) -> None:
        """A round every :data:`ROUND_SECONDS` until cancelled. What fails is logged, and tried again: no call depends on it."""
        await again_and_again(
            self.round, ROUND_SECONDS, Work.HOUSEKEEPING, self._meter,
            stalled=lambda reason: _log.warning("housekeeping_stalled", reason=reason), failed=lambda: _log.exception("housekeeping_failed"),
        )  # fmt: skip

    async def round(self) -> Swept | None:
        """Delete what is due, if no other node of the fleet is at it; None if one is.

        Raises
        ------
        StoreError
            If the database fails. What was decided by then is carried out next time.
        """
        async with self._sweeps.turn() as sweep:
            if sweep is None:
                return None
            swept = Swept()
            await self.finish(sweep, swept)
            await self.delete_due(sweep, swept)
        for why, count in swept.deleted.items():
            self._meter.deleted(why, count)
        self._meter.not_deleted(len(swept.faults))
        for reason, count in Counter(swept.faults.values()).items():
            _log.error("recordings_not_deleted", reason=reason, recordings=count)
        if swept.missing:
            # after an interruption, or on a node that has a folder of its own
            _log.warning(
                "recordings_were_not_there", recordings=swept.missing,
                advice="all nodes are to have the same [recordings] dir",
            )  # fmt: skip
        if swept.count or swept.held or swept.faults:
            _log.info(
                "recordings_swept", deleted={each.value: count for each, count in swept.deleted.items()},
                held=swept.held, failed=len(swept.faults),
            )  # fmt: skip
        return swept

    async def plan(self, progress: Callable[[int], None] = lambda _looked_at: None) -> Plan:
        """What a round would do now. Raises StoreError."""
        plan, now, looked_at = Plan(), datetime.now(UTC), 0
        async with self._sweeps.sweep() as sweep:
            after = None
            while begun := await sweep.decided(BATCH, after):
                plan.begun, after = plan.begun + len(begun), begun[-1].id
            async for ids in sweep.candidates(now):
                for start in range(0, len(ids), BATCH):
                    for stored in await _sparing(sweep.look, ids[start : start + BATCH], _noted(plan.faults)):
                        verdict = fallen_due(stored, now)
                        if verdict is not None and stored.held:
                            plan.held += 1
                            plan.held_by.update({each.words for each in stored.held})
                        elif verdict is not None:
                            plan.due[stored.controller, stored.campaign, verdict.why] += 1
                looked_at += len(ids)
                progress(looked_at)
        return plan

    async def everything(self, progress: Callable[[int], None]) -> Swept:
        """A round beside whoever else is at it, for somebody who waits for it: ``progress`` as in :meth:`delete_due`."""
        swept = Swept()
        async with self._sweeps.sweep() as sweep:
            await self.finish(sweep, swept)
            await self.delete_due(sweep, swept, progress)
        return swept

    async def these(self, recording_ids: Sequence[UUID], judge: Judge) -> Swept:
        """Delete those of the recordings that ``judge`` still says it of. Raises StoreError as :meth:`round` does."""
        swept = Swept()
        async with self._sweeps.sweep() as sweep:
            for start in range(0, len(recording_ids), BATCH):
                doomed = await self._decide(sweep, recording_ids[start : start + BATCH], judge, swept)
                await self.carry_out(sweep, doomed, swept)
        return swept

    async def finish(self, sweep: Sweep, swept: Swept) -> None:
        """Carry out what was decided before."""
        after = None
        while doomed := await sweep.decided(BATCH, after):
            await self.carry_out(sweep, doomed, swept)
            after = doomed[-1].id

    async def delete_due(
        self, sweep: Sweep, swept: Swept, progress: Callable[[int], None] = lambda _looked_at: None
    ) -> None:
        """Decide on all that is due, and carry it out; ``progress`` is told of how many it was decided."""
        now = datetime.now(UTC)
        looked_at = 0
        async for ids in sweep.candidates(now):
            for start in range(0, len(ids), BATCH):
                batch = ids[start : start + BATCH]
                held: list[Stored] = []
                doomed = await self._decide(sweep, batch, _noting(due(now), now, held), swept)
                swept.held += len(held)
                await self.carry_out(sweep, doomed, swept)
                looked_at += len(batch)
                progress(looked_at)

    async def _decide(
        self, sweep: Sweep, recording_ids: Sequence[UUID], judge: Judge, swept: Swept
    ) -> list[Doomed]:
        return await _sparing(
            lambda ids: sweep.decide(ids, judge, self._who), recording_ids, _noted(swept.faults)
        )

    async def carry_out(self, sweep: Sweep, doomed: Sequence[Doomed], swept: Swept) -> None:
        """Remove the files, and say so in the rows of those that are gone.

        Raises
        ------
        StoreError
            If that could not be said. It is said the next time.
        """
        faults, missing = await self._remove(doomed)
        swept.faults |= faults

        def left(doomed: Doomed, _: str) -> None:
            swept.faults[doomed.file] = changed(doomed.call_id)

        gone = await _sparing(sweep.carried_out, [each for each in doomed if each.file not in faults], left)
        for number, each in enumerate(gone):
            swept.missing += each.file in missing
            swept.deleted[each.verdict.why] = swept.deleted.get(each.verdict.why, 0) + 1
            _tell(each)
            if number % _CHUNK == 0:
                # a running call is not to wait for some hundred lines
                await asyncio.sleep(0)

    async def _remove(self, doomed: Sequence[Doomed]) -> tuple[dict[str, str], set[str]]:
        """Why files could not be removed, by file; and those that were not there."""
        files = sorted(each.file for each in doomed)
        loop = asyncio.get_running_loop()
        done = await asyncio.gather(
            *(
                loop.run_in_executor(self._threads, remove, self._folder, files[start : start + _CHUNK])
                for start in range(0, len(files), _CHUNK)
            )
        )
        faults = {file: reason for each, _ in done for file, reason in each.items()}
        return faults, {file for _, missing in done for file in missing}


async def _sparing(
    step: Callable[[Sequence[_T]], Awaitable[list[_R]]], of: Sequence[_T], left: Callable[[_T, str], None]
) -> list[_R]:
    """``step`` for all of them but those that somebody has changed: one of many must not keep the others."""
    try:
        return await step(of)
    except RefusedError as error:
        if len(of) == 1:
            left(of[0], str(error))
            return []
    half = len(of) // 2
    return [*await _sparing(step, of[:half], left), *await _sparing(step, of[half:], left)]


def _noted(faults: dict[str, str]) -> Callable[[UUID, str], None]:
    return lambda recording, reason: faults.update({str(recording): reason})


def _noting(judge: Judge, now: datetime, held: list[Stored]) -> Judge:
    """As ``judge``; what is due and held is put to ``held``."""

    def noting(stored: Stored) -> Verdict | None:
        if stored.held and fallen_due(stored, now) is not None:
            held.append(stored)
        return judge(stored)

    return noting


def _tell(doomed: Doomed) -> None:
    verdict = doomed.verdict
    # what a person wrote who purged it is no matter for a log
    reference = {"reference": verdict.reference} if verdict.reference and verdict.why is not Why.PURGE else {}
    _log.info(
        "recording_deleted", recording=str(doomed.id), call_id=str(doomed.call_id), controller=doomed.controller,
        campaign=doomed.campaign, legal_basis=doomed.legal_basis, why=verdict.why.value, by=doomed.decided_by,
        **reference,
    )  # fmt: skip
