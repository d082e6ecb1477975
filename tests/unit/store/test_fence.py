"""Which of two services may drive an Asterisk, when the connection that holds the lock is lost."""

import asyncio
from hashlib import sha256
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from ccari.errors import UnsuitableError
from ccari.store import fence
from ccari.store.database import COMMAND_SECONDS
from ccari.store.fence import PostgresFence
from tests.lab.waiting import until
from tests.unit.store.relayed import relayed
from tests.unit.store.server import connected, execute

WITHIN = 30.0
_HOLDERS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'ccari fence' AND datname = current_database()"
)

_WAITING = """SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'
AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""


async def cut_off(dsn: str) -> None:
    """The server ends every connection that holds a lock."""
    await execute(
        dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'ccari fence' AND datname = current_database()",
    )


async def holders(dsn: str) -> set[int]:
    async with connected(dsn) as connection:
        return {row["pid"] for row in await connection.fetch(_HOLDERS)}


async def test_two_databases_have_one_name_or_one_has_two(dsn: str, empty: str) -> None:
    """A service with another database is told by its name; after a restart it would not be let in to its own calls."""
    names: list[str] = []
    for each in (dsn, dsn, empty):
        fence = PostgresFence(each)
        async with fence.hold("one asterisk", f"calls of {len(names)}"):
            names.append(fence.database)
        assert fence.database == ""
    assert names[0] == names[1] != names[2]
    assert all(name and " " not in name for name in names)


async def test_a_restart_of_the_database_leaves_an_asterisk_to_two_services(dsn: str) -> None:
    fence = PostgresFence(dsn)
    async with fence.hold("one asterisk", "calls of one asterisk") as by_another:
        before = await holders(dsn)
        await cut_off(dsn)

        async def again() -> bool:
            return bool(await holders(dsn) - before)

        await until(again, within=WITHIN)
        # it is connected before it has the lock
        await until(lambda: fence.is_held, within=WITHIN)
        with pytest.raises(UnsuitableError, match="another ccari controls this Asterisk"):
            async with PostgresFence(dsn).hold("one asterisk", "calls of one asterisk"):
                pytest.fail("two hold it")
        assert not by_another.is_set()
        assert fence.is_held
    assert not fence.is_held
    async with PostgresFence(dsn).hold("one asterisk", "calls of one asterisk"):
        pass


async def test_who_has_lost_it_to_another_goes_on(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccari.store.fence.REGAIN_SECONDS", 0.5)
    # the other one is faster
    monkeypatch.setattr("ccari.store.fence._CONNECT_AGAIN_SECONDS", 0.1)
    fence = PostgresFence(dsn)
    async with fence.hold("another asterisk", "calls of another asterisk") as by_another:
        assert fence.is_held
        async with connected(dsn) as connection:
            waiting = asyncio.create_task(_take(connection, "another asterisk"))
            await until(lambda: _is_waited_for(dsn), within=WITHIN)
            await cut_off(dsn)
            async with asyncio.timeout(WITHIN):
                await waiting
                await by_another.wait()
            # operators are not told that it holds what it has lost
            assert not fence.is_held


async def _is_waited_for(dsn: str) -> bool:
    async with connected(dsn) as connection:
        return bool(await connection.fetchval(_WAITING))


async def _take(connection: asyncpg.Connection, name: str) -> None:
    """Queue for the lock, and have it the moment that it is free."""
    key = int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)
    await connection.execute("SELECT pg_advisory_lock($1)", key)


async def test_a_server_that_is_gone_without_a_word_leaves_an_asterisk_to_two_services(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address is another's now, for example: nobody closes the connection, and the lock is free."""
    monkeypatch.setattr("ccari.store.fence._ASK_SERVER_EVERY_SECONDS", 0.05)
    monkeypatch.setattr("ccari.store.fence._ANSWER_SECONDS", 2.0)
    monkeypatch.setattr("ccari.store.fence.REGAIN_SECONDS", 0.5)
    async with relayed(dsn) as (through, relay):
        fence = PostgresFence(through)
        async with fence.hold("a silent one's", "calls of a silent one's") as by_another:
            relay.fall_silent()
            await cut_off(dsn)
            async with PostgresFence(dsn).hold("a silent one's", "calls of a silent one's"):
                relay.let_in()
                async with asyncio.timeout(WITHIN):
                    await by_another.wait()
                assert not fence.is_held


