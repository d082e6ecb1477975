"""One service drives one Asterisk: an advisory lock on a connection of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from hashlib import sha256

import asyncpg

from ccari.errors import UnsuitableError
from ccari.store.database import COMMAND_SECONDS, connect, translated

#: A service that was killed, or a connection that was cut, holds the lock until PostgreSQL has noticed.
PATIENCE_SECONDS = 3.0
_ASK_AGAIN_SECONDS = 0.1


class PostgresFence:
    """:class:`ccari.ports.Fence` on PostgreSQL."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[asyncio.Event]:
        """Hold the lock on ``name``; the event given is set if it is lost with its connection.

        Raises
        ------
        UnsuitableError
            If another service holds it.
        StoreError
            If the database cannot be asked.
        """
        key = int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)
        lost = asyncio.Event()
        with translated():
            connection = await connect(self._dsn, server_settings={"application_name": "ccari fence"})
        connection.add_termination_listener(lambda _: lost.set())
        try:
            with translated():
                held = await _taken(connection, key)
            if not held:
                raise UnsuitableError(
                    "another ccari drives this Asterisk: stop it first, or give this one its own"
                )
            yield lost
        finally:
            connection.terminate()


async def _taken(connection: asyncpg.Connection, key: int) -> bool:
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + PATIENCE_SECONDS
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key, timeout=COMMAND_SECONDS):
        if loop.time() > patient_until:
            return False
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
    return True
