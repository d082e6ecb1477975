"""The local journal: rights pressed while the database was away, kept on this node until they are registered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ccari.policy.chain import Entry
from ccari.ports.calls import OpenedCall
from ccari.ports.requests import Exercise


@dataclass(frozen=True, slots=True)
class Pressed:
    """Everything another process needs to register the right later, just as it would have been registered at once.

    ``journal``: the call's entries that were not yet durable. An entry written twice is stored once.
    """

    call: OpenedCall
    exercise: Exercise
    journal: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in the local journal.

    ``waiting``: how many rights wait to be registered; ``since``: when the earliest was pressed; ``bytes``: how many they
    take. ``aside``: how many were put aside for a person to look at; they may have been confirmed. ``torn``: how many were
    not written whole, and so were never confirmed. ``full``: there may be no room for another one.
    """

    waiting: int = 0
    since: datetime | None = None
    aside: int = 0
    torn: int = 0
    bytes: int = 0
    full: bool = False


class LocalJournal(Protocol):
    async def keep(self, pressed: Pressed) -> None:
        """Write the right to disk, whole and durably. Raises StoreError if that fails, and ConfigError if there is no key."""
        ...

    async def unsettled(self) -> Standing:
        """What is not registered yet. Raises StoreError if that cannot be found out, or not in time."""
        ...

    async def passed_over(self) -> int:
        """How many of the waiting rights were encrypted with another key, and wait for that key. Raises as
        :meth:`unsettled` does.
        """
        ...
