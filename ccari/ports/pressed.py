"""Rights that were pressed while the database was away: kept on this node until they are registered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ccari.policy.chain import Entry
from ccari.ports.calls import OpenedCall
from ccari.ports.requests import Exercise


@dataclass(frozen=True, slots=True)
class Pressed:
    """All that it takes to register a right later as it would have been then, in whatever process.

    ``journal``: what the call had to tell that was not durable yet. Written twice, it is there once.
    """

    call: OpenedCall
    exercise: Exercise
    journal: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """``waiting`` to be registered, the first of them ``since``, together so many ``bytes``; put ``aside``, for a person to see
    to, though they may have been confirmed; ``torn``, and so never confirmed to anybody. ``full``: there may be no room for
    another one.
    """

    waiting: int = 0
    since: datetime | None = None
    aside: int = 0
    torn: int = 0
    bytes: int = 0
    full: bool = False


class LocalJournal(Protocol):
    async def keep(self, pressed: Pressed) -> None:
        """Have it on the disk, whole and to stay. Raises StoreError if it is not."""
        ...

    async def unsettled(self) -> Standing:
        """What is not registered yet. Raises StoreError if that cannot be known, or not in time."""
        ...

    async def passed_over(self) -> int:
        """How many of those that wait were encrypted by another key, and wait for that. Raises as :meth:`unsettled` does."""
        ...
