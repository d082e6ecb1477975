"""Opening the database read-only, as ``ccari doctor`` does: no migration, no new server, no change of file ownership."""

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import asyncpg

from ccari.errors import StoreError
from ccari.store import migrating
from ccari.store.connecting import look_at_each
from ccari.store.database import SCHEMA, SESSION, Connection, Database, as_it_is
from ccari.store.embedded.locks import CONTROL, USERS, take_control
from ccari.store.embedded.server import Server as EmbeddedServer
from ccari.store.embedded.users import User
from ccari.store.opened import Store

#: How long to wait for control: an embedded server starts and stops within a second or two.
PATIENCE_SECONDS = 15.0
#: How often to read the server's clock; the fastest answer counts. The first is slower, and a busy machine may delay any.
_LOOKS = 4
#: What the server is, and what our user would be refused at a start or in a call: it may have been granted SELECT only.
_SERVER = """
SELECT current_setting('server_version') AS version, current_setting('server_encoding') AS encoding, current_database() AS name,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       ARRAY(SELECT name FROM unnest($2::text[]) AS name WHERE current_setting(name) = 'off') AS careless,
       (SELECT max(age(datfrozenxid)) FROM pg_database) AS ids_used,
       ARRAY(SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'
             AND NOT has_table_privilege(oid, 'INSERT') ORDER BY relname) AS closed
"""
#: The server's settings that make commits survive a power cut. A session cannot set them.
DURABLE = ("fsync", "full_page_writes")
_SESSION = {**SESSION, "application_name": "ccari doctor"}


@dataclass(frozen=True, slots=True)
class Server:
    """The server that answers. ``ahead``: how far its clock is ahead of ours, plus or minus half of the ``round_trip``.

    ``denied``: what our user may not do in the database, in words; empty if nothing. ``careless``: which of :data:`DURABLE` are off.
    ``ids_used``: how many transaction ids have been used since the oldest still needed.
    """

    version: str
    encoding: str
    ahead: timedelta
    round_trip: timedelta
    denied: str = ""
    careless: tuple[str, ...] = ()
    ids_used: int = 0

    @property
    def too_old(self) -> bool:
        return int(self.version.partition(".")[0]) < migrating.OLDEST_SERVER


@dataclass(frozen=True, slots=True)
class Schema:
    """Migrations by name: those applied, those pending, and those applied that this ccari does not know."""

    applied: list[str]
    pending: list[str]
    unknown: list[str]


class AnothersError(StoreError):
    """The embedded server belongs to another user, ``owner`` (None: unknown), and cannot be inspected from here."""

    def __init__(self, words: str, owner: str | None) -> None:
        super().__init__(words)
        self.owner = owner


