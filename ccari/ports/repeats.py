"""Requests that may come a second time, because the answer to the first was lost on its way."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered: the HTTP status, where what was made is, the body and its media type."""

    status: int
    location: str | None
    kind: str
    body: bytes


class Unanswered(Enum):
    """Why there is no answer to give again."""

    FIRST = "it has not come before"
    UNDER_WAY = "the one before is still being worked on"
    OTHER = "the one before asked for something else"


class RepeatStore(Protocol):
    """Keys and what was asked are hashes of 32 bytes. Each method raises StoreError."""

    async def claim(self, key: bytes, asked: bytes) -> Answered | Unanswered:
        """Whoever is told FIRST is to work on it, and to settle or drop it."""
        ...

    async def settle(self, key: bytes, answered: Answered) -> None: ...

    async def drop(self, key: bytes) -> None:
        """It came to nothing: whoever comes again is the first."""
        ...
