"""An erasure carried out: recordings first, then the rows that tell of them, then what else there is, then the traces.

Each step is whole by itself and finds what is left to do by looking: whoever is interrupted anywhere leaves something that
the next run ends, and a run after that finds nothing more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from ccari.errors import AllKeptError
from ccari.policy.erasure import Plan, Terms, Thing, What, kept, plan
from ccari.policy.parties import Controller
from ccari.policy.retention import Why
from ccari.ports.holds import Judge, Stored, Sweeps, Verdict
from ccari.ports.subjects import Erasures, Wanted
from ccari.recordings.housekeeping import Housekeeper, Swept

#: After an interruption it is so, too.
_ELSEWHERE = "all nodes are to have the same [recordings] dir"


@dataclass(frozen=True, slots=True)
class Erased:
    """``report``: None if there was nothing to do. ``faults``: why files could not be removed; they are tried again."""

    report: Mapping[str, Any] | None
    faults: Mapping[str, str] = field(default_factory=dict)


class Eraser:
    """``folder``: of the recordings. ``who``: as is kept of who erased."""

    def __init__(self, erasures: Erasures, sweeps: Sweeps, folder: Path, who: str) -> None:
        self._erasures = erasures
        self._sweeps = sweeps
        self._housekeeper = Housekeeper(sweeps, folder, who)
        self._who = who

    async def plan(self, wanted: Wanted, terms: Terms) -> Plan:
        """What would go, and what would stay. Raises StoreError."""
        return plan(await self._erasures.things(wanted), terms)

    async def erase(self, wanted: Wanted, terms: Terms) -> Erased:
        """Erase all that no ground keeps.

        Raises
        ------
        AllKeptError
            If 17(3) or a hold keeps all of it.
        StoreError
            If the database fails: run it again, and it goes on.
        """
        found, begun = await self.plan(wanted, terms), await self._erasures.under_way(wanted)
        refuse(wanted, found)
        if begun is None and not found.goes:
            return Erased(None)
        erasure = await self._erasures.begin(wanted, self._who)
        faults, missing = await self._recordings(wanted, found, terms)
        while await self._erasures.erase_calls(wanted, erasure, terms, self._who):
            pass
        await self._erasures.erase_rest(wanted, erasure, terms)
        traces = dict(await self._erasures.clear_traces(erasure))
        if missing:
            traces["left"] = {**traces["left"], "recordings": f"{missing} files were not there: {_ELSEWHERE}"}
        left = await self.plan(wanted, terms)
        if faults:
            # not ended: the next run removes them
            return Erased(None, faults)
        return Erased(await self._erasures.end(wanted, erasure, left, traces, self._who))

    async def _recordings(self, wanted: Wanted, found: Plan, terms: Terms) -> tuple[dict[str, str], int]:
        """Delete recordings, file and tag and row; gives why some could not be removed, and how many were not there."""
        ids = sorted(UUID(each.id) for each in found.goes if each.what is What.RECORDING)
        if not ids:
            return {}, 0
        swept = await self._housekeeper.these(ids, _judge(wanted.mandate.reference, terms))
        if swept.count + len(swept.faults) == len(ids):
            return swept.faults, swept.missing
        begun = Swept()
        async with self._sweeps.sweep() as sweep:
            # what was decided upon before, and not carried out
            await self._housekeeper.finish(sweep, begun)
        mine = {str(each) for each in ids}
        late = {file: why for file, why in begun.faults.items() if Path(file).name.partition(".")[0] in mine}
        return swept.faults | late, swept.missing


def refuse(wanted: Wanted, found: Plan) -> None:
    """Raise AllKeptError if 17(3) or a hold keeps all there is, and why; not where all else was erased before."""
    if wanted.mandate.begun or not found.is_refused:
        return
    reasons = dict.fromkeys(
        f"{'; '.join(each.held_by) or each.ground.words} (Art {each.ground.article})" for each in found.stays
    )
    raise AllKeptError(f"nothing is erased on {wanted.mandate.reference}: {' | '.join(reasons)}", kept(found))


def _judge(reference: str, terms: Terms) -> Judge:
    """The law on a recording as it stands when it is decided upon."""

    def judge(stored: Stored) -> Verdict | None:
        thing = Thing(
            What.RECORDING, str(stored.id), stored.legal_basis, stored.limit,
            holds=[(each.kind, each.words) for each in stored.held],
        )  # fmt: skip
        return Verdict(Why.ERASURE, reference) if terms.ground(thing, {}) is None else None

    return judge


def terms_now(of: Controller, *, keep_proof: bool) -> Terms:
    return Terms(datetime.now(UTC), keep_proof, of.country)
