"""The link to Asterisk is cut at a key, or a key is pressed while it is down: what was heard is kept, and nothing else is confirmed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from ccari.calls.transport import REQUEST_SECONDS
from ccari.store.database import SCHEMA
from tests.faults.moments import Moment, request
from tests.faults.world import heard
from tests.integration.ground import Ground, kept_later
from tests.integration.relay import Message, Relay, relay
from tests.integration.service import Service
from tests.integration.studio import CONFIRMED
from tests.lab import AgentCall, Callee, callees
from tests.lab.audio import has
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

RESUME_SECONDS = 30.0
#: Time for Asterisk, or PostgreSQL, to react on a busy machine.
FELT_SECONDS = 30.0
#: The key of access, in the campaign with the shortest notice.
KEY = "8"
#: How much of the talk is recorded meanwhile: longer than any reply takes, and shorter than the time after which the
#: link is given up.
HELD_UP_BYTES = 7 * 16_000


@contextlib.asynccontextmanager
async def talking(ground: Ground, callee: Callee) -> AsyncIterator[tuple[Relay, Service, AgentCall, str]]:
    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        yield between, service, *await ground.talk(service, callee)


async def cut(between: Relay, service: Service) -> None:
    """Reset the connection; refuse new ones until ``between.away`` is unset."""
    between.away = True
    between.cut()
    await service.logged("asterisk_away")


async def taken_up(between: Relay, service: Service, call_id: str) -> None:
    between.away = False
    await service.logged("talk_resumed", call_id=call_id, within=RESUME_SECONDS)


@contextlib.asynccontextmanager
async def held_up(ground: Ground, call_id: str) -> AsyncIterator[asyncpg.Connection]:
    """Lock the call's row, so that a right that is pressed in it cannot be registered yet; gives a connection to check on it."""
    holds = await asyncpg.connect(ground.url, server_settings={"search_path": SCHEMA})
    asks = await asyncpg.connect(ground.url)
    try:
        async with holds.transaction():
            assert await holds.fetchval("SELECT id FROM calls WHERE id = $1 FOR UPDATE", UUID(call_id))
            yield asks
    finally:
        await holds.close()
        await asks.close()


async def answered(between: Relay, service: Service, call_id: str, since: int) -> None:
    """Wait until the right is registered, and the first words of its confirmation were played whole, ``since`` this
    event.
    """
    await service.logged("right_registered", call_id=call_id)
    await until(
        lambda: any(
            each["type"] == "PlaybackFinished" and call_id in each["playback"]["target_uri"]
            for each in between.events[since:]
        ),
        within=FELT_SECONDS,
    )


async def rights(service: Service, call_id: str) -> list[str]:
    requests = await service.json("requests", "list", "--limit", "1000")
    return [each["right"] for each in requests if each["call_id"] == call_id]


async def over(ground: Ground, service: Service, placed: AgentCall, call_id: str) -> dict[str, Any]:
    await ground.lab.world.hang_up(placed)
    await ground.ended(service, placed)
    shown = await kept_later(service, call_id)
    assert shown["fault"] is None
    await ground.nothing_left()
    return shown


