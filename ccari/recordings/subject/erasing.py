"""Carries out an erasure (Art 17): first the recordings, then their calls, then all other rows, then traces in other tables.

Each step looks up what is left to erase. So after an interruption at any point, the next run completes the erasure, and a further run
finds nothing to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from ccari.counting import counted
from ccari.errors import AllKeptError
from ccari.policy.erasure import ErasureTerms, Ground, Plan, Thing, What, count_kept, plan
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller
from ccari.policy.retention import Why
from ccari.ports.holds import Disposal, Judge, StoredRecording, Sweeps
from ccari.ports.subjects import Erasures, Wanted
from ccari.recordings.housekeeping import Housekeeper, Swept
from ccari.recordings.known_folder import KnownFolder

#: Why files may be missing; another reason is an earlier run that was interrupted after it had removed them.
_OTHER_FOLDER = "all nodes must have the same [recordings] dir"
#: What the person asks for otherwise is none of the exceptions of Art 17(3).
_ANSWER_FIRST = (
    "; another request of the person is no ground to refuse this one: answer it first; a restriction that was granted keeps everything"
    " until it is lifted (ccari suppress remove NUMBER --reason restriction), once the person was told (Art 18(3))"
)


@dataclass(frozen=True, slots=True)
class Erased:
    """``report``: None if there was nothing to do, or files could not be removed. ``faults``: why, by file; the next run tries again."""

    report: Mapping[str, Any] | None
    faults: Mapping[str, str] = field(default_factory=dict)


class Eraser:
    """``folder``, ``known``: the recordings' folder, as for Housekeeper. ``who``: recorded as having erased."""

    def __init__(
        self, erasures: Erasures, sweeps: Sweeps, folder: Path, known: KnownFolder | None, who: str
    ) -> None:
        self._erasures = erasures
        self._sweeps = sweeps
        self._housekeeper = Housekeeper(sweeps, folder, known, who)
        self._who = who

    async def plan(self, wanted: Wanted, terms: ErasureTerms) -> Plan:
        """What would be erased, and what would stay. Raises StoreError."""
        return plan(await self._erasures.things(wanted), terms)

    async def has_work(self, wanted: Wanted, planned: Plan) -> bool:
        """Whether :meth:`erase` would erase something, or complete what an earlier run has begun. Raises StoreError."""
        if _is_refused(wanted, planned):
            return False
        return bool(planned.goes) or await self._erasures.under_way(wanted) is not None

    async def erase(self, wanted: Wanted, terms: ErasureTerms) -> Erased:
        """Erase everything that neither Art 17(3) nor a hold keeps.

        Raises
        ------
        AllKeptError
            If that keeps everything.
        RequestError
            If the request was changed since it was read: refused or withdrawn, say. Nothing is erased then, unless an earlier run has.
        RecordingDelayed, StoreError
            If the recordings folder hangs, or the database fails. The next run goes on from there.
        """
        planned = await self.plan(wanted, terms)
        refuse(wanted, planned)
        if not await self.has_work(wanted, planned):
            return Erased(None)
        erasure = await self._erasures.begin(wanted, self._who)
        faults, missing = await self._delete_recordings(wanted, planned, terms)
        while await self._erasures.erase_calls(wanted, erasure, terms, self._who):
            pass
        await self._erasures.erase_rest(wanted, erasure, terms)
        traces = dict(await self._erasures.clear_traces(erasure))
        if missing:
            traces["left"] = {
                **traces["left"],
                "recordings": f"{counted(missing, 'file was', 'files were')} missing: {_OTHER_FOLDER}",
            }
        left = await self.plan(wanted, terms)
        if faults:
            # leave the erasure open, so that the next run removes these files
            return Erased(None, faults)
        return Erased(await self._erasures.end(wanted, erasure, left, traces, self._who))

    async def _delete_recordings(
        self, wanted: Wanted, planned: Plan, terms: ErasureTerms
    ) -> tuple[dict[str, str], int]:
        """Delete file, tag and row of each recording. Returns why files could not be removed, by file; and how many did not exist."""
        ids = sorted(UUID(each.id) for each in planned.goes if each.what is What.RECORDING)
        if not ids:
            return {}, 0
        swept = await self._housekeeper.delete(ids, _judge(wanted.mandate.reference, terms))
        if swept.count + len(swept.faults) == len(ids):
            return swept.faults, swept.missing
        # the others: their deletion was decided earlier, and not carried out
        earlier = Swept()
        async with self._sweeps.sweep() as sweep:
            await self._housekeeper.finish(sweep, earlier)
        own = {str(each) for each in ids}
        faults = {
            file: why for file, why in earlier.faults.items() if Path(file).name.partition(".")[0] in own
        }
        return swept.faults | faults, swept.missing


def refuse(wanted: Wanted, planned: Plan) -> None:
    """Raise AllKeptError, with the grounds, if Art 17(3) or a hold keeps everything. Does not raise if the rest was erased before."""
    if not _is_refused(wanted, planned):
        return
    reasons = dict.fromkeys(
        f"{'; '.join(each.held_by) or each.ground.words} (Art {each.ground.article})"
        for each in planned.stays
    )
    advice = _ANSWER_FIRST if any(each.ground is Ground.REQUEST for each in planned.stays) else ""
    raise AllKeptError(
        f"nothing is erased for {wanted.mandate.reference}: {' | '.join(reasons)}{advice}",
        count_kept(planned),
    )


def _is_refused(wanted: Wanted, planned: Plan) -> bool:
    return planned.is_refused and not wanted.mandate.begun


def _judge(reference: str, terms: ErasureTerms) -> Judge:
    """The law on each recording, applied when its deletion is decided on."""

    def judge(stored: StoredRecording) -> Disposal | None:
        thing = Thing(
            What.RECORDING, str(stored.id), stored.legal_basis, stored.limit,
            holds=[(each.kind, each.words) for each in stored.held],
        )  # fmt: skip
        return Disposal(Why.ERASURE, reference) if terms.ground(thing, {}) is None else None

    return judge


def terms_now(of: Controller, number: Number, *, keep_proof: bool) -> ErasureTerms:
    return ErasureTerms(datetime.now(UTC), keep_proof, (of.country, number.country))
