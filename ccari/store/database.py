"""Connections to PostgreSQL, the migrations, and a StoreError in place of what asyncpg and the network raise."""

import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg
import structlog
from pogo_core.error import BadMigrationError
from pogo_core.util import migrate, sql

from ccari.errors import RefusedError, StoreError, why
from ccari.store import connecting, text_order
from ccari.store.connecting import UNWRITABLE, connect, refuse_shared
from ccari.store.pool import Pool

_log = structlog.get_logger()

Connection = connecting.Connection

SCHEMA = "ccari"
OLDEST_SERVER = 14
#: Of the database: in another, PostgreSQL refuses names and reasons in some language, and the escapes of JSON for them.
ENCODING = "UTF8"

#: A call waits for the answer, so the database has this long, in seconds, before it counts as away.
COMMAND_SECONDS = 2.0
#: One statement of a migration: it may have tens of millions of rows to go through, and nothing else gets it done.
MIGRATE_SECONDS = 3600.0
#: How long a migration waits for others who use its tables, behind which calls wait, and a start for another's migrations.
MIGRATE_LOCK_SECONDS = 300.0
#: Commands that begin at once take milliseconds each to see that there is nothing to migrate.
MIGRATE_PATIENCE_SECONDS = 5.0
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
_CALLS = {**_SESSION, "statement_timeout": f"{COMMAND_SECONDS * 1000:.0f}"}
#: The key of an advisory lock: migrations are applied by one process at a time.
_MIGRATION_LOCK = 0x63636172


_LOST = "the connection to the database was lost"
#: Classes of SQLSTATE whose message speaks of connections, roles, databases, tables and disks, and never of a row's values.
_QUOTABLE = frozenset({"08", "28", "3D", "3F", "42", "53", "55", "57", "58"})


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
        settings = _SESSION if slow_reader else {**_SESSION, **_idle_limit(OUTSIDE_IDLE_SECONDS)}
        with translated():
            connection = await connect(self._dsn, command_timeout=LIST_SECONDS, server_settings=settings)
            try:
                yield connection
            except BaseException:
                # close() would wait for the statement that is under way
                connection.terminate()
                raise
            await connection.close(timeout=connecting.CONNECT_SECONDS)

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
        finally:
            self._pool.give_back(connection)


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
        raise StoreError(_denied(error.args[0])) from None
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


def _denied(words: str) -> str:
    """What is wrong, by what PostgreSQL says. A file of its own that it cannot open or write, as on a disk that is read-only now, counts
    there as a lack of privileges, too.
    """
    if words.startswith("could not "):
        return f"the database failed: {words}"
    return f"{unprivileged(words)}: {ANOTHER_OWNER}"


#: What to do about it.
ANOTHER_OWNER = "make it the database's owner (ALTER DATABASE … OWNER TO …), and restore a dump as this user"


def _idle_limit(seconds: float) -> dict[str, str]:
    return {"idle_in_transaction_session_timeout": f"{seconds * 1000:.0f}"}


@contextlib.asynccontextmanager
async def open_database(dsn: str) -> AsyncIterator[Database]:
    """Connect, bring the schema up to date, and give the pool.

    Raises
    ------
    StoreError
        If the server is away, refuses, or is older than PostgreSQL 14; if the database has another encoding than UTF-8, its user
        may not create anything in it, or a newer ccari has changed it; if a pooler shares out its sessions; or if a migration fails.
    """
    with translated():
        await _migrate(dsn)
    async with as_it_is(dsn, POOL_SIZE, _CALLS) as database:
        yield database


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
        connect, dsn, read_only=read_only, connection_class=_Pooled, command_timeout=COMMAND_SECONDS,
        server_settings={**settings, **_idle_limit(IDLE_SECONDS)}, max_cached_statement_lifetime=PLAN_SECONDS,
    )  # fmt: skip
    pool = Pool(opening, size, COMMAND_SECONDS)
    with translated():
        await pool.begin()
    try:
        yield Database(pool, dsn)
    finally:
        await pool.close()


def migrations_folder() -> Path:
    return Path(str(resources.files("ccari.store") / "migrations"))


async def migration_status(dsn: str) -> list[tuple[str, bool]]:
    """Each migration and whether it has been applied, in order. Changes nothing but pogo's own table."""
    with translated():
        connection = await connect(dsn)
        try:
            await sql.ensure_pogo_sync(connection)
            migrations = await sql.read_migrations(migrations_folder(), connection, schema_name=SCHEMA)
            return sorted((each.id, each.applied) for each in migrations)
        finally:
            await connection.close()


