"""One service drives one Asterisk, and files its calls under a name of its own: advisory locks on one connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
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
#: So often the server is asked whether it is there: one that goes without a word (its power, a partition, a failover by address)
#: is told of by nobody.
_LOOK_SECONDS = 3.0
#: So long its answer may take. One that is slow keeps the lock, though four times as long makes it away for a call; and it is
#: noticed when PostgreSQL may have noticed that we are gone, 11 s after the last word, and let another have it.
_ANSWER_SECONDS = 8.0
_SESSION = {"application_name": "ccari fence"}


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
    async def hold(self, run: str, filed_as: str) -> AsyncIterator[asyncio.Event]:
        """Hold the locks on the ``run`` of an Asterisk, and on the name that its calls are ``filed_as``. With their connection
        they are lost, and taken again as soon as PostgreSQL is back: while it is away nobody else can have them. The event
        given is set when somebody else has one.

        Raises
        ------
        UnsuitableError
            If another service holds one.
        StoreError
            If the database cannot be asked.
        """
        taken_by_another = {
            run: "another ccari drives this Asterisk: stop it first, or give this one its own",
            # it would end our calls as its own, and we its: entities are MAC addresses, or nought, and addresses local
            f"calls of {filed_as}": f"another ccari files the calls of its Asterisk as {filed_as} too: give each a [asterisk] name",
        }
        held = _Held(self._dsn, list(taken_by_another))
        if (lacking := await held.take(PATIENCE_SECONDS)) is not None:
            raise UnsuitableError(taken_by_another[lacking])
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
    """``by_another`` is set when one of the locks is somebody else's."""

    def __init__(self, dsn: str, names: Sequence[str]) -> None:
        self._dsn = dsn
        self._names = names
        self._connection: asyncpg.Connection | None = None
        self._lost = asyncio.Event()
        self._taken = False
        self.by_another = asyncio.Event()

    @property
    def is_held(self) -> bool:
        return self._taken and not self._lost.is_set()

    async def take(self, patience_seconds: float) -> str | None:
        """The name whose lock another holds all that time; raise StoreError if the database cannot be asked."""
        # of this connection alone: what is told of an older one, and late, is nothing to it
        self._lost = lost = asyncio.Event()
        self._taken = False
        with translated():
            self._connection = connection = await connect(self._dsn, server_settings=_SESSION)
            connection.add_termination_listener(lambda _: lost.set())
            try:
                lacking = await _lacking(connection, self._names, patience_seconds)
                self._taken = lacking is None
            finally:
                if not self._taken:
                    self.let_go()
        return lacking

    async def keep(self) -> None:
        """Take it again whenever it is lost, until another has it."""
        while True:
            await self._until_lost()
            _log.warning("database_away", reason="the lock on Asterisk was lost with its connection")
            while not await self._regained():
                if self.by_another.is_set():
                    return
                await asyncio.sleep(_CONNECT_AGAIN_SECONDS)
            _log.info("lock_regained")

    async def _until_lost(self) -> None:
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._lost.wait()
                    return
            if self._connection is None or not await _answers(self._connection):
                self.let_go()
                self._lost.set()

    async def _regained(self) -> bool:
        try:
            taken = await self.take(REGAIN_SECONDS) is None
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


async def _answers(connection: asyncpg.Connection) -> bool:
    try:
        await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
    except Exception:  # noqa: BLE001 - whatever it is, what the connection holds cannot be vouched for
        return False
    return True


async def _lacking(
    connection: asyncpg.Connection, names: Sequence[str], patience_seconds: float
) -> str | None:
    """The first name whose lock cannot be had in that time."""
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + patience_seconds
    for name in names:
        key = int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key, timeout=COMMAND_SECONDS):
            if loop.time() > patient_until:
                return name
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
    return None
