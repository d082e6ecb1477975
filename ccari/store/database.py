"""Connections to PostgreSQL, and a StoreError in place of what asyncpg and the network raise."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Any

import asyncpg

from ccari.errors import RefusedError, StoreError, why
from ccari.store import connecting
from ccari.store.connecting import UNWRITABLE, close, connect, refuse_outdated, refuse_shared
from ccari.store.pool import Pool

Connection = connecting.Connection

SCHEMA = "ccari"
#: A call waits for the answer, so the database has this long, in seconds, before it counts as away.
COMMAND_SECONDS = 2.0
#: One statement of :meth:`Database.outside_pool`.
LIST_SECONDS = 600.0
STREAM_ROWS = 2000
POOL_SIZE = 10
#: How long a connection keeps a statement's plan, in seconds. One that was made while a table was small would read the whole table
#: after a long list was loaded into it.
PLAN_SECONDS = 15
#: How long a transaction may idle between two statements before the server ends it, in seconds: a process that vanished or was
#: stopped keeps the others waiting no longer. Our transactions wait for the database only, and now and then some milliseconds for
#: a thread.
IDLE_SECONDS = 5.0
#: The same for :meth:`Database.outside_pool` and for migrations, where nothing has to be quick.
OUTSIDE_IDLE_SECONDS = 30.0
_SESSION = {"search_path": SCHEMA, "application_name": "ccari", "timezone": "UTC"}
#: For the pool. A client that gives up waiting does not stop the statement: unless the server gives up too, it goes on, and goes on
#: holding its locks.
CALLS = {**_SESSION, "statement_timeout": f"{COMMAND_SECONDS * 1000:.0f}"}
_LOST = "the connection to the database was lost"
#: Classes of SQLSTATE whose message speaks of connections, roles, databases, tables, disks and limits, and never of a row's values.
_QUOTABLE = frozenset({"08", "28", "3D", "3F", "42", "53", "54", "55", "57", "58"})


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
        """A connection of the pool, until the context ends."""
        return _Lent(self._pool)

    @contextlib.asynccontextmanager
    async def outside_pool(self, *, slow_reader: bool = False) -> AsyncIterator[Connection]:
        """A connection outside the pool, for long lists: no call waits for it, and a statement may take :data:`LIST_SECONDS`.

        ``slow_reader``: its transaction may idle for as long as the reader of the rows likes, so it must hold no lock that others
        wait for.
        """
        settings = _SESSION if slow_reader else {**_SESSION, **idle_limit(OUTSIDE_IDLE_SECONDS)}
        with translated():
            connection = await connect(self._dsn, command_timeout=LIST_SECONDS, server_settings=settings)
            try:
                yield connection
            except BaseException:
                # close() would wait for the statement that is under way
                connection.terminate()
                raise
            if not connection.is_closed():
                _refuse_outdated(connection)
            await close(connection)

    async def stream(self, statement: str, *arguments: Any) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The rows of one statement, as they were when it began, up to :data:`STREAM_ROWS` at a time."""
        async with self.outside_pool(slow_reader=True) as connection, in_transaction(connection):
            cursor = await connection.cursor(statement, *arguments)
            while rows := await cursor.fetch(STREAM_ROWS):
                yield [dict(row) for row in rows]

    async def refuse_shared(self) -> None:
        """Raise StoreError if a pooler lends sessions for a transaction only."""
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
        """A read-only transaction whose statements all see the data of the same moment."""
        async with (
            self._either(outside_pool=outside_pool) as connection,
            in_transaction(connection, isolation="repeatable_read", readonly=True),
        ):
            yield connection

    def _either(self, *, outside_pool: bool) -> contextlib.AbstractAsyncContextManager[Connection]:
        return self.outside_pool() if outside_pool else self.connection()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection of the pool in a transaction: committed at the context's end, rolled back if an exception ends it."""
        async with self.connection() as connection, in_transaction(connection):
            yield connection


@contextlib.asynccontextmanager
async def in_transaction(connection: Connection, **options: Any) -> AsyncIterator[None]:
    """A transaction of a connection that is lent by the pool, or from outside it: committed at the context's end, rolled back if an
    exception ends it. ``options``: as of asyncpg's own, which would keep whoever gives up waiting for a server that hangs.
    """
    transaction = connection.transaction(**options)
    await transaction.start()
    try:
        yield
    except TimeoutError:
        # as after a cancellation the connection is terminated, and its transaction with it: see _clean and outside_pool
        raise
    except Exception:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await transaction.rollback()
        raise
    await transaction.commit()


class _Lent:
    """Takes a connection from the pool and gives it back. As a generator it took some 15 us more for each statement of a call."""

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
            self._pool.give_back(connection, silent=isinstance(error, TimeoutError))


