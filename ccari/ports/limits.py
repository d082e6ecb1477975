"""Personal data past their limit in the policy (``calls_days`` and the like), which are deleted."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from ccari.policy.retention import Limited


@dataclass(frozen=True, slots=True)
class Limit:
    """``days`` after what is ``limited`` has ended, nothing on record says which person of ``controller`` it is about any more.
    ``controller``: empty for accesses, whose record is that of all.

    ``forwarded``: whether the controller is told of each step of its requests. ``sourced``: whether one of its campaigns
    says itself where its numbers come from, and calls such as are no contact. ``proof``: so long after it was given, and after
    each use, the law has the proof of a consent kept. ``unreached``, of accesses: the controllers whose open requests may need some
    of them, and cannot be asked about.
    """

    limited: Limited
    controller: str
    days: int
    forwarded: bool = field(default=False, compare=False)
    sourced: bool = field(default=False, compare=False)
    proof: timedelta = field(default=timedelta(), compare=False)
    unreached: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True)
class PastLimit:
    """Some things that are past the limit. ``goes``: how many are not kept by anything. ``kept``: how many are; ``held_by``: how
    many by each reason, in words.
    """

    goes: int
    kept: int
    held_by: Mapping[str, int]


class Limits(Protocol):
    """Each method raises StoreError."""

    def past(self, limit: Limit, now: datetime) -> AsyncGenerator[PastLimit, None]:
        """All that is past the limit, some at a time. Nothing is changed."""
        ...

    def expire(self, limit: Limit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        """As :meth:`past`, but what nothing keeps is deleted by the time it is counted. Each transaction waits for holds that are
        being placed.
        """
        ...

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """True on one node of the fleet at a time. If that node dies, another can have the turn."""
        ...
