"""Connecting, migrating, and what a person is told when the server is not there."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from ccari.errors import StoreError, UnsuitableError
from ccari.store import database as databases
from ccari.store import fence as fences
from ccari.store.database import Database, migration_status, open_database
from ccari.store.fence import PostgresFence
from tests.lab.ports import free_port
from tests.unit.store.made import elsewhere

SECRET = "s3cret-p4ssword"  # noqa: S105 - of no server
BOUND_SECONDS = 2.0


async def schema_of(dsn: str) -> list[tuple[str, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'ccari' ORDER BY 1, 2"
        )
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


async def test_a_second_start_migrates_again_or_differently(empty: str) -> None:
    async with open_database(empty):
        first = await schema_of(empty)
    async with open_database(empty):
        assert await schema_of(empty) == first
    assert {"calls", "call_events", "recordings", "rights_requests", "suppressions"} <= {
        row[0] for row in first
    }
    assert await migration_status(empty) == [("0001_calls_and_rights", True)]


async def test_starts_at_the_same_moment_trip_over_one_another(empty: str) -> None:
    async def start() -> bool:
        async with open_database(empty) as database, database.connection() as connection:
            return await connection.fetchval("SELECT count(*) = 0 FROM calls") is True

    assert await asyncio.gather(*(start() for _ in range(6))) == [True] * 6


async def test_the_status_of_an_empty_database_is_an_error(empty: str) -> None:
    assert await migration_status(empty) == [("0001_calls_and_rights", False)]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "is no URL such as postgresql://"),
        ("localhost", "is no URL such as postgresql://"),
        (f"mysql://ccari:{SECRET}@127.0.0.1/ccari", "is no URL such as postgresql://"),
        (f"postgresql://ccari:{SECRET}/x@127.0.0.1/ccari", "is no URL such as postgresql://"),
        (f"postgresql://ccari:{SECRET}@127.0.0.1:port/ccari", "is no URL such as postgresql://"),
        (f"postgresql://ccari:{SECRET}@127.0.0.1:99999/ccari", "is no URL such as|cannot be reached"),
        (f"postgresql://ccari:{SECRET}@no-such-host.invalid/ccari", "cannot be reached"),
        ("postgresql://ccari@/ccari?host=/nowhere", "cannot be reached"),
    ],
)
async def test_a_url_that_leads_nowhere_ends_in_a_traceback_or_tells_the_password(
    url: str, words: str
) -> None:
    with pytest.raises(StoreError, match=words) as wrong:
        async with asyncio.timeout(10), open_database(url):
            pass
    assert SECRET not in str(wrong.value)
    assert "\n" not in str(wrong.value)


async def test_a_closed_port_is_waited_for() -> None:
    port = free_port(socket.SOCK_STREAM, "127.0.0.1")
    began = time.monotonic()
    with pytest.raises(StoreError, match="cannot be reached"):
        async with open_database(f"postgresql://ccari:{SECRET}@127.0.0.1:{port}/ccari"):
            pass
    assert time.monotonic() - began < BOUND_SECONDS


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def gone(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


@pytest.mark.parametrize("manners", [mute, rude, gone])
async def test_another_programme_at_the_port_holds_the_service_or_ends_in_a_traceback(
    manners: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "CONNECT_SECONDS", 0.3)

    guests: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guests.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await manners(reader, writer)
            writer.close()
            await writer.wait_closed()

    began = time.monotonic()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(StoreError):
            async with open_database(f"postgresql://ccari:{SECRET}@127.0.0.1:{port}/ccari"):
                pass
        await asyncio.gather(*filter(None, guests))
    assert time.monotonic() - began < BOUND_SECONDS


async def test_a_missing_database_is_not_named(dsn: str) -> None:
    with pytest.raises(StoreError, match='database "missing" does not exist'):
        async with open_database(elsewhere(dsn, "missing")):
            pass


async def test_a_query_that_takes_too_long_holds_a_call(database: Database) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError, match="did not answer in time"):
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_sleep(30)", timeout=0.5)
    assert time.monotonic() - began < 0.5 + BOUND_SECONDS
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_connection_that_the_server_ended_breaks_the_pool(database: Database, dsn: str) -> None:
    async with database.connection() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    executioner = await asyncpg.connect(dsn)
    await executioner.execute("SELECT pg_terminate_backend($1, 1000)", pid)
    await executioner.close()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_two_services_hold_the_same_asterisk(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "PATIENCE_SECONDS", 0.2)
    first, second = PostgresFence(dsn), PostgresFence(dsn)
    async with first.hold("pbx/run-1") as lost:
        async with second.hold("pbx/run-2"):
            pass
        with pytest.raises(UnsuitableError, match="another ccari drives this Asterisk"):
            async with second.hold("pbx/run-1"):
                pass
        assert not lost.is_set()
    async with second.hold("pbx/run-1"):
        pass


async def test_a_service_that_starts_again_at_once_is_refused_by_its_own_shadow(dsn: str) -> None:
    """PostgreSQL needs a moment to notice that the killed one is gone."""
    shadow = PostgresFence(dsn).hold("pbx")
    await shadow.__aenter__()
    leaving = asyncio.get_running_loop().call_later(
        0.5, lambda: tasks.append(asyncio.ensure_future(shadow.__aexit__(None, None, None)))
    )
    tasks: list[asyncio.Future[object]] = []
    async with PostgresFence(dsn).hold("pbx"):
        assert tasks
    leaving.cancel()
    await asyncio.gather(*tasks)


async def test_a_lost_lock_is_not_noticed(dsn: str) -> None:
    executioner = await asyncpg.connect(dsn)
    async with PostgresFence(dsn).hold("pbx") as lost:
        await executioner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ccari fence'"
            " AND datname = current_database()"
        )
        async with asyncio.timeout(BOUND_SECONDS):
            await lost.wait()
    await executioner.close()
