"""Advisory locks that keep a second service from driving the same Asterisk, or from filing calls under the same name."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256

import asyncpg
import structlog

from ccari.errors import RivalError, StoreError
from ccari.store.connecting import connect, refuse_outdated
from ccari.store.database import COMMAND_SECONDS, Connection, Database
from ccari.store.translating import translated
from ccari.tasks import beside

_log = structlog.get_logger()

#: How long to try for a lock: PostgreSQL takes a while to release the lock of a killed service or a cut connection.
PATIENCE_SECONDS = 3.0
#: The same for a lock that we held before: after a network failure PostgreSQL takes longer to notice.
REGAIN_SECONDS = 20.0
_ASK_AGAIN_SECONDS = 0.1
_CONNECT_AGAIN_SECONDS = 0.5
#: How often to ping the server: nothing else reveals a power cut, a partition or a failover of its address.
_ASK_SERVER_EVERY_SECONDS = 3.0
#: How long the answer may take: four times as long as a call waits, so that a merely slow server does not cost us the lock. We then
#: notice a lost connection 11 s after the last answer, about when PostgreSQL may notice it and give the lock to another.
_ANSWER_SECONDS = 8.0
_SESSION = {"application_name": "ccari fence"}
#: The server shares its part with its standbys, of which one may be promoted.
_DATABASE = """SELECT system_identifier || '/' || oid FROM pg_control_system(), pg_database WHERE datname = current_database()"""


async def name_of(database: Database) -> str:
    """The name by which a service with another database knows this one; empty if its server does not say it. Raises StoreError."""
    async with database.connection() as connection:
        return await _name_of_database(connection)


class PostgresFence:
    """:class:`ccari.ports.fencing.Fence` on PostgreSQL."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._held: _Held | None = None

    @property
    def database(self) -> str:
        return self._held.database if self._held is not None else ""

    @property
    def is_held(self) -> bool:
        """True while the lock is ours, as far as PostgreSQL has told us."""
        return self._held is not None and self._held.is_held

    @contextlib.asynccontextmanager
    async def hold(self, run: str, filed_as: str) -> AsyncIterator[asyncio.Event]:
        """The locks are lost with their connection, and taken again once PostgreSQL is back. While it is away nobody else can take them.
        Raises StoreError if the database cannot be asked.
        """
        taken_by_another = {
            run: "another ccari controls this Asterisk: stop it first, or give this one an Asterisk of its own",
            # two services that file calls under one name would each end the other's as its own. Without a name, calls are filed under
            # Asterisk's entity id (a MAC address or zeros) and address (perhaps a local one): two machines can share both
            f"calls of {filed_as}": f"another ccari also files the calls of its Asterisk as {filed_as}: give each a different [asterisk] name",
        }
        held = _Held(self._dsn, list(taken_by_another))
        if (unavailable := await held.take(PATIENCE_SECONDS)) is not None:
            raise RivalError(taken_by_another[unavailable])
        self._held = held
        try:
            async with beside(held.keep):
                yield held.by_another
        finally:
            self._held = None
            held.let_go()


class _Held:
    """The locks and their connection. ``by_another`` is set once another service holds one of them."""

    def __init__(self, dsn: str, names: Sequence[str]) -> None:
        self._dsn = dsn
        self._names = names
        self._connection: asyncpg.Connection | None = None
        self._lost = asyncio.Event()
        self._taken = False
        self.database = ""
        self.by_another = asyncio.Event()

    @property
    def is_held(self) -> bool:
        return self._taken and not self._lost.is_set()

    async def take(self, patience_seconds: float) -> str | None:
        """Take the locks on a new connection. Returns the first name whose lock another service held the whole time; None if all were
        taken. Raises StoreError if the database cannot be asked.
        """
        # the end of an older connection may be reported late, and must not count for this one
        self._lost = lost = asyncio.Event()
        self._taken = False
        with translated():
            self._connection = connection = await connect(self._dsn, server_settings=_SESSION)
            connection.add_termination_listener(lambda _: lost.set())
            try:
                self.database = await _name_of_database(connection)
                unavailable = await _lock(connection, self._names, patience_seconds)
                self._taken = unavailable is None
            finally:
                if not self._taken:
                    self.let_go()
        return unavailable

    async def keep(self) -> None:
        """Retake the locks whenever they are lost, until another service holds one."""
        while True:
            await self._wait_until_lost()
            _log.warning("database_away", reason="the lock on Asterisk was lost with its connection")
            while not await self._regain():
                if self.by_another.is_set():
                    return
                await asyncio.sleep(_CONNECT_AGAIN_SECONDS)
            _log.info("lock_regained")

    async def _wait_until_lost(self) -> None:
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ASK_SERVER_EVERY_SECONDS):
                    await self._lost.wait()
                    return
            if self._connection is None or not await _answers(self._connection):
                self.let_go()
                self._lost.set()

    async def _regain(self) -> bool:
        try:
            taken = await self.take(REGAIN_SECONDS) is None
        except StoreError:
            return False
        except Exception:  # noqa: BLE001 - logged; to give up would let another service drive the same Asterisk
            _log.exception("lock_not_regained")
            return False
        if not taken:
            self.by_another.set()
        return taken

    def let_go(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


async def _answers(connection: asyncpg.Connection) -> bool:
    try:
        await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
        refuse_outdated(connection)
    except Exception:  # noqa: BLE001 - whatever it is, the connection may have lost its locks
        return False
    return True


async def _name_of_database(connection: Connection) -> str:
    try:
        return str(await connection.fetchval(_DATABASE, timeout=COMMAND_SECONDS))
    except asyncpg.PostgresError:
        # as a provider may not allow it
        return ""


async def _lock(connection: asyncpg.Connection, names: Sequence[str], patience_seconds: float) -> str | None:
    """Take the lock on each name. Returns the first name whose lock cannot be had in time; None if all were taken."""
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + patience_seconds
    for name in names:
        key = int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key, timeout=COMMAND_SECONDS):
            if loop.time() > patient_until:
                return name
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
    return None
