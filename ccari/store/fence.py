"""One service drives one Asterisk: an advisory lock on a connection of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from hashlib import sha256

import asyncpg
import structlog

from ccari.errors import StoreError, UnsuitableError
from ccari.store.database import COMMAND_SECONDS, connect, translated

_log = structlog.get_logger()

#: A service that was killed, or a connection that was cut, holds the lock until PostgreSQL has noticed.
PATIENCE_SECONDS = 3.0
#: The same, when the lock that is taken again was ours: a network that went away keeps PostgreSQL from noticing for longer.
REGAIN_SECONDS = 20.0
_ASK_AGAIN_SECONDS = 0.1
_CONNECT_AGAIN_SECONDS = 0.5
#: PostgreSQL finds out within a dozen seconds that we are not there any more.
_SESSION = {
    "application_name": "ccari fence", "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}  # fmt: skip


class PostgresFence:
    """:class:`ccari.ports.Fence` on PostgreSQL."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._held: _Held | None = None

    @property
    def is_held(self) -> bool:
        """True while the lock is ours, as far as PostgreSQL has let us know."""
        return self._held is not None and self._held.is_held

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[asyncio.Event]:
        """Hold the lock on ``name``. With its connection it is lost, and taken again as soon as PostgreSQL is back: while it
        is away nobody else can have it. The event given is set when somebody else has.

        Raises
        ------
        UnsuitableError
            If another service holds it.
        StoreError
            If the database cannot be asked.
        """
        held = _Held(self._dsn, int.from_bytes(sha256(name.encode()).digest()[:8], signed=True))
        if not await held.take(PATIENCE_SECONDS):
            raise UnsuitableError(
                "another ccari drives this Asterisk: stop it first, or give this one its own"
            )
        keeping = asyncio.create_task(held.keep())
        self._held = held
        try:
            yield held.by_another
        finally:
            self._held = None
            keeping.cancel()
            await asyncio.wait([keeping])
            held.let_go()


class _Held:
    """``by_another`` is set when the lock is somebody else's."""

    def __init__(self, dsn: str, key: int) -> None:
        self._dsn = dsn
        self._key = key
        self._connection: asyncpg.Connection | None = None
        self._lost = asyncio.Event()
        self._taken = False
        self.by_another = asyncio.Event()

    @property
    def is_held(self) -> bool:
        return self._taken and not self._lost.is_set()

    async def take(self, patience_seconds: float) -> bool:
        """False if another holds it all that time; raise StoreError if the database cannot be asked."""
        self._lost.clear()
        self._taken = False
        with translated():
            self._connection = connection = await connect(self._dsn, server_settings=_SESSION)
            connection.add_termination_listener(lambda _: self._lost.set())
            taken = False
            try:
                taken = await _taken(connection, self._key, patience_seconds)
            finally:
                if not taken:
                    self.let_go()
        self._taken = taken
        return taken

    async def keep(self) -> None:
        """Take it again whenever it is lost, until another has it."""
        while True:
            await self._lost.wait()
            _log.warning("database_away", reason="the lock on Asterisk was lost with its connection")
            while not await self._regained():
                if self.by_another.is_set():
                    return
                await asyncio.sleep(_CONNECT_AGAIN_SECONDS)
            _log.info("lock_regained")

    async def _regained(self) -> bool:
        try:
            taken = await self.take(REGAIN_SECONDS)
        except StoreError:
            return False
        except Exception:  # noqa: BLE001 - logged; whoever gives up lets another service drive the same Asterisk
            _log.exception("lock_not_regained")
            return False
        if not taken:
            self.by_another.set()
        return taken

    def let_go(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def _taken(connection: asyncpg.Connection, key: int, patience_seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + patience_seconds
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key, timeout=COMMAND_SECONDS):
        if loop.time() > patient_until:
            return False
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
    return True
