"""Evidence: the sealed account of one call or one request."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
class SealedIn:
    """The seal that a journal is in, with the proof: ``leaf`` stands at ``index``, ``path`` leads from it to the root."""

    seal: Seal
    leaf: Leaf
    index: int
    path: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class HeardSound:
    """A prompt of the notice as it was heard. ``files``: by ending, empty where the audio is no longer there.

    ``text``: None where its words are not known any more; then ``key`` is its id alone, as the journal has it.
    """

    key: str
    text: str | None
    digest: str
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Revision:
    """The policy that the call was made under; ``about``: its number, when and by whom it was applied, its hash."""

    about: Mapping[str, Any]
    document: str


@dataclass(frozen=True, slots=True)
class Account:
    """All that is kept of one call or request. ``subject``: its row, with masked numbers; ``consents``: those it rests on.

    ``begins``: the link before its journal's first entry.
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


class SealStore(Protocol):
    async def seal(self, sign: Callable[[Sequence[Leaf], Statement | None], Seal], most: int) -> int:
        """Have at most ``most`` journals that have grown signed, after the newest seal; gives how many were.

        One at a time, whoever asks. Raises StoreError if that cannot be made durable: then nothing was sealed.
        """
        ...

    async def seal_one(
        self, sign: Callable[[Sequence[Leaf], Statement | None], Seal], kind: Kind, of: str
    ) -> bool:
        """As :meth:`seal`, in the same turns, that one journal alone; False if there is nothing of it to be sealed."""
        ...


class AccountStore(SealStore, Protocol):
    """Each method raises StoreError, and UnknownError if there is none."""

    async def of_call(self, call_id: UUID) -> Account: ...

    async def of_request(self, reference: str) -> Account: ...


class Proving(Protocol):
    async def sealed(self, which: str, sees: Callable[[str | None], bool]) -> Account:
        """The account of a call, by its id, or of a request, by its reference, sealed to its end. ``sees``: whether a
        controller's may be given.

        Raises UnknownError, also for what may not, StoreError, ConfigError, and EvidenceError if the call is not over yet.
        """
        ...

    def pack(self, account: Account, *, with_policy: bool = True) -> tuple[bytes, Sequence[HeardSound]]:
        """The ZIP, and the sounds that were to be in it; it blocks. Raises EvidenceError if it does not fit together.

        ``with_policy``: the file too, which tells of all controllers.
        """
        ...


class SealRecords(Protocol):
    def all(self) -> AsyncIterator[tuple[Seal, list[Leaf]]]:
        """Each seal with the journals that it is said to be of, the oldest first."""
        ...

    def broken(self) -> AsyncIterator[tuple[Kind, str, datetime]]:
        """The journals that do not go through what was sealed, with the moment of the seal."""
        ...

    def journals(self) -> AsyncIterator[tuple[Kind, str, str | None]]:
        """Every journal, sealed or not, with the first thing in it that does not fit, in words."""
        ...
