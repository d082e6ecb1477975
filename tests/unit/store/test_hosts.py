"""A URL that names several hosts, of which one is silent because it, or its network, has lost its power."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from itertools import permutations
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from ccari.errors import StoreError
from ccari.store import connecting
from ccari.store.connecting import _each_host
from ccari.store.fence import PostgresFence
from ccari.store.migrating import open_database


@contextlib.asynccontextmanager
async def silent(folder: Path) -> AsyncIterator[str]:
    """A host in ``folder`` that accepts a connection, and says nothing."""
    heard: list[asyncio.StreamWriter] = []

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(writer)

    server = await asyncio.start_unix_server(say_nothing, folder / ".s.PGSQL.5432")
    try:
        yield str(folder)
    finally:
        server.close()
        for each in heard:
            each.transport.abort()
        await server.wait_closed()


@pytest.mark.usefixtures("bounded")
async def test_the_database_is_away_as_long_as_the_first_host_is_silent(dsn: str, reachable: Path) -> None:
    """Such as a primary that has lost its power, when its standby has taken over."""
    async with silent(reachable) as host:
        url = dsn.replace("host=", f"host={host},")
        async with open_database(url) as database, database.connection(), database.connection() as another:
            assert await another.fetchval("SELECT 1") == 1
            async with PostgresFence(url).hold("a run", "an asterisk"):
                pass


async def test_the_one_server_behind_a_socket_is_connected_to_every_ten_seconds(dsn: str) -> None:
    """As the embedded one is. A socket cannot be moved to another server, as a name or an address can."""
    async with asyncio.timeout(connecting.LOOK_AGAIN_SECONDS):
        await connecting.keep_looking(dsn)


async def test_a_host_that_answers_as_another_does_leaves_a_connection_that_nobody_has(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "NEXT_HOST_SECONDS", 0.0)
    opened = [await connecting.connect(dsn) for _ in range(2)]
    begun: list[asyncpg.Connection] = []
    both = asyncio.Event()

    async def answers(connection: asyncpg.Connection) -> asyncpg.Connection:
        begun.append(connection)
        if len(begun) == len(opened):
            both.set()
        await both.wait()
        return connection

    taken = await connecting._first([partial(answers, each) for each in opened])
    # the other is dropped in the loop's next turn
    await asyncio.sleep(0)
    assert [each.is_closed() for each in opened if each is not taken] == [True]
    assert not taken.is_closed()
    await taken.close()


async def test_who_gives_up_while_the_other_hosts_are_let_go_leaves_a_connection_that_nobody_has(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a call does whose two seconds are over just then."""
    monkeypatch.setattr(connecting, "NEXT_HOST_SECONDS", 0.0)
    opened = await connecting.connect(dsn)
    let_go, answer = asyncio.Event(), asyncio.Event()

    async def answers() -> asyncpg.Connection:
        await answer.wait()
        return opened

    async def lingers() -> asyncpg.Connection:
        answer.set()
        try:
            await asyncio.Event().wait()
        finally:
            let_go.set()
            # what a driver may still have to do
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        pytest.fail("it connects")

    asking = asyncio.create_task(connecting._first([answers, lingers]))
    await let_go.wait()
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await asking).close()
    assert opened.is_closed()


async def test_of_hosts_that_all_fail_it_is_told_what_says_less() -> None:
    async def away() -> asyncpg.Connection:
        raise ConnectionRefusedError

    async def replica() -> asyncpg.Connection:
        raise StoreError(connecting.UNWRITABLE)

    async def full() -> asyncpg.Connection:
        raise asyncpg.TooManyConnectionsError

    for hosts in permutations([away, replica, full]):
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await connecting._first(hosts)
    for two in permutations([away, replica]):
        with pytest.raises(StoreError, match="replica"):
            await connecting._first(two)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://ccari@db1/ccari", [("ccari@db1", {})]),
        (
            "postgresql://ccari:p%2Cw@db1:5433,10.0.0.2/ccari?sslmode=require&password=a%26b",
            [
                ("ccari:p%2Cw@db1:5433", {"sslmode": "require", "password": "a&b"}),
                ("ccari:p%2Cw@10.0.0.2", {"sslmode": "require", "password": "a&b"}),
            ],
        ),
        ("postgresql://db1,db2/ccari?port=1,2", [("db1", {"port": "1"}), ("db2", {"port": "2"})]),
        (
            "postgresql://ccari@/ccari?host=/one,/two&port=7",
            [("ccari@", {"host": "/one", "port": "7"}), ("ccari@", {"host": "/two", "port": "7"})],
        ),
    ],
)
def test_a_host_of_the_url_is_lost_or_another_thing_of_it(
    url: str, hosts: list[tuple[str, dict[str, str]]]
) -> None:
    found = [urlsplit(each) for each in _each_host(url)]
    assert [
        (each.netloc, {name: value for name, (value,) in parse_qs(each.query).items()}) for each in found
    ] == hosts
    assert {each.path for each in found} == {"/ccari"}
