"""What each kind of expiring row provides."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from ccari.policy.limits import Limit
from ccari.store.database import Connection

#: Why rows are kept, in words, by id. Rows that nothing keeps are absent.
Keepers = dict[Any, set[str]]


class ExpiringKind(Protocol):
    """One kind of expiring row. Each method works in ``connection``'s transaction, if there is one, and raises asyncpg's errors."""

    async def past(
        self, connection: Connection, limit: Limit, until: datetime, after: Any, most: int
    ) -> Sequence[tuple[Any, Any]]:
        """The next ``most`` rows that ended by ``until``, each as its sort key and id. A row that keeps another comes before it.
        ``after``: the last row of the previous batch.
        """
        ...

    async def lock(self, connection: Connection, limit: Limit, ids: Sequence[Any]) -> Sequence[Any]:
        """Lock the rows that still exist and are still due, until the transaction ends. Returns their ids."""
        ...

    async def kept(self, connection: Connection, limit: Limit, ids: Sequence[Any]) -> Keepers:
        """What keeps each row beyond its limit."""
        ...

    async def erase(self, connection: Connection, limit: Limit, ids: Sequence[Any], who: str) -> None:
        """Delete the rows, or erase what identifies the person. Raises RefusedError if the journal of one cannot be continued."""
        ...

    def changed(self, one: Any) -> str:
        """Why a row that was tampered with is kept, in words."""
        ...
