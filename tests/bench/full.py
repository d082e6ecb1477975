"""A table of any number of bars, without the hours in which a centre would fill it."""

import contextlib
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import asyncpg

from ccari.store.database import SCHEMA
from ccari.store.embedded import embedded_postgres
from ccari.store.migrating import open_database

#: Rows of one statement: takes some seconds, and moves the progress bar by one step.
STEP = 500_000
#: The server's settings while it is filled: a table created in the same transaction needs no log.
WHILE_FILLED = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "1h",
    "max_wal_size": "16GB",
}
_INDEXES = """
SELECT i.indexrelid::regclass::text AS name, c.conname AS constraint_name, pg_get_constraintdef(c.oid) AS constraint_def,
       pg_get_indexdef(i.indexrelid) AS index_def
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
WHERE i.indrelid = 'suppressions'::regclass ORDER BY 1
"""
# distributed as keyed digests are
_ROWS = """
INSERT INTO suppressions (controller, digest, key_version, reason, origin, proof)
SELECT $1, sha256(int8send(each)), 1, 'do_not_call', 'import:bench', '' FROM generate_series($2::bigint, $3::bigint) AS each
"""


async def fill(data_dir: Path, controller: str, rows: int) -> None:
    """Bar ``rows`` random digests, of no number; does nothing if there are as many already. The indexes are rebuilt at
    the end.
    """
    async with _set(data_dir, {}) as connection:
        if await connection.fetchval("SELECT coalesce(max(id), 0) FROM suppressions") >= rows:
            return
    async with _set(data_dir, WHILE_FILLED):
        pass
    async with _set(data_dir, {}) as connection, connection.transaction():
        indexes = await connection.fetch(_INDEXES)
        await connection.execute("TRUNCATE suppressions; SET LOCAL maintenance_work_mem = '1GB'")
        for each in indexes:
            await connection.execute(
                f"ALTER TABLE suppressions DROP CONSTRAINT {each['constraint_name']}"
                if each["constraint_name"]
                else f"DROP INDEX {each['name']}"
            )
        for first in range(0, rows, STEP):
            await connection.execute(_ROWS, controller, first, min(first + STEP, rows) - 1)
            _bar("rows", min(first + STEP, rows), rows)
        for done, each in enumerate(indexes, 1):
            await connection.execute(
                f"ALTER TABLE suppressions ADD CONSTRAINT {each['constraint_name']} {each['constraint_def']}"
                if each["constraint_name"]
                else each["index_def"]
            )
            _bar("indexes", done, len(indexes))
    async with _set(data_dir, dict.fromkeys(WHILE_FILLED)) as connection:
        await connection.execute("VACUUM (FREEZE, ANALYZE) suppressions")
    async with _set(data_dir, {}):
        pass


@contextlib.asynccontextmanager
async def _set(data_dir: Path, settings: Mapping[str, str | None]) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a server restarted with these settings; None restores the original ones."""
    async with embedded_postgres(data_dir) as dsn, open_database(dsn):
        connection = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
        for name, value in settings.items():
            await connection.execute(
                f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = '{value}'"
            )
        try:
            yield connection
        finally:
            await connection.close()


_began = time.monotonic()


def _bar(what: str, done: int, of: int) -> None:
    width = 30 * done // of
    print(
        f"\r{what:8} [{'#' * width:30}] {done} of {of}, {time.monotonic() - _began:.0f} s ",
        end="\n" if done == of else "",
        file=sys.stderr,
        flush=True,
    )
