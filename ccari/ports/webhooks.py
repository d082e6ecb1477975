"""What is told to webhooks of the centre's own, beside what controllers are told of their requests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from ccari.ports.requests import Clock


class Told(StrEnum):
    """What is told of, as a webhook's ``events`` and the messages' ``type`` name it."""

    RIGHT_REGISTERED = "right.registered"
    REQUEST_DUE_SOON = "request.due_soon"
    REQUEST_OVERDUE = "request.overdue"
    CALL_ENDED = "call.ended"
    RECORDING_STORED = "recording.stored"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who is told of which events. ``controllers``: of theirs alone; None: of all."""

    name: str
    events: tuple[Told, ...]
    controllers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one endpoint, claimed for one try. ``tries`` counts this one; ``data`` is as things stand now, its
    numbers masked.
    """

    id: int
    message: UUID
    endpoint: str
    event: Told
    at: datetime
    tries: int
    data: Mapping[str, Any] = field(repr=False)


class DeliveryQueue(Protocol):
    """What webhooks have yet to be told, shared by every process on the database. Each method raises StoreError."""

    async def know(self, endpoints: Sequence[Endpoint]) -> Mapping[str, int]:
        """From now on these are told, beside what others of the fleet name: ``ccari.toml`` should be alike on each node.

        What waits for one of them that is told of it no more is given up: gives how many messages, by its name.
        """
        ...

    async def drop_unseen(self, for_so_long: timedelta) -> Mapping[str, int]:
        """What nobody has named for so long is told of nothing more; gives their names, with how many messages were given up.

        If it fails there are no such endpoints any more all the same, and whoever asks next gives up what is left.
        """
        ...

    async def look_at_terms(self, clock: Clock, soon_days: int) -> None:
        """Have told of requests that fall due in so many days, and of those that are overdue: of each term once."""
        ...

    async def claim(self, endpoint: Endpoint, lease: timedelta) -> Delivery | None:
        """The next one of its events and controllers, which nobody else is given for the length of the lease; None: nothing is due."""
        ...

    async def delivered(self, delivery: Delivery) -> None: ...

    async def failed(self, delivery: Delivery, fault: str, again: timedelta, patience: timedelta) -> bool:
        """Gives whether it is given up, because the first try was ``patience`` ago."""
        ...

    async def give_up_late(self, endpoint: str, fault: str, patience: timedelta) -> int:
        """Give up what was first tried, or else written down, ``patience`` ago; gives how much, of at most a few thousand."""
        ...

    async def forget(self, older_than: timedelta) -> None:
        """Keep no more of what was settled so long ago, but the dead letters of an endpoint that there is."""
        ...


class DeliveryLog(Protocol):
    """Each method raises StoreError; of many that are tried again, or discarded, those that were by then stay so."""

    async def page(
        self, limit: int, *, state: str | None = None, endpoint: str | None = None,
        controllers: Iterable[str] | None = None, after: int | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The newest first; after the one of that id."""
        ...

    async def retry(
        self,
        delivery: int | None = None,
        *,
        endpoint: str | None = None,
        controllers: Iterable[str] | None = None,
    ) -> list[int]:
        """Try again what was given up, as if for the first time, where there is an endpoint that is told of it: one, or all; gives their ids."""
        ...

    async def discard(self, delivery: int | None = None, *, endpoint: str | None = None) -> list[int]:
        """Nobody is to see to what was given up any more: one, or all; gives their ids."""
        ...
