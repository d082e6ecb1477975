"""The database as it is: no migration, no server made, and nothing can be written."""

import asyncio
import contextlib
import fcntl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import asyncpg

from ccari.errors import StoreError
from ccari.store.database import (
    COMMAND_SECONDS,
    CONNECT_SECONDS,
    OLDEST_SERVER,
    SCHEMA,
    Database,
    connect,
    migrations_folder,
    translated,
)
from ccari.store.opened import Store

#: An embedded server starts and stops within a second or two.
PATIENCE_SECONDS = 15.0
_ASK_AGAIN_SECONDS = 0.1
_SESSION = {
    "search_path": SCHEMA, "application_name": "ccari doctor", "timezone": "UTC",
    "default_transaction_read_only": "on", "statement_timeout": f"{COMMAND_SECONDS * 1000:.0f}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    """``ahead``: how far its clock is before ours, give or take half of the question's ``round_trip``."""

    version: str
    replica: bool
    ahead: timedelta
    round_trip: timedelta

    @property
    def too_old(self) -> bool:
        return int(self.version.partition(".")[0]) < OLDEST_SERVER


@dataclass(frozen=True, slots=True)
class Schema:
    """Names of migrations: those applied, those that this ccari would apply, and those that it does not know."""

    applied: list[str]
    pending: list[str]
    unknown: list[str]


def check_embedded(data_dir: Path) -> None:
    """Raise the StoreError that tells why the embedded server of ``data_dir`` cannot be joined. Blocks.

    It was never made, it is another user's, or another process has been starting or stopping it for longer than
    :data:`PATIENCE_SECONDS`, for which to wait would be to hang with it.
    """
    folder = data_dir / "postgresql"
    try:
        (folder / "cluster" / "PG_VERSION").stat()
        with (folder / "control.lock").open("rb") as file:
            _wait_for(file)
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"the embedded PostgreSQL in {data_dir} was never made: ccari db migrate") from None
    except PermissionError:
        raise StoreError(
            f"the embedded PostgreSQL in {data_dir} is another user's: run ccari as its owner or as root"
        ) from None
    except BlockingIOError:
        raise StoreError(
            f"another ccari has been starting or stopping the embedded PostgreSQL for {PATIENCE_SECONDS:.0f} s: "
            f"check what it waits for: fuser -v {folder / 'control.lock'}"
        ) from None


def _wait_for(file: IO[bytes]) -> None:
    patient_until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > patient_until:
                raise
            time.sleep(_ASK_AGAIN_SECONDS)
        else:
            return


@contextlib.asynccontextmanager
async def open_untouched(dsn: str) -> AsyncIterator[Store]:
    """What is kept in a database whose schema may be any, or none.

    Raises
    ------
    StoreError
        If the server is away or refuses.
    """
    with translated():
        # of a URL that is none, this one's words hold no piece of the password
        await (await connect(dsn)).close(timeout=CONNECT_SECONDS)
        pool = await asyncpg.create_pool(
            dsn, min_size=1, max_size=2, command_timeout=COMMAND_SECONDS, timeout=CONNECT_SECONDS,
            server_settings=_SESSION,
        )  # fmt: skip
    try:
        yield Store.over(dsn, Database(pool, dsn))
    finally:
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()


async def server(database: Database) -> Server:
    """Ask which server this is, and what time it has. Raises StoreError."""
    async with database.connection() as connection:
        # the first question of a connection takes longer than the next, between whose ends our clock is read
        (row,) = await connection.fetch(
            "SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS replica"
        )
        before = datetime.now(UTC)
        at = await connection.fetchval("SELECT clock_timestamp()")
        after = datetime.now(UTC)
    return Server(row["version"], row["replica"], at - (before + (after - before) / 2), after - before)


async def schema(database: Database) -> Schema:
    """Compare the migrations of this ccari with those applied, without as much as pogo's own table. Raises StoreError."""
    async with database.connection() as connection:
        kept = await connection.fetchval("SELECT to_regclass('public._pogo_migration') IS NOT NULL")
        rows = (
            await connection.fetch(
                "SELECT migration_id FROM public._pogo_migration WHERE schema_name = $1", SCHEMA
            )
            if kept
            else []
        )
    applied = {row["migration_id"] for row in rows}
    known = {path.stem for path in migrations_folder().iterdir() if path.suffix == ".sql"}
    return Schema(sorted(applied & known), sorted(known - applied), sorted(applied - known))