@dataclass(frozen=True, slots=True)
class Embedded:
    """An existing embedded server. Its lock files are opened only for reading."""

    server: EmbeddedServer
    owner: str
    users: IO[bytes]
    control: IO[bytes]

    @contextlib.asynccontextmanager
    async def joined(self) -> AsyncIterator[str]:
        """Join the server, or run it until the context ends, and yield its DSN. Ownership and modes of its files do not change.

        Root runs it as the owner of its files; the service would choose a user and change the ownership.

        Raises
        ------
        AnothersError
            If it does not run, and its owner cannot run it from here.
        StoreError
            If it cannot be started, or another process has been starting or stopping it for longer than :data:`PATIENCE_SECONDS`,
            and so perhaps hangs.
        """
        with self.users, self.control:
            await self._lock_control()
            fcntl.flock(self.users, fcntl.LOCK_SH | fcntl.LOCK_NB)
            await self._ensure_running()
            fcntl.flock(self.control, fcntl.LOCK_UN)
            try:
                yield self.server.dsn
            finally:
                # the last process to leave stops the server; a process that hangs has not left
                with contextlib.suppress(StoreError, BlockingIOError):
                    await self._lock_control()
                    fcntl.flock(self.users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    await self.server.stop()

    async def _lock_control(self) -> None:
        """Like :func:`take_control`. Raises StoreError if another process keeps control for too long."""
        if not await take_control(self.control, PATIENCE_SECONDS):
            raise StoreError(
                f"another ccari has been starting or stopping the embedded PostgreSQL for {PATIENCE_SECONDS:.0f} s: "
                f"check what it waits for: fuser -v {self.control.name}"
            )

    async def _ensure_running(self) -> None:
        if await self.server.listens():
            return
        if not await self.server.programs.are_runnable():
            raise AnothersError(
                f"the embedded PostgreSQL in {self.server.folder} is not running, and its owner, "
                f"{self.owner}, has no access to where this ccari is installed",
                self.owner,
            )
        await self.server.start()


def find_embedded(data_dir: Path) -> Embedded:
    """The embedded server of ``data_dir``, to be joined. Blocks on the disk.

    Raises
    ------
    AnothersError
        If it is another user's, and this process is not root.
    StoreError
        If there is none.
    """
    folder = data_dir / "postgresql"
    try:
        cluster = (folder / "cluster").stat()
        (folder / "cluster" / "PG_VERSION").stat()
        user = User(cluster.st_uid, cluster.st_gid)
        return Embedded(
            EmbeddedServer(folder, user if os.geteuid() == 0 else None), user.name,
            (folder / USERS).open("rb"), (folder / CONTROL).open("rb"),
        )  # fmt: skip
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"the embedded PostgreSQL in {data_dir} does not exist yet: ccari db migrate"
        ) from None
    except PermissionError:
        owner = _owner(folder / "cluster", folder, data_dir)
        whose = owner or "another user"
        raise AnothersError(f"the embedded PostgreSQL in {data_dir} belongs to {whose}", owner) from None


def _owner(*paths: Path) -> str | None:
    """The owner of the first path that can be read."""
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            return User(status.st_uid, status.st_gid).name
    return None


@contextlib.asynccontextmanager
async def open_untouched(dsn: str) -> AsyncIterator[Store]:
    """Open a database read-only, whatever its schema, even if it has none.

    Raises
    ------
    StoreError
        If the server is away or refuses.
    """
    await look_at_each(dsn)
    async with as_it_is(dsn, 2, _SESSION, read_only=True) as database:
        yield Store(dsn, database)


async def server(database: Database) -> Server:
    """Ask which server this is, and for its clock. Raises StoreError, also if a pooler shares its sessions."""
    await database.refuse_shared()
    async with database.connection() as connection:
        (row,) = await connection.fetch(_SERVER, SCHEMA, DURABLE)
        asked = [await _asked(connection) for _ in range(_LOOKS)]
    round_trip, ahead = min(asked)
    return Server(
        row["version"],
        row["encoding"],
        ahead,
        round_trip,
        _denied(row),
        tuple(row["careless"]),
        row["ids_used"],
    )


def _denied(row: asyncpg.Record) -> str:
    if not row["may_create"]:
        return f"permission denied for database {row['name']}"
    closed: list[str] = row["closed"]
    if not closed:
        return ""
    others = f" and {len(closed) - 1} more" if closed[1:] else ""
    return f"permission denied for table {closed[0]}{others}"


async def _asked(connection: Connection) -> tuple[timedelta, timedelta]:
    """The round-trip time, and how far the server's clock is ahead of ours."""
    before = datetime.now(UTC)
    at = await connection.fetchval("SELECT clock_timestamp()")
    after = datetime.now(UTC)
    return after - before, at - (before + (after - before) / 2)


async def schema(database: Database) -> Schema:
    """Compare this ccari's migrations with those applied. Does not even create pogo's own table. Raises StoreError."""
    async with database.connection() as connection:
        has_pogo = await connection.fetchval("SELECT to_regclass('public._pogo_migration') IS NOT NULL")
        rows = (
            await connection.fetch(
                "SELECT migration_id FROM public._pogo_migration WHERE schema_name = $1", SCHEMA
            )
            if has_pogo
            else []
        )
    applied = {row["migration_id"] for row in rows}
    known = {path.stem for path in migrating.migrations_folder().iterdir() if path.suffix == ".sql"}
    return Schema(sorted(applied & known), sorted(known - applied), sorted(applied - known))
