"""Shared connections: never too many, never used by two at once, and none that somebody has left in disorder."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import asyncpg
import pytest

from ccari.errors import StoreError
from ccari.store import database as databases
from ccari.store import pool as pools
from ccari.store.database import Database, as_it_is
from ccari.store.pool import Pool
from tests.lab.waiting import until
from tests.unit.store.relayed import Relay, relayed

SETTINGS = {"application_name": "ccari test"}


class Line:
    """A connection to nobody."""

    def __init__(self) -> None:
        self.closed = False

    def is_closed(self) -> bool:
        return self.closed

    def terminate(self) -> None:
        self.closed = True

    async def close(self) -> None:
        self.closed = True


class Server:
    """Opens lines. ``away``: refuses to. ``room``: how many connections it has room for. ``refusing``: what happens
    when it refuses. ``near``: set unless it is so far away that no line comes.
    """

    def __init__(self, size: int, patience: float = 5.0) -> None:
        self.lines: list[Line] = []
        self.served: list[str] = []
        self.away = False
        self.room = size
        self.refusing: Callable[[], None] | None = None
        self.near = asyncio.Event()
        self.near.set()
        self.pool = Pool(self._open, size, patience)

    async def _open(self) -> asyncpg.Connection:
        await self.near.wait()
        if self.away:
            raise ConnectionRefusedError
        if sum(not each.closed for each in self.lines) >= self.room:
            if self.refusing is not None:
                self.refusing()
            raise asyncpg.TooManyConnectionsError("sorry, too many clients already")
        self.lines.append(Line())
        return cast("asyncpg.Connection", self.lines[-1])

    async def use(self, name: str) -> None:
        taken = await self.pool.take()
        self.served.append(name)
        await asyncio.sleep(0)
        self.pool.give_back(taken)

    def wait_no_longer(self) -> None:
        """From now on nobody waits for long: no longer than a busy machine may take to refuse a connection."""
        self.pool._patience = 0.3

    def queue(self, *names: str) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.use(each)) for each in names]


@pytest.fixture
async def one(dsn: str) -> AsyncIterator[Database]:
    """A database that is asked over one connection."""
    async with as_it_is(dsn, 1, SETTINGS) as database:
        yield database


async def pid(database: Database) -> Any:
    async with database.connection() as connection:
        return await connection.fetchval("SELECT pg_backend_pid()")


async def test_there_are_more_connections_than_may_be_or_one_is_two_peoples() -> None:
    server = Server(2)
    held = [await server.pool.take(), await server.pool.take()]
    tasks = server.queue("anna", "bert")
    await asyncio.sleep(0)
    assert (server.served, len(server.lines), server.pool.connections) == ([], 2, (2, 0, 2))
    assert held[0] is not held[1]
    server.pool.give_back(held[0])
    await asyncio.gather(*tasks)
    assert (len(server.lines), server.pool.connections) == (2, (1, 1, 2))


async def test_who_comes_later_is_served_before_whoever_waits() -> None:
    server = Server(1)
    held = await server.pool.take()
    tasks = server.queue("anna", "bert")
    await asyncio.sleep(0)
    server.pool.give_back(held)
    await server.use("cyd")
    await asyncio.gather(*tasks)
    assert server.served == ["anna", "bert", "cyd"]


async def test_a_turn_is_lost_that_comes_as_its_waiter_gives_up() -> None:
    server = Server(1)
    held = await server.pool.take()
    anna, bert, cyd = server.queue("anna", "bert", "cyd")
    await asyncio.sleep(0)
    bert.cancel()
    server.pool.give_back(held)
    anna.cancel()
    await asyncio.wait_for(cyd, 10)
    assert (anna.cancelled(), bert.cancelled(), server.served) == (True, True, ["cyd"])
    assert server.pool.connections == (0, 1, 1)
    assert await server.pool.take() is held


async def test_a_server_that_refuses_takes_the_turns_with_it() -> None:
    server = Server(1)
    server.away = True
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await server.pool.take()
    server.away = False
    server.pool.give_back(await server.pool.take())
    assert server.pool.connections == (0, 1, 1)


async def test_who_waits_waits_for_ever_or_holds_a_turn_when_nobody_wants_it() -> None:
    server = Server(1)
    held = await server.pool.take()
    server.wait_no_longer()
    with pytest.raises(TimeoutError):
        await server.pool.take()
    server.pool.give_back(held)
    assert await server.pool.take() is held


async def test_a_server_without_room_for_another_connection_is_away_for_those_who_need_only_wait() -> None:
    """For example if a report, or another program, has taken all that max_connections allows."""
    server = Server(3)
    server.room = 1
    held = await server.pool.take()
    tasks = server.queue("anna", "bert", "cyd")
    for _ in range(3):
        await asyncio.sleep(0)
    server.pool.give_back(held)
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert (sorted(server.served), len(server.lines)) == (["anna", "bert", "cyd"], 1)
    server.room = 3
    held = await server.pool.take()
    assert await server.pool.take() is not held
    assert server.pool.connections == (2, 0, 3)


async def test_a_connection_that_is_given_back_while_another_is_refused_is_waited_for_in_vain() -> None:
    server = Server(2)
    held = await server.pool.take()
    server.room = 1
    server.refusing = lambda: server.pool.give_back(held)
    assert await asyncio.wait_for(server.pool.take(), 10) is held
    assert server.pool.connections == (1, 0, 2)


@pytest.mark.parametrize("held", [0, 1])
async def test_who_waits_in_vain_is_not_told_that_the_server_has_no_room(held: int) -> None:
    server = Server(3)
    server.room = held
    lent = [await server.pool.take() for _ in range(held)]
    server.wait_no_longer()
    for _ in range(4):
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await server.pool.take()
    server.room, server.pool._patience = 3, 5.0
    assert await server.pool.take() not in lent


async def test_a_server_to_which_nobody_can_wait_for_a_connection_is_away_for_ever() -> None:
    """It is far away: with TLS and a password, a connection takes some seven round trips."""
    server = Server(2, patience=0.05)
    server.near.clear()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await server.pool.take()
    server.near.set()
    await until(lambda: server.pool.connections == (0, 1, 2), within=10)
    assert cast("Any", await server.pool.take()) is server.lines[0]
    assert len(server.lines) == 1


@pytest.mark.parametrize("ends", ["opened", "refused"])
async def test_a_connection_that_nobody_waited_for_keeps_the_turn_it_came_by(ends: str) -> None:
    server = Server(1, patience=0.05)
    server.near.clear()
    with pytest.raises(TimeoutError):
        await server.pool.take()
    server.away, server.pool._patience = ends == "refused", 5.0
    waiting = asyncio.create_task(server.pool.take())
    await asyncio.sleep(0)
    assert server.pool.connections == (0, 0, 1)
    server.near.set()
    if server.away:
        # whoever waited for the turn is refused, too
        with pytest.raises(ConnectionRefusedError):
            await waiting
        server.away = False
        waiting = asyncio.create_task(server.pool.take())
    server.pool.give_back(await waiting)
    assert server.pool.connections == (0, 1, 1)


async def test_the_end_waits_for_a_connection_that_nobody_waits_for() -> None:
    server = Server(1, patience=0.05)
    server.near.clear()
    with pytest.raises(TimeoutError):
        await server.pool.take()
    await server.pool.close()
    server.near.set()
    await asyncio.sleep(0)
    assert server.lines == []


async def test_each_connection_that_a_firewall_has_forgotten_keeps_a_call_waiting_in_vain(dsn: str) -> None:
    """Nothing shows that no data comes through it any more, as when the server has lost its power."""
    async with relayed(dsn) as (through, relay), as_it_is(through, 3, SETTINGS) as database:
        async with database.connection(), database.connection(), database.connection():
            pass
        assert database.connections == (0, 3, 3)
        relay.fall_silent()
        relay.let_in()
        with pytest.raises(StoreError, match="did not answer in time"):
            async with database.connection() as connection:
                await connection.fetchval("SELECT 1", timeout=0.05)
        # a connection that was used later may still be good
        assert database.connections == (0, 0, 3)
        assert await database.value("SELECT 1") == 1


async def test_a_server_that_is_slow_is_taken_for_one_that_is_silent(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One statement too many, or one that waits for a lock, would cost every idle connection."""
    monkeypatch.setattr(databases, "COMMAND_SECONDS", 4.0)
    async with as_it_is(dsn, 3, SETTINGS) as database:
        async with database.connection(), database.connection(), database.connection():
            pass
        with pytest.raises(StoreError, match="did not answer in time"):
            await database.rows("SELECT pg_sleep(60)")
        assert database.connections == (0, 3, 3)


