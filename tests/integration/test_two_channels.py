"""Recordings of real calls with the agent on the left and the callee on the right."""

import functools
import signal
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest

from ccari.ports.recordings import agents_side
from tests.integration.ground import GONE_SECONDS, Ground, assert_kept, kept_later
from tests.integration.service import Service
from tests.lab import callees
from tests.lab.audio import WINDOW_SECONDS, Audio
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRESENT_DBFS, ABSENT_DBFS = -20.0, -45.0
#: From a word that the callee hears to its echo: a packet each way, and a jitter buffer.
ECHO_SECONDS = 0.2
STEP_SECONDS = 0.02
#: Asterisk writes whole 20 ms packets, starting on each side with that side's own first one. On a busy machine it
#: begins one side late, which shifts it by a packet (seen: 20 ms in 2 of 21 calls beside four busy processes, never
#: without).
BESIDE_SECONDS = 2 * STEP_SECONDS


def sides(service: Service, row: Mapping[str, Any]) -> tuple[Audio, Audio]:
    left, right = (service.recorded(row, channel=side) for side in (0, 1))
    assert len(left.samples) == len(right.samples) == row["duration_ms"] * 8
    return left, right


def assert_apart(service: Service, shown: Mapping[str, Any], *, least_seconds: float) -> None:
    """Each voice is on its own side for at least this long, and nowhere else."""
    assert_kept(service, shown)
    (row,) = shown["recordings"]
    left, right = sides(service, row)
    for side, own, other in (
        (left, callees.AGENT_TONE_HZ, callees.TONE_HZ),
        (right, callees.TONE_HZ, callees.AGENT_TONE_HZ),
    ):
        assert np.count_nonzero(side.tone_levels(own) > PRESENT_DBFS) * WINDOW_SECONDS > least_seconds
        assert float(np.max(side.tone_levels(other))) < ABSENT_DBFS


async def goes_on(ground: Ground, name: str) -> bool:
    async with (
        ground.asterisk() as session,
        session.get(f"{ground.lab.pbx.ari_url}/ari/recordings/live/{name}") as reply,
    ):
        return reply.status != HTTPStatus.NOT_FOUND


async def _stopped(ground: Ground, name: str) -> bool:
    return not await goes_on(ground, name)


def at(shown: Mapping[str, Any], event: str) -> datetime:
    return next(datetime.fromisoformat(each["at"]) for each in shown["events"] if each["event"] == event)


def heard_from(sound: Audio, hz: float) -> float:
    """The second at which a tone is first heard."""
    return float(np.argmax(sound.tone_levels(hz, STEP_SECONDS) > PRESENT_DBFS)) * STEP_SECONDS


@pytest.mark.parametrize("spool", [None, "ari"], ids=["shared-spool", "asterisk-elsewhere"])
async def test_a_voice_is_on_the_side_of_the_other(ground: Ground, spool: str | None) -> None:
    async with ground.running(channels="stereo", spool=spool) as service:
        placed, call_id = await ground.talk(service, callees.answers(1))
        await ground.recorded_a_while(sides=2)
        await ground.recorded_a_while(more=16_000, sides=2)
        await ground.lab.world.hang_up(placed)
        await ground.ended(service, placed)
        shown = await kept_later(service, call_id)
        assert_apart(service, shown, least_seconds=2.5)
        await ground.nothing_left()
    assert ground.raw(shown) == []


async def test_an_answer_comes_long_before_its_question_or_long_after_it(ground: Ground) -> None:
    """The callee is an echo: what is on the left comes back on the right."""
    async with ground.running(channels="stereo") as service:
        placed = await ground.dial(callees.echoes(1), agent="drops-2")
        outcome, _ = await ground.ended(service, placed)
        shown = await kept_later(service, outcome.call)
        (row,) = shown["recordings"]
        asked, answered = (heard_from(side, callees.AGENT_TONE_HZ) for side in sides(service, row))
        assert -BESIDE_SECONDS <= round(answered - asked, 3) <= ECHO_SECONDS


async def test_one_side_goes_on_after_a_refusal(ground: Ground) -> None:
    async with ground.running(channels="stereo") as service:
        callee = callees.answers(2)
        placed, call_id = await ground.talk(service, callee)
        await ground.recorded_a_while(sides=2)
        await ground.lab.world.callee_presses(callee.number, "2")
        await service.logged("right_registered", call_id=call_id)
        (row,) = (await service.json("calls", "show", call_id))["recordings"]
        for name in (row["id"], agents_side(row["id"])):
            await until(functools.partial(_stopped, ground, name), within=GONE_SECONDS)
        await ground.lab.world.hang_up(placed)
        outcome, _ = await ground.ended(service, placed)
        assert (outcome.outcome, outcome.reason) == ("bridged", "recording_refused")
        shown = await kept_later(service, call_id)
        (row,) = shown["recordings"]
        said_before = (at(shown, "key_pressed") - datetime.fromisoformat(row["started_at"])).total_seconds()
        left, _ = sides(service, row)
        assert 0 < left.seconds < said_before + 0.2
    assert ground.raw(shown) == []


async def test_a_refusal_before_the_talk_leaves_a_side_in_the_spool(ground: Ground) -> None:
    async with ground.running(channels="stereo") as service:
        # the campaign with the longest notice
        callee = callees.presses("2", 0, 3)
        placed = await ground.lab.world.dial(callee.number, campaign="renewals", agent="drops-1")
        outcome, shown = await ground.ended(service, placed)
        assert (outcome.reason, [each["state"] for each in shown["recordings"]]) == ("recording_refused", [])
    assert ground.raw(shown) == []


async def test_a_service_killed_in_the_talk_loses_a_side(ground: Ground) -> None:
    async with ground.running(channels="stereo") as service:
        placed, call_id = await ground.talk(service, callees.answers(4))
        await ground.recorded_a_while(sides=2)
        await service.stop(signal.SIGKILL)
    # two files are joined, whatever the settings say now
    async with ground.running() as service:
        await ground.lab.world.hang_up(placed)
        await ground.nothing_left()
        shown = await kept_later(service, call_id)
        assert_apart(service, shown, least_seconds=1.2)
    assert ground.raw(shown) == []


async def test_an_asterisk_killed_in_the_talk_loses_a_side(ground: Ground) -> None:
    async with ground.running(channels="stereo") as service:
        placed, call_id = await ground.talk(service, callees.answers(5))
        await ground.recorded_a_while(sides=2)
        await ground.lab.pbx.kill()
        await service.logged("asterisk_away")
        await ground.lab.pbx.start()
        await service.logged(lambda line: line["event"] == "asterisk_connected" and "kept_recordings" in line)
        await ground.lab.world.hang_up(placed)
        shown = await kept_later(service, call_id)
        assert_apart(service, shown, least_seconds=1.0)
        await until(lambda: ground.raw(shown) == [], within=GONE_SECONDS)
