"""Connections to PostgreSQL. Raises StoreError in place of the errors of asyncpg and the network."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from functools import partial
from types import TracebackType
from typing import Any

import asyncpg

from ccari.errors import StoreError
from ccari.store import connecting
from ccari.store.connecting import close, connect, refuse_outdated, refuse_shared
from ccari.store.pool import Pool
from ccari.store.translating import translated

Connection = connecting.Connection

SCHEMA = "ccari"
#: Seconds before the database counts as away; a call waits for the answer.
COMMAND_SECONDS = 2.0
#: The share of :data:`COMMAND_SECONDS` after which the server itself ends a statement. If only we stopped waiting, the statement would
#: run on and keep its locks. The server gives up first, so that one that is slow, or waits for a lock, can say so. Only a server that is
#: silent takes the whole time, and costs the idle connections too (:class:`Pool`). The quarter of a second between the two leaves time
#: for two round trips, one of them to prepare the statement.
SERVERS_SHARE = 7 / 8
#: The time-out of one statement of :meth:`Database.outside_pool`.
LIST_SECONDS = 600.0
STREAM_ROWS = 2000
POOL_SIZE = 10
#: How long, in seconds, a connection keeps a prepared statement's plan. A plan made while a table was small would scan the whole table
#: after a long list was loaded.
PLAN_SECONDS = 15
#: How long, in seconds, a transaction may idle between statements before the server ends it, so that a process that vanished or was
#: stopped holds its locks no longer. Our transactions wait only for the database, and occasionally some milliseconds for a thread.
IDLE_SECONDS = 5.0
#: The same for :meth:`Database.outside_pool` and for migrations, where nothing is urgent.
OUTSIDE_IDLE_SECONDS = 30.0
SESSION = {"search_path": SCHEMA, "application_name": "ccari", "timezone": "UTC"}


class Database:
    """A pool of connections whose failures are :class:`StoreError`."""

    def __init__(self, pool: Pool, dsn: str) -> None:
        self._pool = pool
        self._dsn = dsn

    @property
    def connections(self) -> tuple[int, int, int]:
        """How many connections of the pool are in use, how many are idle, and how many there may be."""
        return self._pool.connections

    def connection(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection from the pool for the duration of the context."""
        return _Lent(self._pool)

    @contextlib.asynccontextmanager
    async def outside_pool(self, *, slow_reader: bool = False) -> AsyncIterator[Connection]:
        """A connection outside the pool, for long lists: no call waits for it, and a statement may take :data:`LIST_SECONDS`.

        ``slow_reader``: the transaction may idle while the rows are read, however slowly, so it must hold no lock that others wait for.
        """
        settings = SESSION if slow_reader else {**SESSION, **idle_limit(OUTSIDE_IDLE_SECONDS)}
        with translated():
            connection = await connect(self._dsn, command_timeout=LIST_SECONDS, server_settings=settings)
            try:
                yield connection
            except BaseException:
                # close() would wait for the running statement
                connection.terminate()
                raise
            if not connection.is_closed():
                _refuse_outdated(connection)
            await close(connection)

    async def stream(self, statement: str, *arguments: Any) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The rows of one statement, as of its start, in batches of up to :data:`STREAM_ROWS`."""
        async with self.outside_pool(slow_reader=True) as connection, in_transaction(connection):
            cursor = await connection.cursor(statement, *arguments)
            while rows := await cursor.fetch(STREAM_ROWS):
                yield [dict(row) for row in rows]

    async def refuse_shared(self) -> None:
        """Raise StoreError if a pooler lends sessions per transaction."""
        async with self.connection() as connection:
            await refuse_shared(connection, self._dsn)

    async def execute(self, statement: str, *arguments: Any) -> None:
        """Run one statement by itself."""
        async with self.connection() as connection:
            await connection.execute(statement, *arguments)

    async def value(self, statement: str, *arguments: Any, outside_pool: bool = False) -> Any:
        """The first column of the first row of one statement; None if there is no row."""
        async with self._either(outside_pool=outside_pool) as connection:
            return await connection.fetchval(statement, *arguments)

    async def rows(self, statement: str, *arguments: Any, outside_pool: bool = False) -> list[dict[str, Any]]:
        """The rows of one statement, each as a dict by column."""
        async with self._either(outside_pool=outside_pool) as connection:
            return [dict(row) for row in await connection.fetch(statement, *arguments)]

    @contextlib.asynccontextmanager
    async def snapshot(self, *, outside_pool: bool = False) -> AsyncIterator[Connection]:
        """A read-only transaction in which all statements see the same snapshot."""
        async with (
            self._either(outside_pool=outside_pool) as connection,
            in_transaction(connection, isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @contextlib.asynccontextmanager
    async def as_of_now(self) -> AsyncIterator["Database"]:
        """The database as it is when it is first read in the context, for one statement at a time, on a connection outside the pool.
        Writing to it raises StoreError.
        """
        async with self.snapshot(outside_pool=True) as connection:
            yield _AsOfNow(connection, self._pool, self._dsn)

    def _either(self, *, outside_pool: bool) -> contextlib.AbstractAsyncContextManager[Connection]:
        return self.outside_pool() if outside_pool else self.connection()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A pooled connection in a transaction: commits when the context ends, rolls back on an exception."""
        async with self.connection() as connection, in_transaction(connection):
            yield connection


