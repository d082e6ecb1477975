"""A real server for all the tests of the store, and a database of its own for each."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from ccari.store.calls import PostgresCallStore
from ccari.store.database import Database, open_database
from ccari.store.embedded import embedded_postgres
from ccari.store.opened import Store
from ccari.store.policies import Policies
from tests.unit.store.made import POLICY, elsewhere


@pytest.fixture(scope="session")
def reachable() -> Iterator[Path]:
    """A folder that the server's own user can reach; pytest's are closed to it."""
    made = Path(tempfile.mkdtemp(prefix="ccari-store-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(reachable: Path) -> AsyncIterator[str]:
    """The DSN of the embedded server, with a migrated database ``template`` that holds one policy."""
    async with embedded_postgres(reachable / "data") as dsn:
        # a database for each test is some hundred files; processes are killed in these tests, and never the machine
        await _administer(dsn, "ALTER SYSTEM SET fsync = off")
        await _administer(dsn, "SELECT pg_reload_conf()")
        await _administer(dsn, "CREATE DATABASE template")
        async with open_database(elsewhere(dsn, "template")) as database:
            await Policies(database).apply(POLICY, "test")
        yield dsn


@pytest_asyncio.fixture
async def dsn(server: str) -> AsyncIterator[str]:
    """A database of the test's own, migrated."""
    name = f"t{uuid4().hex}"
    await _administer(server, f"CREATE DATABASE {name} TEMPLATE template")
    yield elsewhere(server, name)
    await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def empty(server: str) -> AsyncIterator[str]:
    """A database of the test's own with nothing in it."""
    name = f"e{uuid4().hex}"
    await _administer(server, f"CREATE DATABASE {name} TEMPLATE template0")
    yield elsewhere(server, name)
    await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    async with open_database(dsn) as opened:
        yield opened


@pytest.fixture
def calls(database: Database) -> PostgresCallStore:
    return PostgresCallStore(database)


@pytest.fixture
def store(dsn: str, database: Database) -> Store:
    return Store.over(dsn, database)


async def _administer(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
