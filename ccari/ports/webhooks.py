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


#: What has become of a message.
DeliveryState = Literal["waiting", "delivered", "given_up", "discarded"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook, and the events that it is told of. ``controllers``: only of theirs; None: of all."""

    name: str
    events: tuple[Told, ...]
    controllers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one endpoint, claimed for one try. ``tries``: with this one. ``data``: the state as of now, with masked
    numbers.
    """

    id: int
    message: UUID
    endpoint: str
    event: Told
    at: datetime
    tries: int
    data: Mapping[str, Any] = field(repr=False)


class DeliveryQueue(Protocol):
    """The messages that webhooks have yet to be sent. Every process on the database shares it. Each method raises StoreError."""

    async def know(self, endpoints: Sequence[Endpoint]) -> Mapping[str, int]:
        """Queue messages for these endpoints from now on, besides those of other nodes: ``ccari.toml`` should be alike on each
        node.

        Waiting messages for one of them that no longer takes such events are given up. Gives how many, by its name.
        """
        ...

    async def drop_unseen(self, for_so_long: timedelta) -> Mapping[str, int]:
        """Drop the endpoints that no node has named for so long. Gives their names, with how many messages were given up.

        If it fails the endpoints are dropped all the same, and the next call gives up the messages that are left.
        """
        ...

    async def look_at_terms(self, clock: Clock) -> None:
        """Queue messages about requests that are due soon, and about overdue ones: each once for each due date."""
        ...

    async def claim(self, endpoint: Endpoint, lease: timedelta) -> Delivery | None:
        """The next message of the endpoint's events and controllers that is due; nobody else gets it for the length of the lease.
        None if nothing is due.
        """
        ...

    async def delivered(self, delivery: Delivery) -> None: ...

    async def failed(self, delivery: Delivery, fault: str, again: timedelta, patience: timedelta) -> bool:
        """The message was not delivered, and is due ``again`` later. True if it is given up instead, because the first try was
        ``patience`` ago.
        """
        ...

    async def give_up_late(self, endpoint: str, fault: str, patience: timedelta) -> int:
        """Give up messages that were first tried, or if never tried, queued, ``patience`` ago. Gives how many: a few thousand
        at most.
        """
        ...

    async def forget(self, older_than: timedelta) -> None:
        """Delete messages that were settled so long ago, except the dead letters of an endpoint that still exists."""
        ...


class DeliveryLog(Protocol):
    """Each method raises StoreError. If retrying many fails midway, those that were done stay done."""

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
        """Try again messages that were given up, or are to wait for minutes or hours, as if for the first time: one, or all. Those
        whose endpoint no longer takes them are left out. Gives their ids.
        """
        ...
