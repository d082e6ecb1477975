"""What each kind of thing that expires has to provide."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from ccari.policy.limits import Limit
from ccari.store.database import Connection

#: The reasons, in words, why a thing is kept, by the thing's id. Things that nothing keeps are not in it.
Keepers = dict[Any, set[str]]


class Kind(Protocol):
    """One kind of thing. Each method works in the transaction, if any, that ``connection`` is in, and raises what asyncpg does."""

    async def past(
        self, connection: Connection, limit: Limit, until: datetime, after: Any, most: int
    ) -> Sequence[tuple[Any, Any]]:
        """The next ``most`` things that ended by ``until``, each as its place in their order and its id. What keeps another comes before
        it. ``after``: the last one of the batch before.
        """
        ...

    async def lock(self, connection: Connection, limit: Limit, ids: Sequence[Any]) -> Sequence[Any]:
        """Lock the things that are still there to expire, until the transaction ends. Gives their ids."""
        ...

    async def kept(self, connection: Connection, limit: Limit, ids: Sequence[Any]) -> Keepers:
        """What keeps each of the things beyond its limit."""
        ...

    async def erase(self, connection: Connection, limit: Limit, ids: Sequence[Any], who: str) -> None:
        """Delete the things, or erase what tells whose they were. Raises RefusedError if the journal of one cannot be continued."""
        ...

    def changed(self, one: Any) -> str:
        """Why a thing that somebody has changed is kept, in words."""
        ...
