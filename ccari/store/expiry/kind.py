"""What has to be known of a kind of thing that expires."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from ccari.ports.limits import Limit
from ccari.store.database import Connection

#: What keeps each thing that something keeps, in words, by the thing's id.
Keepers = defaultdict[Any, set[str]]


class Kind(Protocol):
    """Each method works in the transaction, if any, that ``connection`` is in, and raises as asyncpg does."""

    async def past(
        self, connection: Connection, limit: Limit, until: datetime, after: tuple[datetime, Any] | None, most: int
    ) -> Sequence[tuple[datetime, Any]]:  # fmt: skip
        """When each of the next ``most`` things ended whose time was over by ``until``, with its id; the oldest first."""
        ...

    async def lock(self, connection: Connection, limit: Limit, ids: Sequence[Any]) -> Sequence[Any]:
        """Those of the things that are still there to expire: nobody changes them until the transaction ends."""
        ...

    async def kept(self, connection: Connection, limit: Limit, ids: Sequence[Any]) -> Keepers:
        """What keeps each of the things beyond its time."""
        ...

    async def erase(self, connection: Connection, limit: Limit, ids: Sequence[Any], who: str) -> None:
        """Have the things tell no longer whose they were. Raises RefusedError if one of them cannot be gone on with."""
        ...

    def changed(self, one: Any) -> str:
        """Why a thing is kept that somebody has changed, in words."""
        ...
