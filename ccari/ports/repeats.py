"""HTTP requests that may be repeated because the answer to the first was lost: ``Idempotency-Key``."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Answered:
    """The first answer: its HTTP status, its ``location`` header, its body, and the body's media type (``kind``).

    ``listed``: the hash of the list that came with the request; known only once the list has been read.
    """

    status: int
    location: str | None
    kind: str
    body: bytes
    listed: bytes | None = None


class Unanswered(Enum):
    """Why there is no earlier answer to repeat."""

    FIRST = "it has not come before"
    UNDER_WAY = "the one before is still being worked on"
    OTHER = "the one before asked for something else"


class RepeatStore(Protocol):
    """``key`` and ``asked`` (what was asked for) are hashes of 32 bytes; ``claim`` identifies the worker on
    the request. Each method raises StoreError.
    """

    async def claim(self, key: bytes, asked: bytes, claim: UUID) -> Answered | Unanswered:
        """The worker that gets FIRST works on the request, calls :meth:`hold` meanwhile, and :meth:`settle`
        or :meth:`drop` at the end.
        """
        ...

    async def hold(self, key: bytes, claim: UUID) -> None:
        """Note that the request is still being worked on. After two minutes without this call, the worker is
        taken for dead, and the next request is the first.
        """
        ...

    async def settle(self, key: bytes, claim: UUID, answered: Answered) -> None: ...

    async def drop(self, key: bytes, claim: UUID) -> None:
        """Note that the request has failed: the next one with the same key is the first."""
        ...
