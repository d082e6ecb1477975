"""What is kept of people for a limited time, and what of it goes when that is over."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ccari.policy.retention import Limited


@dataclass(frozen=True, slots=True)
class Limit:
    """``days`` after what is ``limited`` has ended, it tells no longer which person of ``controller`` it is about.

    ``forwarded``: whether the controller is told of each step of its requests. ``sourced``: whether one of its campaigns
    says itself where its numbers come from, and calls such as are no contact.
    """

    limited: Limited
    controller: str
    days: int
    forwarded: bool = field(default=False, compare=False)
    sourced: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class PastLimit:
    """Some things whose time is over. ``goes``: how many nothing keeps; ``held_by``: how many are kept by what, in words."""

    goes: int
    kept: int
    held_by: Mapping[str, int]


class Limits(Protocol):
    """Each method raises StoreError."""

    def past(self, limit: Limit, now: datetime) -> AsyncGenerator[PastLimit, None]:
        """All that is past the limit, some at a time; nothing is changed."""
        ...

    def expire(self, limit: Limit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        """As :meth:`past`; what goes is gone when it is told, in a transaction that waits for whoever places a hold."""
        ...

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """True for one of the fleet at a time. Who dies leaves it to the next."""
        ...
