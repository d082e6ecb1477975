"""A real server for all tests that need no Asterisk, and a separate database for each test."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from ccari.store import connecting, fence, local_journal, replaying
from ccari.store import database as databases
from ccari.store.calls import PostgresCallStore
from ccari.store.database import Database, as_it_is
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from ccari.store.queries import SQL
from tests.folders import open_folder
from tests.postgres import quick_postgres
from tests.unit.store.made import POLICY, elsewhere

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder that nobody guesses is made in it
#: Bytes that must be free in memory: a worker's server takes some 200 MB of it.
ROOM = 4 * 2**30
#: What is in memory must not grow, and no test's database lasts until it is vacuumed.
_BRIEF = {"max_wal_size": "64MB", "wal_init_zero": "off", "autovacuum": "off"}
#: How long a database or a disk may take, or we may leave a transaction idle, in seconds, in tests that are not about that limit: the
#: machine has others to serve.
ANSWER_SECONDS = 30.0


_BOUNDS = (
    (connecting, "CONNECT_SECONDS"), (databases, "COMMAND_SECONDS"), (databases, "IDLE_SECONDS"), (fence, "COMMAND_SECONDS"),
    (replaying, "PRESS_SECONDS"), (local_journal, "KEEP_SECONDS"), (local_journal, "ANSWER_SECONDS"),
)  # fmt: skip
#: As in service: what is there before a test begins may have been made by a fixture of the whole session.
_OWN_BOUNDS = [getattr(module, name) for module, name in _BOUNDS]


@contextlib.contextmanager
def patiently() -> Iterator[None]:
    """Databases that are opened within it have :data:`ANSWER_SECONDS` for each connection and statement, on the
    server's side too. A disk has as long for a right that waits on it, or for a look.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module, name in _BOUNDS:
            patch.setattr(module, name, ANSWER_SECONDS)
        yield


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """See :func:`patiently`; applies to every test below a conftest that imports it."""
    with patiently():
        yield


@contextlib.contextmanager
def as_in_service() -> Iterator[None]:
    """Within :func:`patiently`, or several of it: they have no longer than in service."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), own in zip(_BOUNDS, _OWN_BOUNDS, strict=True):
            patch.setattr(module, name, own)
        yield


@pytest.fixture(scope="session")
def reachable() -> Iterator[Path]:
    """A folder that the server's own user can reach; pytest's folders are closed to it."""
    with open_folder("store") as made:
        yield made


@pytest.fixture(scope="session")
def quick() -> Iterator[Path]:
    """As :func:`reachable`, in memory if there is room.

    A database for each test is some hundred files. On a disk that others use too, they took most of the tests' time.
    """
    with open_folder("store", MEMORY if _roomy(MEMORY) else None) as made:
        yield made


def _roomy(folder: Path) -> bool:
    """Whether there is room, and the server's programs may be run from there, should they have to be copied."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(quick: Path) -> AsyncIterator[str]:
    """The DSN of a server, with a migrated database ``template`` that holds one policy."""
    async with quick_postgres(quick / "data", **_BRIEF) as dsn:
        await execute(dsn, "CREATE DATABASE template")
        with patiently():
            async with open_database(elsewhere(dsn, "template")) as database:
                # as an older ccari has applied it: the record of accesses is empty, for tests that count what is there
                await database.rows(SQL["add_policy"], "test", sha256(POLICY.encode()).digest(), POLICY)
        await _compact(elsewhere(dsn, "template"))
        # whoever connects first writes the file that all others read in place of the catalogue: here, so that it is copied too
        await execute(elsewhere(dsn, "template"))
        yield dsn


async def _compact(dsn: str) -> None:
    """Write PostgreSQL's own tables anew, in fewer and shorter files, which are copied for each test. Ours stay as migrations leave them: so
    do the plans of what is asked of them.
    """
    async with connected(dsn) as connection:
        catalogues: str = await connection.fetchval(
            """SELECT string_agg(oid::regclass::text, ',') FROM pg_class
               WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace AND NOT relisshared"""
        )
        await connection.execute(f"VACUUM (FULL) {catalogues}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def administrator(server: str) -> AsyncIterator[asyncpg.Connection]:
    """The user who makes the databases: one connection for all, as a server process for each takes as long as some tests."""
    async with connected(server) as connection:
        yield connection


@contextlib.asynccontextmanager
async def copied(administrator: asyncpg.Connection, template: str) -> AsyncIterator[str]:
    """The name of a new database with the content of another one, to which nobody is connected."""
    name = f"t{uuid4().hex}"
    # the files are copied, not written page by page to the server's log; PostgreSQL 14 knows no other way
    strategy = "STRATEGY file_copy" if administrator.get_server_version().major > 14 else ""
    await administrator.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")
    yield name
    await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(server: str, administrator: asyncpg.Connection) -> AsyncIterator[str]:
    """A database of the test's own, migrated."""
    async with copied(administrator, "template") as name:
        yield elsewhere(server, name)


@pytest_asyncio.fixture(loop_scope="session")
async def empty(server: str, administrator: asyncpg.Connection) -> AsyncIterator[str]:
    """A database of the test's own with nothing in it."""
    async with copied(administrator, "template0") as name:
        yield elsewhere(server, name)


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """It is migrated already: checking that again took longer than many a test."""
    async with as_it_is(dsn, databases.POOL_SIZE, databases.SESSION) as opened:
        yield opened


@pytest.fixture
def calls(database: Database) -> PostgresCallStore:
    return PostgresCallStore(database)


@pytest.fixture
def store(dsn: str, database: Database) -> Store:
    return Store(dsn, database)


@contextlib.asynccontextmanager
async def connected(dsn: str, **settings: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that is nobody else's, while the context lasts."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": databases.SCHEMA, **settings})
    try:
        yield connection
    finally:
        await connection.close()


async def execute(dsn: str, *statements: str) -> None:
    async with connected(dsn) as connection:
        for each in statements:
            await connection.execute(each)