async def _migrate(dsn: str) -> None:
    settings = _idle_limit(OUTSIDE_IDLE_SECONDS)
    connection = await connect(dsn, any_order=True, command_timeout=MIGRATE_SECONDS, server_settings=settings)
    try:
        version = connection.get_server_version().major
        if version < OLDEST_SERVER:
            raise StoreError(f"PostgreSQL {version} is too old: ccari needs {OLDEST_SERVER} or newer")
        encoding = await connection.fetchval("SHOW server_encoding")
        if encoding != ENCODING:
            raise StoreError(f"{unfit(encoding)}: {ANOTHER_ENCODING}")
        await refuse_shared(connection, dsn)
        await _take_turn(connection)
        await sql.create_schema(connection, schema_name=SCHEMA)
        await connection.execute(f"SET search_path TO {SCHEMA}")
        await sql.ensure_pogo_sync(connection)
        migrations = await sql.read_migrations(migrations_folder(), connection, schema_name=SCHEMA)
        applied = await sql.get_applied_migrations(connection, schema_name=SCHEMA)
        if unknown := applied - {each.id for each in migrations}:
            raise StoreError(f"{of_newer(unknown)}: {ANOTHER_VERSION}")
        await text_order.settle(connection)
        # pogo's apply parses every migration before it asks which are pending, which takes longer than most commands
        if not all(each.applied for each in migrations):
            # in a new database each takes milliseconds
            begun = _Begun("migrations") if any(each.applied for each in migrations) else None
            await migrate.apply(connection, migrations_folder(), schema_name=SCHEMA, logger=begun)
    except BadMigrationError as error:
        raise StoreError(f"{error}: {_reason(error.__cause__)}") from error
    finally:
        await connection.close(timeout=connecting.CONNECT_SECONDS)


async def _take_turn(connection: Connection) -> None:
    """Wait until no other process applies migrations. From then on, the connection waits for no lock longer than
    :data:`MIGRATE_LOCK_SECONDS`.
    """
    try:
        await _lock(connection, MIGRATE_PATIENCE_SECONDS)
    except asyncpg.LockNotAvailableError:
        _log.warning("migrations_awaited")
        try:
            await _lock(connection, MIGRATE_LOCK_SECONDS)
        except asyncpg.LockNotAvailableError:
            raise StoreError(
                f"another ccari has been changing the database for {MIGRATE_LOCK_SECONDS:.0f} s: wait until it is done, or end it if it "
                "was stopped"
            ) from None
    await connection.execute(f"SET lock_timeout TO '{MIGRATE_LOCK_SECONDS:.0f}s'")


async def _lock(connection: Connection, patience_seconds: float) -> None:
    await connection.execute(f"SET lock_timeout TO '{patience_seconds:.0f}s'")
    await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)


class _Begun(logging.Logger):
    """Logs each migration that pogo says it begins: among millions of rows one takes minutes, and no call is allowed meanwhile."""

    def handle(self, record: logging.LogRecord) -> None:
        _log.warning("migration_begun", migration=record.getMessage().rpartition(" ")[2])


def unfit(encoding: str) -> str:
    """What is wrong with a database of that encoding, in words."""
    return f"the database has the encoding {encoding}, in which not every name and word can be kept"


#: What to do about it.
ANOTHER_ENCODING = f"make another (createdb --encoding={ENCODING} --template=template0 …), and if something is in this one, copy it by pg_dump and pg_restore"


def of_newer(unknown: Iterable[str]) -> str:
    """What is wrong with a database that has these migrations, which this ccari does not have, in words."""
    return f"a newer ccari has changed the database: {', '.join(sorted(unknown))}"


#: What to do about it. What the newer one has erased, or keeps in another way, could be taken for something else.
ANOTHER_VERSION = "install that version again, or restore a backup that was made before the update"


#: What a migration makes is there, and the record that it was applied is not: that is not in ccari's own schema.
_THERE_ALREADY = (asyncpg.DuplicateTableError, asyncpg.DuplicateFunctionError)


def _reason(cause: BaseException | None) -> str:
    """Why a migration failed."""
    if isinstance(cause, asyncpg.LockNotAvailableError):
        return f"something else has used its tables for {MIGRATE_LOCK_SECONDS:.0f} s, so it has changed nothing: is it a backup, or another ccari?"
    if isinstance(cause, TimeoutError):
        return f"it was not done within {MIGRATE_SECONDS / 60:.0f} minutes, and has changed nothing"
    if isinstance(cause, asyncpg.InsufficientPrivilegeError):
        return _denied(cause.args[0])
    if isinstance(cause, _THERE_ALREADY):
        return f"{cause.args[0]}: if a dump was restored, restore one of the whole database, with the tables of its schema public"
    return str(cause)
