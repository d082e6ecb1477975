"""Waiting until others wait in the database."""

import asyncio

from ccari.store.database import Database


async def until_they_wait(database: Database, waiting: int = 1) -> None:
    """Wait until that many wait for a lock."""
    async with asyncio.timeout(20):
        while len(await database.rows("SELECT FROM pg_locks WHERE NOT granted")) < waiting:
            pass
