"""Calls whose time is over, and what of them goes then."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CallLimit:
    """``days`` after a call of ``controller`` has ended it tells no longer whose it was."""

    controller: str
    days: int


@dataclass(frozen=True, slots=True)
class PastLimit:
    """Some calls whose time is over. ``goes``: how many nothing keeps; ``held_by``: how many are kept by what, in words."""

    goes: int
    kept: int
    held_by: Mapping[str, int]


class CallLimits(Protocol):
    """Each method raises StoreError."""

    def past(self, limit: CallLimit, now: datetime) -> AsyncGenerator[PastLimit, None]:
        """All that is past the limit, some at a time; nothing is changed."""
        ...

    def expire(self, limit: CallLimit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        """As :meth:`past`; what goes is gone when it is told, in a transaction that waits for whoever places a hold."""
        ...

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """True for one of the fleet at a time. Who dies leaves it to the next."""
        ...
