"""Holds, which keep recordings beyond their time, and the deletion of recordings that nothing holds."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from ccari.policy.bases import LegalBasis
from ccari.policy.retention import RESTRICTING, HoldKind, Why
from ccari.ports.keying import Digests


@dataclass(frozen=True, slots=True)
class Subject:
    """The person with one number, known by its digests, at one controller."""

    controller: str
    digests: Digests = field(repr=False)


@dataclass(frozen=True, slots=True)
class HoldOn:
    """What a hold is on: exactly one of these. A hold on a request keeps the recordings that the request concerns."""

    recording_id: UUID | None = None
    call_id: UUID | None = None
    reference: str | None = None
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What holds a recording: ``hold`` is the number of a legal hold, or ``reference`` that of a request."""

    kind: HoldKind
    hold: int | None
    reference: str | None
    reason: str

    @property
    def words(self) -> str:
        """For example ``legal hold 7 (lawsuit)`` or ``request ACME-2026-000001 (access)``."""
        name = f"legal hold {self.hold}" if self.kind is HoldKind.LEGAL else f"request {self.reference}"
        return f"{name} ({self.reason})"

    @property
    def restricts(self) -> bool:
        """Whether the recording may only be stored, Art 18(2)."""
        return self.kind is HoldKind.REQUEST and self.reason in RESTRICTING


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """A stored recording, with what decides how long it is kept.

    ``recorded``: when it began. ``consent_withdrawn``, ``erasure_granted``: when, with the reference of the
    request; the reference is empty if consent was withdrawn otherwise than by a request.
    """

    id: UUID
    call_id: UUID
    controller: str
    campaign: str
    legal_basis: LegalBasis
    recorded: datetime
    limit: datetime
    file: str
    held: Sequence[Held] = ()
    consent_withdrawn: tuple[datetime, str] | None = None
    erasure_granted: tuple[datetime, str] | None = None

    @property
    def kinds(self) -> frozenset[HoldKind]:
        return frozenset(each.kind for each in self.held)


@dataclass(frozen=True, slots=True)
class Disposal:
    """The decision to delete a recording. ``reference``: the request, or the words of the person who purges it."""

    why: Why
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A recording whose deletion is final but not yet carried out. ``file``: its path below the recordings folder."""

    id: UUID
    call_id: UUID
    controller: str
    campaign: str
    legal_basis: str
    file: str
    disposal: Disposal
    decided_by: str


#: Decides whether a recording must be deleted now; None: it stays.
Judge = Callable[[StoredRecording], Disposal | None]


class Sweep(Protocol):
    """Deletes recordings in two steps: it stores the decision, then deletes the file. If the process dies in
    between, another one carries the decision out.
    """

    def candidates(self, now: datetime) -> AsyncIterator[list[UUID]]:
        """Stored recordings that may be due, a few thousand at a time. All that are due are among them."""
        ...

    async def still_stored(self, recording_ids: Sequence[UUID]) -> list[StoredRecording]:
        """Those of the recordings that are still stored and whose deletion is not decided, each with
        everything that holds it.

        Raises RefusedError if somebody has tampered with one of them.
        """
        ...

    async def decide(self, recording_ids: Sequence[UUID], judge: Judge, who: str) -> list[Doomed]:
        """Have ``judge`` decide on each recording that is still stored, and store the decisions, in one transaction.

        Somebody who places a hold meanwhile waits, and is told for which recordings it came too late. Raises
        RefusedError if somebody has tampered with one of them; then nothing is decided.
        """
        ...

    async def decided(self, limit: int, after: UUID | None = None) -> list[Doomed]:
        """Deletions decided but not yet carried out, in the order of the recordings' ids, after the given one."""
        ...

    async def carried_out(self, doomed: Sequence[Doomed]) -> list[Doomed]:
        """Record that the files are deleted, in the rows and the calls' journals, in one transaction.

        Gives those that were not yet on record as deleted. Raises RefusedError if somebody has tampered with
        one of the journals; then nothing is recorded.
        """
        ...


class Sweeps(Protocol):
    def sweep(self) -> AbstractAsyncContextManager[Sweep]:
        """A sweep on connections of its own, so that no call waits for it."""
        ...

    def turn(self) -> AbstractAsyncContextManager[Sweep | None]:
        """Like :meth:`sweep`, on one node of the fleet at a time: None if another node is sweeping."""
        ...


class HoldStore(Protocol):
    """Legal holds. Each method raises StoreError."""

    async def place(self, on: HoldOn, reason: str, who: str) -> dict[str, Any]:
        """Hold the recordings that are stored, and those still to come. Gives the hold, with how many stored ``recordings``
        it covers. Raises UnknownError, and RecordingError for a recording that is deleted, or whose deletion is decided.
        """
        ...

    async def release(self, hold: int, reason: str, who: str) -> dict[str, Any]:
        """Gives the hold as :meth:`place` does. Raises UnknownError if there is no such hold, or it was released before."""
        ...

    async def page(
        self, limit: int, *, released: bool, controllers: Sequence[str] | None, after: int | None = None
    ) -> list[dict[str, Any]]:
        """The newest holds first, each as :meth:`place` gives it, older than ``after``. ``released``: include
        released ones.
        """
        ...

    async def show(self, hold: int) -> dict[str, Any] | None: ...
