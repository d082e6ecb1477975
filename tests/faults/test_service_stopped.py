"""The service is stopped while calls go on, and resumed much later: nobody waits for it, and it does nothing outdated."""

import asyncio
from datetime import datetime, timedelta

import asyncpg
import pytest

from ccari.calls.events import LATE_SECONDS
from ccari.calls.transport import HEARTBEAT_SECONDS, REQUEST_SECONDS
from tests.faults.moments import Moment, reply
from tests.integration.ground import Ground, callee_hangs_up, kept_later
from tests.integration.relay import relay
from tests.integration.service import START_SECONDS
from tests.lab import callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

TALKS = 50
#: Time for all calls to begin on a busy machine.
TALKING_SECONDS = 120.0
#: Longer than any time-out of ccari, and long enough for Asterisk to disconnect a client that does not read, and for
#: the callers' own timers.
STOPPED_SECONDS = 30.0
FALL_BACK_SECONDS = 12.0
CLOSED_SECONDS = 60.0
#: From a right on the disk, which the next service looks for every few seconds, to its registration.
REGISTERED_SECONDS = 45.0
#: Longer than an event may otherwise be late; the link survives, because Asterisk sends too little to notice.
WAKES_SECONDS = 17.0
assert LATE_SECONDS < WAKES_SECONDS
assert max(REQUEST_SECONDS, 1.5 * HEARTBEAT_SECONDS) < STOPPED_SECONDS


