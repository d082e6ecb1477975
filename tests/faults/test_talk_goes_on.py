"""A talk goes on when the service that ran it dies or loses Asterisk; the next to connect takes it up."""

import contextlib
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest

from tests.integration.ground import GONE_SECONDS, Ground, kept_later
from tests.integration.relay import relay
from tests.integration.service import Service
from tests.integration.test_two_channels import assert_apart
from tests.lab import audio, callees
from tests.lab.audio import PRESENT_DBFS
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Time to take up a talk once the service is back: a few hundred milliseconds on an idle machine.
RESUME_SECONDS = 30.0

Break = Callable[[Ground], contextlib.AbstractAsyncContextManager["Broken"]]


class Broken:
    """A service that a test breaks, and how it comes back. ``service``: the one that runs now."""

    def __init__(self, service: Service, breaks: Callable[[], Awaitable[Service]]) -> None:
        self.service = service
        self._breaks = breaks

    async def breaks(self) -> None:
        """Break, and wait until the next to connect has taken stock."""
        self.service = await self._breaks()


@contextlib.asynccontextmanager
async def killed(ground: Ground) -> AsyncIterator[Broken]:
    """SIGKILL; the next one is started."""
    async with contextlib.AsyncExitStack() as running:

        async def breaks() -> Service:
            await first.stop(signal.SIGKILL)
            return await running.enter_async_context(ground.running())

        first = await running.enter_async_context(ground.running())
        yield Broken(first, breaks)


@contextlib.asynccontextmanager
async def cut(ground: Ground) -> AsyncIterator[Broken]:
    """The WebSocket is reset, and Asterisk cannot be reached for a while."""
    async with (
        relay(ground.lab.pbx.ari_url) as between,
        ground.running(ari=between.url) as service,
    ):

        async def breaks() -> Service:
            between.away = True
            between.cut()
            await service.logged("asterisk_away")
            between.away = False
            return service

        yield Broken(service, breaks)


each_way = pytest.mark.parametrize("broken", [killed, cut], ids=["killed", "cut-off"])


def at(shown: Mapping[str, Any], event: str, nth: int = 0) -> datetime:
    times = [datetime.fromisoformat(each["at"]) for each in shown["events"] if each["event"] == event]
    return times[nth]


def events(shown: Mapping[str, Any]) -> list[str]:
    return [each["event"] for each in shown["events"]]


async def resumed(service: Service, call_id: str) -> None:
    told = await service.logged("talk_resumed", call_id=call_id, within=RESUME_SECONDS)
    assert told["recorded"] == "yes"


@each_way
async def test_a_talk_is_cut_off_or_loses_a_part_of_its_recording(ground: Ground, broken: Break) -> None:
    callee = callees.answers(30)
    async with broken(ground) as what:
        placed, call_id = await ground.talk(what.service, callee)
        await ground.recorded_a_while()
        await what.breaks()
        await resumed(what.service, call_id)
        await ground.recorded_a_while(more=16_000)
        await ground.lab.world.hang_up(placed)
        outcome, _ = await ground.ended(what.service, placed)
        assert (outcome.outcome, outcome.reason) == ("bridged", "")
        shown = await kept_later(what.service, call_id)
        assert (shown["outcome"], shown["fault"]) == ("bridged", None)
        assert {"call_bridged", "talk_resumed", "recording_stored", "call_ended"} <= set(events(shown))
        (row,) = shown["recordings"]
        # there was no gap: the callee heard the agent throughout, and all of it is in the file
        heard = audio.read(await ground.lab.world.heard_by(callee.number))
        tones = np.flatnonzero(heard.tone_levels(callees.AGENT_TONE_HZ) > PRESENT_DBFS)
        assert len(tones) >= 0.95 * (tones[-1] - tones[0])
        talked = (tones[-1] - tones[0]) * audio.WINDOW_SECONDS
        assert row["duration_ms"] / 1000 == pytest.approx(talked, abs=0.4)
        await ground.nothing_left()
    assert ground.raw(shown) == []


@each_way
async def test_a_key_is_not_heard_any_more(ground: Ground, broken: Break) -> None:
    """Case 9: the callee's number is known again, so the request is registered, and the callee hears the confirmation."""
    callee = callees.answers(31)
    async with broken(ground) as what:
        placed, call_id = await ground.talk(what.service, callee)
        await what.breaks()
        await resumed(what.service, call_id)
        await ground.lab.world.callee_presses(callee.number, "8")
        told = await what.service.logged("right_registered", call_id=call_id)
        assert told["right"] == "access"
        requests = await what.service.json("requests", "list", "--limit", "1000")
        assert [each["right"] for each in requests if each["call_id"] == call_id] == ["access"]
        await ground.lab.world.hang_up(placed)
        await kept_later(what.service, call_id)


