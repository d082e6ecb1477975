"""The centre's own webhooks. (Controllers are told of their requests by forwarding.)"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol
from uuid import UUID

from ccari.ports.requests import Clock


class Told(StrEnum):
    """The events that webhooks are told of, as in a webhook's ``events`` and in ``type`` of the messages."""

    RIGHT_REGISTERED = "right.registered"
    REQUEST_DUE_SOON = "request.due_soon"
    REQUEST_OVERDUE = "request.overdue"
    CALL_ENDED = "call.ended"
    RECORDING_STORED = "recording.stored"


#: The state of a message.
DeliveryState = Literal["waiting", "delivered", "given_up", "discarded"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook, and the events it is told of. ``controllers``: only theirs; None: all."""

    name: str
    events: tuple[Told, ...]
    controllers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one endpoint, claimed for one attempt. ``tries``: including this one. ``data``: the
    state as of now, with masked numbers.
    """

    id: int
    message: UUID
    endpoint: str
    event: Told
    at: datetime
    tries: int
    data: Mapping[str, Any] = field(repr=False)


class DeliveryQueue(Protocol):
    """The messages not yet sent to webhooks. All processes on the database share the queue. Each method raises StoreError."""

    async def know(self, endpoints: Sequence[Endpoint]) -> Mapping[str, int]:
        """Queue messages for these endpoints from now on, in addition to those of other nodes: ``ccari.toml``
        should be the same on each node.

        Waiting messages for an endpoint that no longer takes such events are given up. Gives how many, by its name. Messages that a fast
        clock of the database has queued, or tried, become due.
        """
        ...

    async def drop_unseen(self, for_so_long: timedelta) -> Mapping[str, int]:
        """Drop the endpoints that no node has named for that time. Gives their names, with how many messages were given up.

        If it fails, the endpoints are dropped anyway, and the next call gives up the remaining messages.
        """
        ...

    async def look_at_terms(self, clock: Clock) -> None:
        """Queue messages about requests that are due soon or overdue: one of each kind for each due date."""
        ...

    async def claim(self, endpoint: Endpoint, lease: timedelta) -> Delivery | None:
        """The next due message of the endpoint's events and controllers, reserved for the length of the lease. None if nothing is due."""
        ...

    async def delivered(self, delivery: Delivery) -> None: ...

    async def failed(self, delivery: Delivery, fault: str, again: timedelta, patience: timedelta) -> bool:
        """Note that the message was not delivered, and is due ``again`` later. True if it is given up
        instead, because the first attempt was ``patience`` ago.
        """
        ...

    async def give_up_late(self, endpoint: str, fault: str, patience: timedelta) -> int:
        """Give up messages first tried ``patience`` ago or, if never tried, queued then. Gives how many: a
        few thousand at most.
        """
        ...

    async def forget(self, older_than: timedelta) -> None:
        """Delete messages settled that long ago, except the dead letters of an endpoint that still exists."""
        ...


class DeliveryLog(Protocol):
    """Each method raises StoreError. If retrying many fails midway, those already done stay done."""

    async def page(
        self, limit: int, *, state: str | None = None, endpoint: str | None = None,
        controllers: Iterable[str] | None = None, after: int | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The newest messages first, older than the id ``after``."""
        ...

    async def retry(
        self,
        delivery: int | None = None,
        *,
        endpoint: str | None = None,
        controllers: Iterable[str] | None = None,
    ) -> list[int]:
        """Retry one message, or all, as if for the first time: those given up, and those that wait for
        minutes or hours. Messages whose endpoint no longer takes them are left out. Gives their ids.
        """
        ...