async def test_invariant_5_a_right_that_is_being_registered_is_lost_or_doubled_by_a_cut(
    ground: Ground,
) -> None:
    """Case 9: heard just before the cut, and not yet on record when the link is down."""
    callee = callees.answers(51)
    async with talking(ground, callee) as (between, service, placed, call_id):
        async with held_up(ground, call_id) as asks:
            await ground.lab.world.callee_presses(callee.number, KEY)

            async def waits() -> bool:
                return bool(await asks.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await until(waits, within=FELT_SECONDS)
            await cut(between, service)
            assert await rights(service, call_id) == []
        await service.logged("right_registered", call_id=call_id)
        before = len(between.events)
        await taken_up(between, service, call_id)
        await answered(between, service, call_id, before)
        shown = await over(ground, service, placed, call_id)
        assert await rights(service, call_id) == ["access"]
    told = [each["event"] for each in shown["events"]]
    assert (told.count("key_pressed"), told.count("right_registered")) == (1, 1)
    assert has(await heard(ground.lab, callee), CONFIRMED)


async def test_invariant_5_a_key_that_is_pressed_while_nobody_is_connected_is_confirmed_or_deafens_for_the_next(
    ground: Ground,
) -> None:
    """Case 9: Asterisk reports it to nobody, then or later. It is not confirmed, and can be pressed again."""
    callee = callees.answers(52)
    log = ground.lab.pbx.log
    async with talking(ground, callee) as (between, service, placed, call_id):
        await cut(between, service)
        arrived = f"DTMF end '{KEY}' received"
        before = log.read_text("utf-8", "replace").count(arrived)
        await ground.lab.world.callee_presses(callee.number, KEY)
        await until(lambda: log.read_text("utf-8", "replace").count(arrived) > before, within=FELT_SECONDS)
        await taken_up(between, service, call_id)
        assert await rights(service, call_id) == []
        before = len(between.events)
        await ground.lab.world.callee_presses(callee.number, KEY)
        await answered(between, service, call_id, before)
        shown = await over(ground, service, placed, call_id)
        assert await rights(service, call_id) == ["access"]
    assert [each["event"] for each in shown["events"]].count("key_pressed") == 1
    told = [each["event"] for each in shown["events"]]
    assert told.index("talk_resumed") < told.index("key_pressed") < told.index("right_registered")
    assert has(await heard(ground.lab, callee), CONFIRMED)


async def test_invariant_5_a_key_that_is_pressed_before_stock_is_taken_is_lost(ground: Ground) -> None:
    """Case 9: the link is back, and nobody runs the talk yet."""
    callee = callees.answers(53)
    async with talking(ground, callee) as (between, service, placed, call_id):
        await cut(between, service)
        moment = Moment(between, request("bridges"))
        between.away = False
        await moment.reached()
        await ground.lab.world.callee_presses(callee.number, KEY)
        await until(lambda: _keys(between) == [KEY], within=FELT_SECONDS)
        assert service.of_call(call_id).count("key_pressed") == 0
        before = len(between.events)
        moment.go_on()
        await answered(between, service, call_id, before)
        events = service.of_call(call_id)
        assert events.index("talk_resumed") < events.index("key_pressed")
        await over(ground, service, placed, call_id)
        assert await rights(service, call_id) == ["access"]
    assert has(await heard(ground.lab, callee), CONFIRMED)


def _keys(between: Relay) -> list[str]:
    return [each["digit"] for each in between.events if each["type"] == "ChannelDtmfReceived"]


async def test_invariant_6_what_is_said_after_a_refusal_is_kept_where_the_network_held_the_key_up(
    ground: Ground,
) -> None:
    """Packets are delayed for a while, and then arrive. Meanwhile the callee goes on talking."""
    callee, comes = callees.answers(45), asyncio.Event()

    async def held(message: Message) -> list[Message]:
        await comes.wait()
        return [message]

    async with talking(ground, callee) as (between, service, placed, call_id):
        await ground.recorded_a_while()
        between.on_reply = held
        await ground.lab.world.callee_presses(callee.number, "2")
        await ground.recorded_a_while(more=HELD_UP_BYTES)
        comes.set()
        pressed = await service.logged("key_pressed", call_id=call_id)
        await service.logged("right_registered", call_id=call_id)
        await ground.lab.world.hang_up(placed)
        (row,) = (await kept_later(service, call_id))["recordings"]
    until_read = datetime.fromisoformat(pressed["at"]) - datetime.fromisoformat(row["started_at"])
    assert until_read - timedelta(milliseconds=row["duration_ms"]) > timedelta(seconds=REQUEST_SECONDS)