@each_way
async def test_invariant_6_a_refusal_after_it_does_not_stop_the_recorder(
    ground: Ground, broken: Break
) -> None:
    callee = callees.answers(32)
    async with broken(ground) as what:
        placed, call_id = await ground.talk(what.service, callee)
        await ground.recorded_a_while()
        await what.breaks()
        await resumed(what.service, call_id)
        before = _told_that_it_stopped(ground)
        await ground.lab.world.callee_presses(callee.number, "2")
        await what.service.logged("right_registered", call_id=call_id)
        # by then the dialplan's channel has the reason
        await until(lambda: _told_that_it_stopped(ground) > before, within=GONE_SECONDS)
        await ground.lab.world.hang_up(placed)
        outcome, _ = await ground.ended(what.service, placed)
        assert (outcome.outcome, outcome.reason) == ("bridged", "recording_refused")
        shown = await kept_later(what.service, call_id)
        (row,) = shown["recordings"]
        said_before = (at(shown, "key_pressed") - datetime.fromisoformat(row["started_at"])).total_seconds()
        assert 0 < row["duration_ms"] / 1000 < said_before + 0.2


def _told_that_it_stopped(ground: Ground) -> int:
    """How many callees were told."""
    return len(re.findall(r"Playing '\S*/recording_stopped\.", ground.lab.pbx.log.read_text()))


@each_way
async def test_a_pause_ends_or_an_agents_code_is_not_heard_any_more(ground: Ground, broken: Break) -> None:
    """Card numbers are read out in the pause: the service that takes the talk up may not resume the recording by
    itself.
    """
    async with broken(ground) as what:
        placed, call_id = await ground.talk(what.service, callees.answers(33))
        await ground.recorded_a_while()
        await ground.lab.world.press(placed, "*1")
        await until(lambda: is_known(what.service, call_id, "agent_code_entered"), within=GONE_SECONDS)
        await what.breaks()
        told = await what.service.logged("talk_resumed", call_id=call_id, within=RESUME_SECONDS)
        assert told["recorded"] == "no"
        await ground.lab.world.press(placed, "*2")
        await what.service.logged(
            lambda line: line["event"] == "recording_started" and line["at"] > told["at"],
            within=RESUME_SECONDS,
        )
        # Asterisk writes a recording several seconds at a time
        newest = (await what.service.json("calls", "show", call_id))["recordings"][-1]
        raw = ground.lab.pbx.spool / f"{newest['id']}.wav"
        await until(lambda: raw.exists() and raw.stat().st_size > 8000, within=GONE_SECONDS)
        await ground.lab.world.hang_up(placed)
        await ground.ended(what.service, placed)
        await until(lambda: recordings(what.service, call_id, 2), within=GONE_SECONDS)
        await ground.nothing_left()


async def is_known(service: Service, call_id: str, event: str) -> bool:
    """Whether the event is durable."""
    return event in events(await service.call(call_id))


async def recordings(service: Service, call_id: str, stored: int) -> bool:
    """Whether that many are stored, and none is running."""
    rows = (await service.call(call_id))["recordings"]
    return [each["state"] for each in rows].count("stored") == stored


async def test_a_talk_that_ended_unwatched_stays_open(ground: Ground) -> None:
    async with killed(ground) as what:
        placed, call_id = await ground.talk(what.service, callees.answers(34))
        await ground.recorded_a_while()
        await what.service.stop(signal.SIGKILL)
        await ground.lab.world.hang_up(placed)
        await what.breaks()
        shown = await kept_later(what.service, call_id)
        assert (shown["outcome"], shown["reason"]) == ("bridged", "service_died")
        await ground.nothing_left()


async def test_an_agent_whose_callee_hung_up_unwatched_is_given_back_as_if_nobody_had_talked(
    ground: Ground,
) -> None:
    """The dialplan might connect them once more, or pass a caller to its own fallback."""
    async with killed(ground) as what:
        placed, call_id = await ground.talk(what.service, callees.answers(36))
        await ground.recorded_a_while()
        await what.service.stop(signal.SIGKILL)
        channel = f"{ground.lab.pbx.ari_url}/ari/channels/ccari-{call_id}-callee"
        async with ground.asterisk() as session, session.delete(channel) as reply:
            assert reply.status == HTTPStatus.NO_CONTENT
        await what.breaks()
        outcome, shown = await ground.ended(what.service, placed)
        assert (outcome.outcome, outcome.reason, outcome.call) == ("bridged", "", call_id)
        assert shown["outcome"] == "bridged"
        await kept_later(what.service, call_id)
        await ground.nothing_left()


async def test_a_side_is_lost_when_the_talk_is_taken_up_twice(ground: Ground) -> None:
    async with ground.running(channels="stereo") as first:
        placed, call_id = await ground.talk(first, callees.answers(35))
        await ground.recorded_a_while()
        await first.stop(signal.SIGKILL)
    async with ground.running() as second:
        await resumed(second, call_id)
        await second.stop(signal.SIGKILL)
    async with ground.running() as third:
        await resumed(third, call_id)
        await ground.recorded_a_while(more=16_000)
        await ground.lab.world.hang_up(placed)
        shown = await kept_later(third, call_id)
        assert_apart(third, shown, least_seconds=2.0)
        await ground.nothing_left()
    assert ground.raw(shown) == []
