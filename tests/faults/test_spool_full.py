"""Asterisk cannot write what it records: the recording is marked, and the call goes on or ends as the campaign says."""

import numpy as np
import pytest

from tests.faults.spool import small_spool
from tests.faults.world import heard
from tests.integration.ground import Ground, kept_later
from tests.integration.studio import tone_of
from tests.lab import callees
from tests.lab.audio import has, lacks

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Little more than a second of 8 kHz, 16 bit audio.
LITTLE_KIB = 24


@pytest.mark.parametrize(("is_full", "serial"), [(True, 1), (False, 2)], ids=["full", "read-only"])
async def test_a_recording_that_could_not_be_written_passes_for_one(
    ground: Ground, *, is_full: bool, serial: int
) -> None:
    """Case 7: this campaign goes on without a recording."""
    callee = callees.answers(serial)
    async with small_spool(ground.lab.pbx) as spool, ground.running(spool=str(spool.folder)) as service:
        if is_full:
            spool.fill()
        else:
            await spool.make_read_only()
        outcome, shown = await ground.ended(service, await ground.dial(callee, agent="drops-8"))
        assert (outcome.outcome, outcome.reason) == ("bridged", "recording_failed")
        (row,) = shown["recordings"]
        assert (row["state"], row["file"], row["duration_ms"]) == ("failed", None, None)
        assert "recording_lost" in [each["event"] for each in shown["events"]]
        assert has(await heard(ground.lab, callee), callees.AGENT_TONE_HZ)
        assert spool.files() == []
        await ground.nothing_left()


async def test_a_talk_that_must_be_recorded_goes_on_when_the_disk_is_full(ground: Ground) -> None:
    """Case 7: it fills up during the talk. What was written is kept, and the callee is bid farewell."""
    callee = callees.answers(3)
    async with small_spool(ground.lab.pbx) as spool, ground.running(spool=str(spool.folder)) as service:
        spool.fill(but_kib=LITTLE_KIB)
        placed = await ground.lab.world.dial(callee.number, campaign="strict")
        outcome, _ = await ground.ended(service, placed)
        assert (outcome.outcome, outcome.reason) == ("bridged", "recording_failed")
        shown = await kept_later(service, outcome.call)
        assert 0 < shown["recordings"][0]["duration_ms"] <= LITTLE_KIB * 1024 / 16
        sound = await heard(ground.lab, callee)
        assert has(sound, tone_of("goodbye"))
        # the farewell is played to a callee who no longer hears the agent
        levels = [np.round(sound.tone_levels(hz)) for hz in (callees.AGENT_TONE_HZ, tone_of("goodbye"))]
        assert lacks(sound.between(sound.seconds - 0.5), callees.AGENT_TONE_HZ), levels
        assert spool.files() == []
        await ground.nothing_left()
