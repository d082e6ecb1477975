"""What keeps recordings beyond their time, and the deletion of those that nothing keeps."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from ccari.policy.bases import LegalBasis
from ccari.policy.retention import HoldKind, Why
from ccari.ports.keying import Digests


@dataclass(frozen=True, slots=True)
class Subject:
    """Whoever has the number that these are the digests of, with one controller."""

    controller: str
    digests: Digests = field(repr=False)


@dataclass(frozen=True, slots=True)
class HoldOn:
    """What a hold is on: exactly one of these. A request's recordings are those that it concerns."""

    recording_id: UUID | None = None
    call_id: UUID | None = None
    reference: str | None = None
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that holds a recording. ``hold``: the number of a legal hold, ``reference`` that of a request."""

    kind: HoldKind
    hold: int | None
    reference: str | None
    reason: str

    @property
    def words(self) -> str:
        """Such as ``legal hold 7 (lawsuit)`` or ``request ACME-2026-000001 (access)``."""
        name = f"legal hold {self.hold}" if self.kind is HoldKind.LEGAL else f"request {self.reference}"
        return f"{name} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored recording, as far as it matters for how long it is kept.

    ``recorded``: when it began. ``consent_withdrawn``, ``erasure_granted``: with the reference of the request; the consent
    may have been withdrawn otherwise, and then that is empty.
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
class Verdict:
    """That a recording is to be deleted. ``reference``: the request, or the words of who purges it."""

    why: Why
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A recording whose deletion is decided for good, and not yet carried out. ``file`` is below the recordings folder."""

    id: UUID
    call_id: UUID
    controller: str
    campaign: str
    legal_basis: str
    file: str
    verdict: Verdict
    decided_by: str


#: Why a recording is to go now; None if it stays.
Judge = Callable[[Stored], Verdict | None]


class Sweep(Protocol):
    """Deleting recordings, decision first: what was decided is carried out, whatever becomes of whoever decided it."""

    def candidates(self, now: datetime) -> AsyncIterator[list[UUID]]:
        """Stored recordings that may be due, a few thousand at a time; none that is due is missing."""
        ...

    async def look(self, recording_ids: Sequence[UUID]) -> list[Stored]:
        """What of the recordings is stored still, and not about to be deleted, with all that holds it.

        Raises RefusedError if somebody has changed one of them.
        """
        ...

    async def decide(self, recording_ids: Sequence[UUID], judge: Judge, who: str) -> list[Doomed]:
        """Have each of the recordings that is stored still judged as it stands, and keep the verdicts, in one transaction.

        Whoever places a hold meanwhile waits, and is told what it came too late for. Raises RefusedError, and decides on
        none, if somebody has changed one of them.
        """
        ...

    async def decided(self, limit: int, after: UUID | None = None) -> list[Doomed]:
        """Deletions that were decided and not carried out, by the recordings' ids."""
        ...

    async def carried_out(self, doomed: Sequence[Doomed]) -> list[Doomed]:
        """Their files are gone: the rows say so from now on, and the calls' journals, in one transaction.

        Gives those of which another has not said so before. Raises RefusedError, and says it of none, if somebody has
        changed the journal of one.
        """
        ...


class Sweeps(Protocol):
    def sweep(self) -> AbstractAsyncContextManager[Sweep]:
        """Over connections of its own, so that no call waits for it."""
        ...

    def turn(self) -> AbstractAsyncContextManager[Sweep | None]:
        """As :meth:`sweep`, for one of the fleet at a time: None if another one is at it."""
        ...


class HoldStore(Protocol):
    """Legal holds. Each method raises StoreError."""

    async def place(self, on: HoldOn, reason: str, who: str) -> dict[str, Any]:
        """Keep what is stored of it, and what will be; raises UnknownError, and RecordingError for what is deleted."""
        ...

    async def release(self, hold: int, reason: str, who: str) -> dict[str, Any]:
        """Raises UnknownError if there is none, or it was released before."""
        ...

    async def page(
        self, limit: int, *, released: bool, controllers: Sequence[str] | None, after: int | None = None
    ) -> list[dict[str, Any]]:
        """The newest first, those that are ``released`` too if asked; after the one of that id."""
        ...

    async def show(self, hold: int) -> dict[str, Any] | None: ...