async def test_a_closed_connection_is_given_to_the_next() -> None:
    server = Server(2)
    first, second = await server.pool.take(), await server.pool.take()
    first.terminate()
    server.pool.give_back(first)
    server.pool.give_back(second)
    # the server restarts
    second.terminate()
    assert server.pool.connections == (0, 0, 2)
    third = await server.pool.take()
    assert (third.is_closed(), server.pool.connections) == (False, (1, 0, 2))


async def test_connections_that_nobody_needs_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(pools, "_CLOSE_IDLE_EVERY_SECONDS", 0.01)
    server = Server(3)
    await server.pool.begin()
    taken = [await server.pool.take() for _ in range(3)]
    for each in taken[:2]:
        server.pool.give_back(each)
    await until(lambda: server.pool.connections == (1, 1, 3), within=10)
    assert [each.is_closed() for each in taken] == [True, False, False]
    server.pool.give_back(taken[2])
    await server.pool.close()


async def test_a_connection_that_is_always_in_use_lives_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server keeps for it grows."""
    server = Server(1)
    await server.pool.begin()
    old = await server.pool.take()
    server.pool.give_back(old)
    assert await server.pool.take() is old
    monkeypatch.setattr(pools, "OLDEST_SECONDS", -1.0)
    server.pool.give_back(old)
    assert old.is_closed()
    assert server.pool.connections == (0, 0, 1)
    new = await server.pool.take()
    assert new is not old
    server.pool.give_back(new)
    await server.pool.close()


async def test_the_end_cuts_off_who_is_about_to_give_back_or_lets_others_in() -> None:
    server = Server(2)
    held = await server.pool.take()
    ending = asyncio.create_task(server.pool.close())
    await asyncio.sleep(0)
    with pytest.raises(asyncpg.InterfaceError):
        await server.pool.take()
    assert not held.is_closed()
    server.pool.give_back(held)
    await ending
    assert [each.closed for each in server.lines] == [True]


async def test_the_end_waits_for_whoever_gives_nothing_back_or_leaves_connections_open() -> None:
    server = Server(2)
    held, other = await server.pool.take(), await server.pool.take()
    server.wait_no_longer()
    server.pool.give_back(other)
    await server.pool.close()
    assert held.is_closed()
    assert other.is_closed()
    server.pool.give_back(held)


@pytest.mark.parametrize("how", ["cancelled", "late"])
async def test_an_answer_that_nobody_waits_for_any_more_is_the_next_ones(one: Database, how: str) -> None:
    before = await pid(one)

    async def ask() -> None:
        async with one.connection() as connection:
            await connection.fetchval("SELECT pg_sleep(5)", timeout=0.1 if how == "late" else None)

    asking = asyncio.create_task(ask())
    if how == "cancelled":
        await until(lambda: one.connections == (1, 0, 1), within=10)
        asking.cancel()
    with pytest.raises((asyncio.CancelledError, StoreError)):
        await asking
    assert one.connections == (0, 0, 1)
    assert await pid(one) != before


@pytest.mark.parametrize("error", [ValueError, None])
async def test_a_transaction_that_was_left_open_is_gone_on_with_or_costs_a_connection(
    one: Database, error: type[Exception] | None
) -> None:
    before = await pid(one)
    with contextlib.suppress(ValueError):
        async with one.connection() as connection:
            await connection.execute("BEGIN; CREATE TABLE left_open ()")
            if error is not None:
                raise error
    async with one.connection() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("SELECT to_regclass('left_open') IS NULL")
    assert await pid(one) == before


async def test_a_transaction_that_never_began_is_gone_on_with(one: Database) -> None:
    with contextlib.suppress(ValueError):
        async with one.connection() as connection:
            # as asyncpg leaves it when BEGIN was refused
            cast("Any", connection)._top_xact = connection.transaction()
            raise ValueError
    async with one.transaction() as connection:
        assert connection.is_in_transaction()


async def test_a_refused_row_costs_a_connection(one: Database) -> None:
    before = await pid(one)
    with pytest.raises(StoreError):
        async with one.connection() as connection:
            await connection.execute("SELECT 1 / 0")
    assert await pid(one) == before


async def test_a_full_pool_is_no_failure_of_the_database(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "COMMAND_SECONDS", 0.05)
    async with as_it_is(dsn, 1, SETTINGS) as database, database.connection():
        with pytest.raises(StoreError, match="did not answer in time"):
            await database.rows("SELECT 1")


#: As many statements as a service's connection has prepared after some minutes.
STATEMENTS = 20


@contextlib.asynccontextmanager
async def far_away(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Database, Relay]]:
    """A database that is asked over one connection, whose plans are at once too old."""
    monkeypatch.setattr(databases, "PLAN_SECONDS", 0.01)
    async with relayed(dsn) as (through, relay), as_it_is(through, 1, SETTINGS) as database:
        async with database.connection() as connection:
            for each in range(STATEMENTS):
                await connection.fetchval(f"SELECT 'old', {each}")
        old_at = asyncio.get_running_loop().time() + databases.PLAN_SECONDS
        await until(lambda: asyncio.get_running_loop().time() > old_at, within=10)
        yield database, relay


async def test_whoever_asks_after_a_pause_waits_a_round_trip_for_each_old_plan(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 30 ms each that was half a second before a gate's answer."""
    async with far_away(dsn, monkeypatch) as (database, relay):

        async def are_closed() -> bool:
            before = relay.questions
            async with database.connection() as connection:
                # a new one each time
                count = f"SELECT count(*) - {before} FROM pg_prepared_statements WHERE statement LIKE 'SELECT ''old''%'"  # noqa: S608
                there = before + await connection.fetchval(count)
            # to prepare it, to close those that are too old, and to run it
            assert relay.questions - before <= 3
            return not there

        # or what the server keeps for them grows
        await until(are_closed, within=10)


async def test_a_call_waits_for_ever_if_the_server_falls_silent_as_old_plans_are_closed(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "COMMAND_SECONDS", 0.5)
    async with far_away(dsn, monkeypatch) as (database, relay):
        relay.answered = relay.questions + 1
        async with asyncio.timeout(10):
            with pytest.raises(StoreError, match="did not answer in time"):
                async with database.connection() as connection:
                    await connection.fetchval("SELECT 'new'")
