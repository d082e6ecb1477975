"""What controllers are told of requests."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol


class Way(StrEnum):
    """How a controller is told of a request."""

    WEBHOOK = "webhook"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Forward:
    """One change of a request, as its controller is to be told, claimed for one try.

    ``seq`` counts the changes of the request, ``at`` is when this one was made, and ``number`` the E.164 text while the
    request is open. ``tries`` counts this one, ``done`` are the ways that it has gone already.
    """

    reference: str
    seq: int
    tries: int
    done: frozenset[Way]
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
    """What controllers have yet to be told, shared by every process on the database."""

    async def outlook(self) -> tuple[bool, int | None]:
        """Whether anything is due, and the newest policy revision."""
        ...

    async def address(self, controllers: Iterable[str]) -> None:
        """``controllers`` are told from now on, also of what is still open; nobody else is."""
        ...

    async def claim(self, controller: str, lease: timedelta) -> Forward | None:
        """The next change to tell of, which nobody else is given for the length of the lease; None: nothing is due."""
        ...

    async def delivered(self, forward: Forward, ways: Iterable[Way]) -> None:
        """It went all the ways it had to; ``ways`` are those of this try."""
        ...

    async def failed(
        self, forward: Forward, ways: Iterable[Way], fault: str, again: timedelta, patience: timedelta
    ) -> bool:
        """It went only these ways. Gives whether it is given up, because the first try was ``patience`` ago."""
        ...


class ForwardLog(Protocol):
    async def of(self, reference: str, controllers: Iterable[str]) -> list[dict[str, Any]]:
        """What became of each change of one request; ``controllers`` are those that are forwarded to."""
        ...