class _AsOfNow(Database):
    """:meth:`Database.as_of_now`. ``connection``: in a read-only transaction whose statements see one snapshot."""

    def __init__(self, connection: Connection, pool: Pool, dsn: str) -> None:
        super().__init__(pool, dsn)
        self._connection = connection

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        with translated():
            yield self._connection

    @contextlib.asynccontextmanager
    async def outside_pool(self, *, slow_reader: bool = False) -> AsyncIterator[Connection]:  # noqa: ARG002 - its limits stay the snapshot's
        async with self.connection() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def snapshot(self, *, outside_pool: bool = False) -> AsyncIterator[Connection]:  # noqa: ARG002 - it is the same snapshot
        async with self.connection() as connection:
            yield connection


@contextlib.asynccontextmanager
async def in_transaction(connection: Connection, **options: Any) -> AsyncIterator[None]:
    """A transaction on a lent connection, pooled or not: commits when the context ends, rolls back on an exception. ``options``: those of
    asyncpg's ``transaction()``, whose own context manager would make a caller that gives up wait for a server that hangs.
    """
    transaction = connection.transaction(**options)
    await transaction.start()
    try:
        yield
    except TimeoutError:
        # no rollback: as after a cancellation, the connection is terminated, which ends the transaction (see _clean and outside_pool)
        raise
    except Exception:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await transaction.rollback()
        raise
    await transaction.commit()


class _Lent:
    """Takes a connection from the pool and gives it back. A class, since a generator took some 15 us more for each statement of a call."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> Connection:
        try:
            self._connection = await self._pool.take()
        except Exception:
            with translated():
                raise
        return self._connection

    async def __aexit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        connection = self._connection
        try:
            if error is not None or connection.is_closed() or connection.is_in_transaction():
                with translated():
                    await _clean(connection, error)
            else:
                _refuse_outdated(connection)
        finally:
            # it was silent, or its server was replaced
            spent = connection.is_closed() and isinstance(error, TimeoutError | None)
            self._pool.give_back(connection, spent=spent)


class _Pooled(asyncpg.Connection):
    #: asyncpg's own attribute: tests/unit/store/test_shared_connections.py fails if it or _cleanup_stmts changes.
    _stmts_to_close: set[Any]

    def get_reset_query(self) -> str:
        """An empty query, instead of ``RESET ALL`` and the like, which would cost a round trip after each statement of a call.

        :func:`_clean` rolls back an open transaction. Nothing else can be left: code that takes session locks or changes settings uses a
        connection outside the pool.
        """
        return ""

    async def _cleanup_stmts(self) -> None:
        """Close statements whose plans are older than :data:`PLAN_SECONDS`, in one round trip and within the usual statement time-out.
        The next caller that prepares a statement waits for it, usually a gate or a right.

        asyncpg's own method takes a round trip per statement, some fifteen for a gate after a pause, and has no time-out.
        """
        old, self._stmts_to_close = self._stmts_to_close, set()
        await self.execute(";".join(f'DEALLOCATE "{each.name}"' for each in old))


async def _clean(connection: Connection, error: BaseException | None) -> None:
    """Roll back what the last user left open, or terminate the connection; then re-raise ``error``, if there is one."""
    if isinstance(error, TimeoutError) or not isinstance(error, Exception | None):
        # a rollback might take just as long
        connection.terminate()
    elif not connection.is_closed():
        try:
            await connection.reset()
        except BaseException:
            connection.terminate()
            raise
    if error is not None:
        raise error


def idle_limit(seconds: float) -> dict[str, str]:
    """The session setting that limits how long a transaction may idle."""
    return {"idle_in_transaction_session_timeout": _milliseconds(seconds)}


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


class _Looking(_Pooled):
    """A connection that we have made read-only."""


def _refuse_outdated(connection: Connection) -> None:
    """Close the connection and raise StoreError if its server has become read-only or was replaced: its last answer may be outdated."""
    # not isinstance: for asyncpg's override of it, each connection is an instance of every connection class
    if type(connection) is _Looking:
        return
    try:
        refuse_outdated(connection)
    except StoreError:
        connection.terminate()
        raise


@contextlib.asynccontextmanager
async def as_it_is(
    dsn: str, size: int, settings: Mapping[str, str], *, read_only: bool = False
) -> AsyncIterator[Database]:
    """Connect, and yield a pool of up to ``size`` connections, leaving the schema as it is. ``settings``: the session settings of each
    connection; the limits on its statements and on idling are added.

    Raises
    ------
    StoreError
        If the server is away or refuses.
    """
    limits = {"statement_timeout": _milliseconds(COMMAND_SECONDS * SERVERS_SHARE), **idle_limit(IDLE_SECONDS)}
    opening = partial(
        connect, dsn, read_only=read_only, connection_class=_Looking if read_only else _Pooled,
        command_timeout=COMMAND_SECONDS, server_settings={**settings, **limits},
        max_cached_statement_lifetime=PLAN_SECONDS,
    )  # fmt: skip
    pool = Pool(opening, size, COMMAND_SECONDS)
    with translated():
        await pool.begin()
    try:
        yield Database(pool, dsn)
    finally:
        await pool.close()
