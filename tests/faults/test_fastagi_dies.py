"""The service dies, or hangs, while a dialplan waits for its verdict: the call is not made, and does not wait for ever."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from ccari.store.database import SCHEMA
from tests.integration.dialplans.pbxs import BOUND_SECONDS
from tests.integration.ground import Ground
from tests.lab import AgentCall, callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKED_SECONDS = 30.0


@pytest_asyncio.fixture(loop_scope="session")
async def connection(ground: Ground) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(ground.url, server_settings={"search_path": SCHEMA})
    yield opened
    await opened.close()


@contextlib.asynccontextmanager
async def in_the_gate(
    ground: Ground, connection: asyncpg.Connection, callee: callees.Callee
) -> AsyncIterator[AgentCall]:
    """A call whose dialplan waits for a verdict while the context lasts."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE")
        placed = await ground.lab.world.dial(callee.number, campaign="brief", context="lab-gated")

        async def waits() -> bool:
            asks = """SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND wait_event_type = 'Lock'"""
            return bool(await connection.fetchval(asks))

        await until(waits, within=ASKED_SECONDS)
        yield placed


async def test_invariant_1_a_verdict_that_never_came_allows_the_call(
    ground: Ground, connection: asyncpg.Connection
) -> None:
    """Case 18: killed in the middle of the script, which Asterisk reports as a success."""
    callee = callees.answers(1)
    async with ground.running(agi=True) as service:
        async with in_the_gate(ground, connection, callee) as placed:
            await service.stop(signal.SIGKILL)
            await placed.ended(within=BOUND_SECONDS)
        told = await ground.lab.pbx.outcome(placed.id)
        assert (told.outcome, told.reason) == ("DENY", "service_away")
    assert await ground.lab.world.invites(callee.number) == 0


async def test_invariant_1_a_verdict_that_came_too_late_allows_the_call_or_holds_it(
    ground: Ground, connection: asyncpg.Connection
) -> None:
    """Case 18: stopped in the middle of the script, and resumed when the dialplan has given up."""
    callee, next_one = callees.answers(2), callees.answers(3)
    async with ground.running(agi=True) as service:
        assert service.process is not None
        async with in_the_gate(ground, connection, callee) as placed:
            os.kill(service.process.pid, signal.SIGSTOP)
        try:
            await placed.ended(within=BOUND_SECONDS)
        finally:
            os.kill(service.process.pid, signal.SIGCONT)
        told = await ground.lab.pbx.outcome(placed.id)
        assert (told.outcome, told.reason) == ("DENY", "service_hung")
        placed = await ground.lab.world.dial(
            next_one.number, campaign="brief", context="lab-gated", agent="drops-1"
        )
        await placed.ended()
        assert (await ground.lab.pbx.outcome(placed.id)).outcome == "ALLOW"
    invites = [await ground.lab.world.invites(each.number) for each in (callee, next_one)]
    assert invites == [0, 1]