async def test_a_server_that_is_gone_without_a_word_is_waited_for_when_it_is_back(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.store.fence._ASK_SERVER_EVERY_SECONDS", 0.05)
    monkeypatch.setattr("ccari.store.fence._ANSWER_SECONDS", 2.0)
    async with relayed(dsn) as (through, relay):
        fence = PostgresFence(through)
        with capture_logs() as logged:
            async with fence.hold("one that is back", "calls of one that is back") as by_another:
                before = await holders(dsn)
                relay.fall_silent()
                await cut_off(dsn)
                relay.let_in()
                await until(lambda: any(line["event"] == "lock_regained" for line in logged), within=WITHIN)
                again = await holders(dsn) - before
                # and the same connection is asked again
                relay.asked.clear()
                async with asyncio.timeout(WITHIN):
                    await relay.asked.wait()
                assert fence.is_held
                assert not by_another.is_set()
                assert await holders(dsn) == again
    assert [line["event"] for line in logged] == ["database_away", "lock_regained"]


async def test_one_slow_answer_costs_a_service_its_asterisk(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that a call would not wait for."""
    assert fence._ANSWER_SECONDS > 2 * COMMAND_SECONDS
    monkeypatch.setattr("ccari.store.fence._ASK_SERVER_EVERY_SECONDS", 0.05)
    async with relayed(dsn) as (through, relay):
        holder = PostgresFence(through)
        with capture_logs() as logged:
            async with holder.hold("a slow one's", "calls of a slow one's"):
                before = await holders(dsn)
                relay.hold_up()
                async with asyncio.timeout(WITHIN):
                    await relay.withheld.wait()
                    relay.asked.clear()
                    relay.go_on()
                    # it was answered: the next one comes
                    await relay.asked.wait()
                assert holder.is_held
                assert await holders(dsn) == before
    assert logged == []


async def test_something_unforeseen_ends_the_hold_on_an_asterisk(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would take the lock again, or learn that another has."""
    monkeypatch.setattr("ccari.store.fence._CONNECT_AGAIN_SECONDS", 0.05)
    take, faults = fence._lock, [RuntimeError("unforeseen")]

    async def stumble(*how: Any) -> str | None:
        if faults:
            raise faults.pop()
        return await take(*how)

    async with PostgresFence(dsn).hold("a third asterisk", "calls of a third asterisk"):
        before = await holders(dsn)
        monkeypatch.setattr(fence, "_lock", stumble)
        with capture_logs() as logged:
            await cut_off(dsn)
            await until(lambda: any(line["event"] == "lock_regained" for line in logged), within=WITHIN)
        assert await holders(dsn) - before
    assert "lock_not_regained" in [line["event"] for line in logged]


async def test_two_asterisks_that_go_by_one_name_end_each_others_calls(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entity ID of zeros, which Asterisk has if it finds no MAC address, at 127.0.0.1: on each node of the fleet."""
    alike = "00:00:00:00:00:00@127.0.0.1:8088"
    here, there = PostgresFence(dsn), PostgresFence(dsn)
    async with here.hold("run 1", alike):
        with monkeypatch.context() as patch:
            patch.setattr("ccari.store.fence.PATIENCE_SECONDS", 0.2)
            with pytest.raises(
                UnsuitableError, match=f"also files the calls of its Asterisk as {alike}: give each a"
            ):
                async with there.hold("run 2", alike):
                    pytest.fail("two hold it")
        async with there.hold("run 2", "pbx-2"):
            assert here.is_held
            assert there.is_held
    async with there.hold("run 2", alike):
        pass
