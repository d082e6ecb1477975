"""Personal data past their limit in the policy (``calls_days`` and the like), which are deleted."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ccari.policy.limits import Limit


@dataclass(frozen=True, slots=True)
class PastLimit:
    """Some of the data past a limit. ``goes``: how many nothing keeps. ``kept``: how many something keeps;
    ``held_by``: how many by each reason, in words.
    """

    goes: int
    kept: int
    held_by: Mapping[str, int]


class Limits(Protocol):
    """Each method raises StoreError."""

    def past(self, limit: Limit, now: datetime) -> AsyncGenerator[PastLimit, None]:
        """Everything past the limit, some at a time. Nothing is changed."""
        ...

    def expire(self, limit: Limit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        """Like :meth:`past`, but what nothing keeps is deleted by the time it is counted. Each transaction
        waits for holds that are being placed.
        """
        ...

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """True on one node of the fleet at a time. If that node dies, another gets the turn. On that node, what has a limit of its own,
        whatever the policy says, is deleted by then: answers to HTTP requests with an Idempotency-Key.
        """
        ...
