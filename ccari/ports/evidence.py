"""Evidence: the sealed account of one call or one request."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from ccari.policy.chain import Linked
from ccari.policy.seal import Kind, Leaf, Statement


@dataclass(frozen=True, slots=True)
class Seal:
    """A statement with its signature (Ed25519, 64 bytes)."""

    statement: Statement
    signature: bytes


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """A time stamp of the last of the ``statements``, each of which names the one before it. ``response``: as
    the authority gave it, a TimeStampResp in DER (RFC 3161). ``at``: the moment in it.
    """

    statements: Sequence[Statement]
    response: bytes = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True)
class LateEntry:
    """A journal entry dated ``at``, but sealed only at ``sealed_at``."""

    kind: Kind
    id: str
    at: datetime
    sealed_at: datetime


@dataclass(frozen=True, slots=True)
class SealedIn:
    """A seal that covers a journal, with the proof: ``leaf`` is at ``index``, and ``path`` leads from it to the root."""

    seal: Seal
    leaf: Leaf
    index: int
    path: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class HeardSound:
    """A prompt of the notice as heard. ``files``: its audio by file ending; empty if it no longer exists.

    ``text``: None if its words are no longer known; then ``key`` is the id alone, as in the journal.
    """

    key: str
    text: str | None
    digest: str
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Revision:
    """The policy revision that the call was made under. ``about``: its number, when and by whom it was applied, its hash."""

    about: Mapping[str, Any]
    document: str


@dataclass(frozen=True, slots=True)
class Account:
    """Everything kept of one call or request. ``subject``: its row, with masked numbers. ``consents``: those it rests on.

    ``begins``: the link before the first entry of its journal. ``time_stamps``: for each of its seals, the
    first time stamp of that seal or a later one, unless it came far later. Each contains the statements from
    the first of these seals that it covers.
    """

    kind: Kind
    id: str
    begins: bytes
    subject: Mapping[str, Any]
    journal: Sequence[Linked]
    seals: Sequence[SealedIn]
    revision: Revision | None = None
    recordings: Sequence[Mapping[str, Any]] = ()
    consents: Sequence[Mapping[str, Any]] = ()
    bars: Sequence[Mapping[str, Any]] = ()
    time_stamps: Sequence[TimeStamp] = ()


#: Makes a seal over leaves. The statement is that of the newest earlier seal, if there is one.
Sign = Callable[[Sequence[Leaf], Statement | None], Seal]


class SealStore(Protocol):
    async def seal(self, sign: Sign, most: int) -> int:
        """Seal the journals that have grown since they were last sealed, at most ``most`` of them. Gives how
        many were sealed.

        Only one seal is made at a time, on all nodes. Raises StoreError if it cannot be made durable: then
        nothing was sealed.
        """
        ...

    async def seal_one(self, sign: Sign, kind: Kind, of: str) -> bool:
        """Like :meth:`seal`, in the same turns, for one journal only; False if there was nothing to seal."""
        ...


class NumberedSeals(Protocol):
    """Each method raises StoreError."""

    async def newest(self) -> tuple[int, Statement] | None:
        """The newest seal, by its number; None if nothing is sealed."""
        ...

    async def numbered(self, number: int) -> Statement | None:
        """The seal of that number; None if there is none."""
        ...


class TimeStampStore(Protocol):
    """Each method raises StoreError."""

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """True on one node of the fleet at a time. If that node dies, another gets the turn."""
        ...

    async def due(self, every: timedelta) -> tuple[int, Statement] | None:
        """The newest seal and its number, if it has no time stamp and the newest time stamp is older than ``every``."""
        ...

    async def add(self, seal: int, stated: Statement, at: datetime, response: bytes) -> bool:
        """Keep the time stamp of a seal; False if the seal has one already, or no longer is what was
        ``stated``. ``at``, ``response``: as in :class:`TimeStamp`.
        """
        ...


class AccountStore(SealStore, Protocol):
    """Each method raises StoreError, UnknownError if there is no such call or request, and EvidenceError if a seal lacks it."""

    async def of_call(self, call_id: UUID) -> Account: ...

    async def of_request(self, reference: str) -> Account: ...


class Proving(Protocol):
    async def sealed(self, which: str, sees: Callable[[str | None], bool]) -> Account:
        """The account of a call (by its id) or of a request (by its reference), sealed up to its last entry.

        ``sees``: whether a controller's account may be given out. Raises UnknownError, also if it may not;
        StoreError; ConfigError; UnfinishedError if the call is not over yet; and EvidenceError if only its row says so.
        """
        ...

    def pack(self, account: Account, *, with_policy: bool = True) -> tuple[bytes, Sequence[HeardSound]]:
        """The ZIP, and the sounds that belong in it. Blocks. Raises EvidenceError if the account is not consistent.

        ``with_policy``: add the policy file, which names all controllers.
        """
        ...


class SealRecords(Protocol):
    def all(self) -> AsyncIterator[tuple[Seal, list[Leaf]]]:
        """Each seal with its leaves as the database has them, oldest first."""
        ...

    def time_stamps(self) -> AsyncIterator[tuple[TimeStamp, datetime]]:
        """Each time stamp with its seal, and the earliest moment of the seals that no earlier time stamp
        covers; oldest first.
        """
        ...

    def broken(self) -> AsyncIterator[tuple[Kind, str, datetime | None]]:
        """The journals that differ from what was sealed, with the moment of the seal. None: the journal is
        marked as sealed, but no seal has it.
        """
        ...

    async def latest(self) -> LateEntry | None:
        """The entry sealed longest after its own date; None if nothing is sealed."""
        ...

    def journals(self) -> AsyncIterator[tuple[Kind, str, str | None]]:
        """Every journal, sealed or not, with its first fault in words; None if it has none."""
        ...
