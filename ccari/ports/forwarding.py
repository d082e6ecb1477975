"""Forwarding: telling controllers of each change of a request."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol


class ForwardWay(StrEnum):
    """How a controller is told of a request."""

    WEBHOOK = "webhook"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Forward:
    """One change of a request that its controller must be told of, claimed for one attempt.

    ``seq`` numbers the changes of the request; ``at``: when this one was made. ``number``: in E.164, while
    the request is open. ``tries``: including this one. ``done``: the ways in which it was already delivered.
    """

    reference: str
    seq: int
    tries: int
    done: frozenset[ForwardWay]
    controller: str
    campaign: str | None
    purpose: str | None
    right: str
    article: str
    number: str | None = field(repr=False)
    received_at: datetime
    at: datetime
    state: str
    level: int
    due: date
    reason: str = field(repr=False)


class ForwardQueue(Protocol):
    """The changes not yet told to controllers. All processes on the database share the queue."""

    async def due_and_revision(self) -> tuple[bool, int | None]:
        """Whether anything is due, and the newest policy revision."""
        ...

    async def address(self, controllers: Iterable[str]) -> None:
        """From now on forward to exactly these ``controllers``, including their requests that are already open."""
        ...

    async def claim(self, controller: str, lease: timedelta) -> Forward | None:
        """The next change that is due, reserved for the length of the lease. None if nothing is due."""
        ...

    async def delivered(self, forward: Forward, ways: Iterable[ForwardWay]) -> None:
        """Note that the change was delivered in every required way; ``ways`` are those of this attempt."""
        ...

    async def failed(
        self, forward: Forward, ways: Iterable[ForwardWay], fault: str, again: timedelta, patience: timedelta
    ) -> bool:
        """Note that the change was delivered in these ``ways`` only, and is due ``again`` later. True if it
        is given up instead, because the first attempt was ``patience`` ago.
        """
        ...

    async def hasten(self, controller: str, by: timedelta) -> None:
        """Move forward the next try of what waits for it, by the longest pause, so that all is due: the controller was away, and is back."""
        ...


class ForwardLog(Protocol):
    async def of(self, reference: str, controllers: Iterable[str]) -> list[dict[str, Any]]:
        """What became of each change of one request. ``controllers``: those that requests are forwarded to."""
        ...
