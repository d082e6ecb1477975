"""Time stamps of seals, in PostgreSQL."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from ccari.policy.seal import Statement
from ccari.store.database import Database
from ccari.store.queries import SQL
from ccari.store.seals import statement


class TimeStamps:
    """:class:`ccari.ports.evidence.TimeStampStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        async with self._database.outside_pool() as connection:
            yield bool(await connection.fetchval(SQL["turn_to_stamp"]))

    async def due(self, every: timedelta) -> tuple[int, Statement] | None:
        for row in await self._database.rows(SQL["seal_to_stamp"], every):
            return row["id"], statement(row)
        return None

    async def add(self, seal: int, stated: Statement, at: datetime, response: bytes) -> bool:
        added = await self._database.rows(
            SQL["add_time_stamp"], seal, at, response,
            stated.sealed_at, stated.leaves, stated.root, stated.before, stated.key,
        )  # fmt: skip
        return bool(added)

    async def newest(self) -> datetime | None:
        """The time of the authority's newest time stamp; None if there is none. Raises StoreError."""
        for row in await self._database.rows(SQL["newest_time_stamp"]):
            at: datetime = row["at"]
            return at
        return None
