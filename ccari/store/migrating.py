"""Migrating the schema, and opening a database whose schema is up to date."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from functools import partial
from importlib import resources
from pathlib import Path

import asyncpg
import structlog
from pogo_core.error import BadMigrationError
from pogo_core.util import migrate, sql

from ccari.errors import StoreError
from ccari.store import text_order
from ccari.store.connecting import close, connect, keep_looking, look_at_each, refuse_shared
from ccari.store.database import (
    OUTSIDE_IDLE_SECONDS,
    POOL_SIZE,
    SCHEMA,
    SESSION,
    Connection,
    Database,
    as_it_is,
    idle_limit,
)
from ccari.store.translating import denied, translated
from ccari.tasks import beside

_log = structlog.get_logger()

OLDEST_SERVER = 14
#: The database's encoding. With another, PostgreSQL refuses names and reasons in some languages, even as JSON escapes.
ENCODING = "UTF8"
#: The time-out of one statement of a migration, which may go through tens of millions of rows.
MIGRATE_SECONDS = 3600.0
#: How long a migration waits for locks on its tables, while calls queue behind it; and how long a start waits for another's migrations.
MIGRATE_LOCK_SECONDS = 300.0
#: Commands that start together each take milliseconds to find that there is nothing to migrate.
MIGRATE_PATIENCE_SECONDS = 5.0
#: The key of the advisory lock that lets one process migrate at a time.
_MIGRATION_LOCK = 0x63636172


@contextlib.asynccontextmanager
async def open_database(dsn: str) -> AsyncIterator[Database]:
    """Connect, migrate the schema, and yield the pool.

    Raises
    ------
    StoreError
        If the server is away, refuses, or is older than PostgreSQL 14; if the database has another encoding than UTF-8, its user
        may not create anything in it, or a newer ccari has changed it; if a pooler shares out its sessions; or if a migration fails.
    """
    with translated():
        await _migrate(dsn)
    async with as_it_is(dsn, POOL_SIZE, SESSION) as database, beside(partial(keep_looking, dsn)):
        yield database


def migrations_folder() -> Path:
    return Path(str(resources.files("ccari.store") / "migrations"))


async def _migrate(dsn: str) -> None:
    settings = idle_limit(OUTSIDE_IDLE_SECONDS)
    await look_at_each(dsn)
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
        # pogo's apply parses every migration before it checks which are pending, which takes longer than most commands
        if not all(each.applied for each in migrations):
            # in a new database each migration takes milliseconds
            begun = _Begun("migrations") if any(each.applied for each in migrations) else None
            await migrate.apply(connection, migrations_folder(), schema_name=SCHEMA, logger=begun)
    except BadMigrationError as error:
        raise StoreError(f"{error}: {_reason(error.__cause__)}") from error
    finally:
        await close(connection)


async def _take_turn(connection: Connection) -> None:
    """Wait until no other process applies migrations. From then on the connection waits no longer than :data:`MIGRATE_LOCK_SECONDS` for a
    lock.
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
    """Logs each migration that pogo reports as begun: with millions of rows one takes minutes, and no call is allowed meanwhile."""

    def handle(self, record: logging.LogRecord) -> None:
        _log.warning("migration_begun", migration=record.getMessage().rpartition(" ")[2])


def unfit(encoding: str) -> str:
    """Says in words that the database's encoding is wrong."""
    return f"the database has the encoding {encoding}, in which not every name and word can be kept"


#: The remedy.
ANOTHER_ENCODING = f"make another (createdb --encoding={ENCODING} --template=template0 …), and if something is in this one, copy it by pg_dump and pg_restore"


def of_newer(unknown: Iterable[str]) -> str:
    """Says in words that a newer ccari applied these migrations, which this one does not have."""
    return f"a newer ccari has changed the database: {', '.join(sorted(unknown))}"


#: The remedy. This ccari could misread data that the newer one has erased or stores differently.
ANOTHER_VERSION = "install that version again, or restore a backup that was made before the update"


#: For a migration whose objects exist but whose record is missing: pogo keeps that record outside ccari's schema.
_THERE_ALREADY = (asyncpg.DuplicateTableError, asyncpg.DuplicateFunctionError)


def _reason(cause: BaseException | None) -> str:
    """Why a migration failed."""
    if isinstance(cause, asyncpg.LockNotAvailableError):
        return f"something else has used its tables for {MIGRATE_LOCK_SECONDS:.0f} s, so it has changed nothing: is it a backup, or another ccari?"
    if isinstance(cause, TimeoutError):
        return f"it was not done within {MIGRATE_SECONDS / 60:.0f} minutes, and has changed nothing"
    if isinstance(cause, asyncpg.InsufficientPrivilegeError):
        return denied(cause.args[0])
    if isinstance(cause, _THERE_ALREADY):
        return f"{cause.args[0]}: if a dump was restored, restore one of the whole database, with the tables of its schema public"
    return str(cause)