async def test_invariant_1_a_service_that_wakes_dials_for_whoever_is_gone_or_callers_wait_for_it(
    ground: Ground,
) -> None:
    """Case 16: SIGSTOP for thirty seconds with fifty calls."""
    called = [callees.answers(serial) for serial in range(TALKS)]
    late, refused = callees.answers(60), [callees.answers(serial) for serial in range(61, 64)]
    async with (
        relay(ground.lab.pbx.ari_url) as between,
        ground.asks_whether_it_lives(),
        ground.running(ari=between.url, agi=True) as service,
    ):
        talking = [await ground.dial(each) for each in called]
        await until(lambda: service.count("call_bridged") == TALKS, within=TALKING_SECONDS)
        moment = Moment(between, reply("channels/create"))
        leaving = await ground.dial(late)
        await moment.reached()
        with service.stopped():
            woken = asyncio.create_task(asyncio.sleep(STOPPED_SECONDS))
            # when resumed, it must find both at once: that its channel exists, and that nobody wants it any more
            moment.go_on()
            await ground.lab.world.hang_up(leaving)
            for each in talking[: TALKS // 5]:
                await ground.lab.world.hang_up(each)
            for placed in [await ground.dial(each) for each in refused]:
                await placed.ended(within=FALL_BACK_SECONDS)
                outcome = await ground.lab.pbx.outcome(placed.id)
                assert (outcome.outcome, outcome.reason) == ("unavailable", "service_away")
            await woken
        outcome = await ground.lab.pbx.outcome(leaving.id)
        await until(lambda: "call_ended" in service.of_call(outcome.call), within=CLOSED_SECONDS)
        assert await gets_through(ground, callees.answers(64))
        # the talks went on throughout
        assert [each.ended_at for each in talking[TALKS // 5 :]] == [None] * (TALKS - TALKS // 5)
        for each in talking:
            await ground.lab.world.hang_up(each)
        await until(lambda: service.count("call_ended") == TALKS + 2, within=CLOSED_SECONDS)
        await ground.nothing_left()
    assert [await ground.lab.world.invites(each.number) for each in (late, *refused)] == [0] * 4
    assert [await ground.lab.world.invites(each.number) for each in called] == [1] * TALKS


async def test_invariant_6_what_is_said_after_a_refusal_is_kept_where_the_service_stood_still(
    ground: Ground,
) -> None:
    """Pressed while the service was stopped, for longer than an event may otherwise be late. The callee goes on talking
    afterwards.
    """
    world, callee = ground.lab.world, callees.answers(71)
    async with ground.running() as service:
        placed, call_id = await ground.talk(service, callee)
        await ground.recorded_a_while()
        with service.stopped():
            await world.callee_presses(callee.number, "2")
            await asyncio.sleep(WAKES_SECONDS)
        pressed = await service.logged("key_pressed")
        await service.logged("right_registered", call_id=call_id)
        await world.hang_up(placed)
        _, shown = await ground.ended(service, placed)
        shown = await kept_later(service, call_id)
        started, arrived = (
            datetime.fromisoformat(each) for each in (shown["recordings"][0]["started_at"], pressed["at"])
        )
        recorded = timedelta(milliseconds=shown["recordings"][0]["duration_ms"])
        assert arrived - started - recorded > timedelta(seconds=LATE_SECONDS)


async def test_invariant_6_what_is_said_after_a_refusal_is_kept_by_the_service_that_took_over(
    ground: Ground,
) -> None:
    """Asterisk reported it to the stopped service, which registers it when resumed; the other service records
    meanwhile.
    """
    world, callee = ground.lab.world, callees.answers(73)
    connection = await asyncpg.connect(ground.url)
    async with ground.running() as service:
        placed, call_id = await ground.talk(service, callee)
        await ground.recorded_a_while()
        with service.stopped():
            await world.callee_presses(callee.number, "2")
            # as PostgreSQL does when a client's machine no longer answers
            await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await connection.close()
            other = ground.service()
            await other.start()
        try:
            pressed = await service.logged("key_pressed")
            # it may first notice that its database connection is cut: then the right waits on the disk, and the other registers it
            await until(
                lambda: any(each.count("right_registered") for each in (service, other)),
                within=REGISTERED_SECONDS,
            )
            assert service.process is not None
            assert await service.process.wait() == 1
            await ground.recorded_a_while(more=64_000)
            await world.hang_up(placed)
            shown = await kept_later(other, call_id)
        finally:
            assert await other.stop() == 0
    started, read = (
        datetime.fromisoformat(each) for each in (shown["recordings"][0]["started_at"], pressed["at"])
    )
    assert timedelta(milliseconds=shown["recordings"][0]["duration_ms"]) < read - started


async def test_a_recording_that_ended_while_the_service_stood_still_passes_for_one_that_lacks_some_of_the_talk(
    ground: Ground,
) -> None:
    """The callee hangs up, which ends it."""
    callee = callees.answers(72)
    async with ground.running() as service:
        placed, call_id = await ground.talk(service, callee)
        await ground.recorded_a_while()
        with service.stopped():
            await callee_hangs_up(ground.lab.world, callee)
            await asyncio.sleep(WAKES_SECONDS)
        await placed.ended()
        shown = await kept_later(service, call_id)
        assert "recording_short" not in [each["event"] for each in shown["events"]]


async def test_invariant_1_a_service_that_wakes_soon_dials_for_an_agent_who_hung_up(
    ground: Ground,
) -> None:
    """Case 16: resumed before any of its own time-outs, so that only the order of what it finds keeps it from dialling."""
    callee = callees.answers(70)
    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        moment = Moment(between, reply("channels/create"))
        placed = await ground.dial(callee)
        await moment.reached()
        with service.stopped():
            moment.go_on()
            await ground.lab.world.hang_up(placed)
            await until(lambda: any(each["type"] == "StasisEnd" for each in between.events), within=3)
        outcome, shown = await ground.ended(service, placed)
        assert (outcome.outcome, shown["outcome"]) == ("agent_hangup", "agent_hangup")
        await ground.nothing_left()
    assert await ground.lab.world.invites(callee.number) == 0


async def gets_through(ground: Ground, callee: callees.Callee) -> bool:
    """Whether a call gets through, at the latest when the service is connected again."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            placed = await ground.dial(callee, agent="drops-1")
            await placed.ended()
            if (await ground.lab.pbx.outcome(placed.id)).outcome == "bridged":
                return True
