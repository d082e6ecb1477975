"""Exports a person's data, or shows what an erasure would remove, for the API and the console."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ccari.counting import counted
from ccari.errors import CcariError, RecordingDelayed, why
from ccari.office.naming import zone_of
from ccari.office.registers import refuse_unseen
from ccari.office.subjects import IdentifiedPerson, refuse_unregistered, wanted_of
from ccari.own_threads import OwnThreads
from ccari.policy import erasure
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller, Recipient
from ccari.ports.holds import Sweeps
from ccari.ports.keying import Digests
from ccari.ports.policies import PolicyRecords
from ccari.ports.subjects import AnswerLanguage, Erasures, Exported, Holdings, Subjects
from ccari.ports.suppressions import RegisterStore
from ccari.recordings.subject.account import Asked
from ccari.recordings.subject.erasing import Eraser, refuse, terms_now
from ccari.recordings.subject.pack import Packed, packing

#: How long an export may take. A year of one person's unencrypted recordings takes some seconds; of encrypted ones it has no audio.
EXPORT_SECONDS = 300.0


class SubjectDesk:
    """:class:`ccari.office.subjects.SubjectWork`. ``folder``: of the recordings. ``scratch``: the folder that an export is kept in while
    it is sent, readable by its owner only. ``pressed_by``: how many rights a person pressed that wait on this node, or were put aside.
    """

    def __init__(
        self, subjects: Subjects, registers: RegisterStore, policies: PolicyRecords, erasures: Erasures, sweeps: Sweeps,
        folder: Path, scratch: Path, pressed_by: Callable[[str, Digests], Awaitable[int]],
    ) -> None:  # fmt: skip
        self._subjects = subjects
        self._registers = registers
        self._policies = policies
        self._erasures = erasures
        self._sweeps = sweeps
        self._folder = folder
        self._scratch = scratch
        self._pressed_by = pressed_by
        # they read the folder of the recordings, which may be on another machine
        self._threads = OwnThreads("ccari-exports", RecordingDelayed)

    @contextlib.asynccontextmanager
    async def export(
        self, of: IdentifiedPerson, language: AnswerLanguage | None = None
    ) -> AsyncIterator[Exported]:
        refuse_unregistered(await self._pressed_by(of.controller.id, of.subject.digests))
        await refuse_unseen(self._registers, of.registers, of.listed_as)
        holdings = await self._subjects.holdings(of.subject, of.listed_as)
        asked = await asked_by(of, self._policies, holdings, language)
        try:
            self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CcariError(f"cannot write in {self._scratch}: {why(error)}") from None
        out = self._scratch / f"{secrets.token_hex(8)}.zip"
        # the service holds no key: for encrypted recordings, the export has the rows and no audio
        made = packing(asked, holdings, self._folder, out, zone_of(of.controller), ())
        packed = await self._threads.within(EXPORT_SECONDS, made.__enter__, unwanted=lambda _: _removed(made))
        try:
            yield Exported(packed.draft, packed.sha256, words(packed))
        finally:
            await self._threads.run(_removed, made)

    async def note(self, of: IdentifiedPerson, who: str, done: str) -> None:
        await self._subjects.note(of.mandate, who, done)

    async def plan(self, of: IdentifiedPerson, *, keep_proof: bool) -> dict[str, Any]:
        wanted, terms = wanted_of(of), terms_now(of.controller, of.number, keep_proof=keep_proof)
        plan = await Eraser(self._erasures, self._sweeps, self._folder, None, "").plan(wanted, terms)
        refuse(wanted, plan)
        return {"goes": erasure.count_deleted(plan), "stays": erasure.count_kept(plan)}


def _removed(made: AbstractContextManager[Packed]) -> None:
    """Remove the draft of an export. Blocks."""
    made.__exit__(None, None, None)


def clear(scratch: Path) -> None:
    """Remove drafts of exports that a killed service left."""
    for each in scratch.glob(".*.draft"):
        with contextlib.suppress(OSError):
            each.unlink()


async def asked_by(
    of: IdentifiedPerson, policies: PolicyRecords, holdings: Holdings, language: AnswerLanguage | None
) -> Asked:
    """What :func:`ccari.recordings.subject.account.account` needs besides the rows. Raises StoreError."""
    registers = {each.id: each.name for each in of.registers}
    earlier, newest = await _earlier(policies, holdings), await policies.applied()
    policy = await newest.read() if newest is not None else None
    declared = {each.id: each for each in policy.campaigns_of(of.controller.id)} if policy else {}
    return Asked(
        of.mandate, of.controller, of.number.e164,
        {(revision, each.id): each for revision, then in earlier.items() for each in then.campaigns},
        registers, language or of.language, declared, policy.accesses_days if policy else None,
        _recipients(of.controller, earlier.values()),
    )  # fmt: skip


async def _earlier(policies: PolicyRecords, holdings: Holdings) -> dict[int, Policy]:
    """Every revision that a call or recording was made under, by number."""
    rows: list[Any] = [*holdings.calls, *holdings.recordings]
    found: dict[int, Policy] = {}
    for revision in sorted({each["revision"] for each in rows if each["revision"] is not None}):
        applied = await policies.applied(revision)
        if applied is not None:
            found[revision] = await applied.read()
    return found


def _recipients(controller: Controller, earlier: Iterable[Policy]) -> tuple[Recipient, ...]:
    """The recipients that the policy in force names, and those that it named when the person was called."""
    then = (each.controller(controller.id) for each in earlier)
    named = [*controller.recipients, *(one for each in then if each is not None for one in each.recipients)]
    return tuple(dict.fromkeys(named))


def words(packed: Packed) -> str:
    """What the request's journal says of an export."""
    without = f", {len(packed.left_out)} without their audio" if packed.left_out else ""
    calls, recordings = counted(packed.calls, "call"), counted(packed.recordings, "recording")
    return f"exported: {calls}, {recordings}{without}; sha256 {packed.sha256}"
