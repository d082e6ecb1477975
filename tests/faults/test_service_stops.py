"""A service that is told to stop lets talks finish, up to a limit, and begins no new calls."""

import asyncio
import contextlib
import os
import signal

import pytest

from tests.integration.ground import Ground, kept_later
from tests.integration.relay import relay
from tests.integration.service import Service
from tests.lab import AgentCall, Callee, callees

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXIT_SECONDS = 60.0


def told_to_stop(service: Service) -> None:
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)


async def over(service: Service) -> int:
    assert service.process is not None
    async with asyncio.timeout(EXIT_SECONDS):
        return await service.process.wait()


async def goes_on_to_its_end(
    ground: Ground, service: Service, callee: Callee, placed: AgentCall, call_id: str
) -> None:
    """Both parties of a talk are still heard, and may press any key; the service ends when they have finished."""
    await ground.lab.world.callee_presses(callee.number, "8")
    await service.logged("right_registered", call_id=call_id)
    await ground.lab.world.hang_up(placed)
    assert await over(service) == 0
    shown = await kept_later(service, call_id)
    assert (shown["outcome"], shown["reason"]) == ("bridged", "access")


async def told_until_over(service: Service) -> int:
    """Send SIGTERM again and again, until the interpreter's very end."""
    assert service.process is not None
    ending = asyncio.create_task(over(service))
    while not ending.done():
        # not by the process's own method, which may consume the exit status that another waits for
        with contextlib.suppress(ProcessLookupError):
            os.kill(service.process.pid, signal.SIGTERM)
        await asyncio.wait([ending], timeout=0.001)
    return ending.result()


async def test_a_talk_is_cut_off_by_an_update_or_a_new_call_is_begun_meanwhile(ground: Ground) -> None:
    callee, refused = callees.answers(40), callees.answers(41)
    async with ground.running(drain="60") as service:
        placed, call_id = await ground.talk(service, callee)
        told_to_stop(service)
        await service.logged("waiting_for_talks")
        outcome, _ = await ground.ended(service, await ground.dial(refused))
        assert (outcome.outcome, outcome.reason) == ("unavailable", "shutdown")
        await goes_on_to_its_end(ground, service, callee, placed, call_id)
    assert await ground.lab.world.invites(refused.number) == 0


async def test_a_talk_without_end_keeps_the_service_from_stopping(ground: Ground) -> None:
    async with ground.running(drain="1") as service:
        placed, call_id = await ground.talk(service, callees.answers(42))
        told_to_stop(service)
        assert await over(service) == 0
        outcome, shown = await ground.ended(service, placed)
        assert (outcome.outcome, outcome.reason) == ("bridged", "shutdown")
        assert (shown["id"], shown["outcome"]) == (call_id, "bridged")


async def test_whoever_is_in_a_hurry_waits_for_the_talks(ground: Ground) -> None:
    async with ground.running(drain="600") as service:
        placed, _ = await ground.talk(service, callees.answers(43))
        told_to_stop(service)
        await service.logged("waiting_for_talks")
        told_to_stop(service)
        assert await over(service) == 0
        outcome, _ = await ground.ended(service, placed)
        assert (outcome.outcome, outcome.reason) == ("bridged", "shutdown")


async def test_whoever_tells_it_once_more_cuts_off_what_is_being_closed(ground: Ground) -> None:
    async with ground.running() as service:
        told_to_stop(service)
        async with asyncio.timeout(EXIT_SECONDS):
            # the remaining clean-up takes a few milliseconds
            while b'"service_stopped"' not in service.log.read_bytes():  # noqa: ASYNC110 - a process's log
                await asyncio.sleep(0)
        assert await told_until_over(service) == 0


async def test_a_lost_connection_lets_a_service_that_stops_leave_its_talks_or_begin_calls(
    ground: Ground,
) -> None:
    """The one talk is left for a moment, and taken up again: its keys are heard, and its end is awaited."""
    callee, refused = callees.answers(44), callees.answers(45)
    async with (
        relay(ground.lab.pbx.ari_url) as between,
        ground.running(ari=between.url, drain="60") as service,
    ):
        placed, call_id = await ground.talk(service, callee)
        told_to_stop(service)
        await service.logged("waiting_for_talks")
        between.cut()
        await service.logged("asterisk_connected", resumed_talks=1)
        outcome, _ = await ground.ended(service, await ground.dial(refused))
        assert (outcome.outcome, outcome.reason) == ("unavailable", "shutdown")
        await goes_on_to_its_end(ground, service, callee, placed, call_id)
    assert await ground.lab.world.invites(refused.number) == 0


async def test_a_service_that_is_told_to_stop_while_its_connection_is_lost_leaves_its_talks(
    ground: Ground,
) -> None:
    callee = callees.answers(46)
    async with (
        relay(ground.lab.pbx.ari_url) as between,
        ground.running(ari=between.url, drain="60") as service,
    ):
        placed, call_id = await ground.talk(service, callee)
        between.away = True
        between.cut()
        await service.logged("asterisk_away")
        told_to_stop(service)
        await service.logged("waiting_for_talks")
        between.away = False
        await service.logged("asterisk_connected", resumed_talks=1)
        await goes_on_to_its_end(ground, service, callee, placed, call_id)