class _Pooled(asyncpg.Connection):
    #: asyncpg's own; a test of tests/unit/store/test_shared_connections.py fails if it, or _cleanup_stmts, changes.
    _stmts_to_close: set[Any]

    def get_reset_query(self) -> str:
        """Nothing, instead of ``RESET ALL`` and the like, which would be a round trip after each statement of a call.

        :func:`_clean` rolls back a transaction that was left open, and nothing else is left: whatever takes session locks or
        changes settings has a connection outside the pool.
        """
        return ""

    async def _cleanup_stmts(self) -> None:
        """Close the statements whose plans have grown too old (:data:`PLAN_SECONDS`), in one round trip and within the time that any
        statement has. Whoever prepares the next one waits for it, which is a gate or a right, as a rule.

        asyncpg's own takes a round trip for each, some fifteen for a gate after a pause, and waits for the answers without any limit.
        """
        old, self._stmts_to_close = self._stmts_to_close, set()
        await self.execute(";".join(f'DEALLOCATE "{each.name}"' for each in old))


async def _clean(connection: Connection, error: BaseException | None) -> None:
    """Roll back what the last user left open, or terminate the connection; then raise ``error`` again, if there is one."""
    if isinstance(error, TimeoutError) or not isinstance(error, Exception | None):
        # a rollback might take as long again
        connection.terminate()
    elif not connection.is_closed():
        try:
            await connection.reset()
        except BaseException:
            connection.terminate()
            raise
    if error is not None:
        raise error


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what asyncpg raises into a StoreError. The server's text is left out where it may quote a row."""
    try:
        yield
    except (TimeoutError, asyncpg.QueryCanceledError):
        raise StoreError("the database did not answer in time") from None
    except asyncpg.IntegrityConstraintViolationError as error:
        raise RefusedError(
            f"the database refused a row: {error.constraint_name or type(error).__name__}"
        ) from None
    except asyncpg.DataError as error:
        raise RefusedError(f"the database refused a value: {type(error).__name__}") from None
    except asyncpg.InvalidPasswordError:
        raise StoreError(
            "the database refused the user or password: check [database] url and password_file"
        ) from None
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise StoreError(f"the database refused the user: {error.args[0]}") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreError(denied(error.args[0])) from None
    except asyncpg.ReadOnlySQLTransactionError:
        raise StoreError(UNWRITABLE) from None
    except (
        asyncpg.ConnectionDoesNotExistError,
        asyncpg.ConnectionFailureError,
        asyncpg.InternalClientError,
    ):
        # the last where the server's last word came while nobody asked
        raise StoreError(_LOST) from None
    except asyncpg.PostgresError as error:
        words = error.args[0] if str(error.sqlstate)[:2] in _QUOTABLE else type(error).__name__
        advice = _NO_ROOM if isinstance(error, asyncpg.TooManyConnectionsError) else ""
        raise StoreError(f"the database failed: {words}{advice}") from None
    except asyncpg.InterfaceError as error:
        # the end of a transaction takes the place of what ended it
        raise StoreError(
            _LOST if "connection is closed" in str(error) else f"the database failed: {type(error).__name__}"
        ) from None
    except BrokenPipeError:
        # it is about standard output, whose reader has seen enough (``| head``): for a broken connection asyncpg has its own error
        raise
    except OSError as error:
        raise StoreError(f"the database cannot be reached: {why(error)}") from None


_NO_ROOM = ": check max_connections there, and the CONNECTION LIMIT of its user"


def unprivileged(denied: str) -> str:
    """What is wrong with a database whose user may not do something, in words."""
    return f"the database's user may not do what ccari needs ({denied})"


def denied(words: str) -> str:
    """What is wrong, by what PostgreSQL says. A file of its own that it cannot open or write, as on a disk that is read-only now, counts
    there as a lack of privileges, too.
    """
    if words.startswith("could not "):
        return f"the database failed: {words}"
    return f"{unprivileged(words)}: {ANOTHER_OWNER}"


#: What to do about it.
ANOTHER_OWNER = "make it the database's owner (ALTER DATABASE … OWNER TO …), and restore a dump as this user"


def idle_limit(seconds: float) -> dict[str, str]:
    """The session setting for as long as a transaction may idle."""
    return {"idle_in_transaction_session_timeout": f"{seconds * 1000:.0f}"}


class _Looking(_Pooled):
    """Read-only by our own will."""


def _refuse_outdated(connection: Connection) -> None:
    """Close the connection and raise StoreError if its server was made read-only meanwhile, or another has taken its place: what it has
    just answered may be outdated.
    """
    # to asyncpg's own isinstance, each connection is one of each of its classes
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
    """Connect, and give a pool of up to ``size`` connections; the schema is left as it is. ``settings``: the session settings of
    each connection, but for the limit on idling, which is added.

    Raises
    ------
    StoreError
        If the server is away or refuses.
    """
    opening = partial(
        connect, dsn, read_only=read_only, connection_class=_Looking if read_only else _Pooled,
        command_timeout=COMMAND_SECONDS, server_settings={**settings, **idle_limit(IDLE_SECONDS)},
        max_cached_statement_lifetime=PLAN_SECONDS,
    )  # fmt: skip
    pool = Pool(opening, size, COMMAND_SECONDS)
    with translated():
        await pool.begin()
    try:
        yield Database(pool, dsn)
    finally:
        await pool.close()
