"""Requests that may come a second time, because the answer to the first was lost on its way."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered: the HTTP status, where what was made is, the body and its media type; ``listed``: the hash of the list
    that was asked with, which is known only once that has been read.
    """

    status: int
    location: str | None
    kind: str
    body: bytes
    listed: bytes | None = None


class Unanswered(Enum):
    """Why there is no answer to give again."""

    FIRST = "it has not come before"
    UNDER_WAY = "the one before is still being worked on"
    OTHER = "the one before asked for something else"


class RepeatStore(Protocol):
    """Keys and what was asked are hashes of 32 bytes; ``claim`` is whose work it is. Each method raises StoreError."""

    async def claim(self, key: bytes, asked: bytes, claim: UUID) -> Answered | Unanswered:
        """Whoever is told FIRST is to work on it, to hold it meanwhile, and to settle or drop it."""
        ...

    async def hold(self, key: bytes, claim: UUID) -> None:
        """It is still being worked on. Who is not heard of for two minutes has died over it, and the next is the first."""
        ...

    async def settle(self, key: bytes, claim: UUID, answered: Answered) -> None: ...

    async def drop(self, key: bytes, claim: UUID) -> None:
        """It came to nothing: whoever comes again is the first."""
        ...
