"""At its limit a service begins no more calls and says why; calls under way are not affected."""

import numpy as np
import pytest

from tests.integration.ground import Ground, kept_later
from tests.lab import audio, callees
from tests.lab.audio import PRESENT_DBFS

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_call_too_many_is_dialled_waits_in_silence_or_harms_the_others(ground: Ground) -> None:
    talks, refused = callees.answers(50), callees.answers(51)
    async with ground.running(at_once="1") as service:
        placed, call_id = await ground.talk(service, talks)
        outcome, _ = await ground.ended(service, await ground.dial(refused))
        assert (outcome.outcome, outcome.reason) == ("unavailable", "overload")
        # meanwhile, callers are passed to whoever the dialplan has for them
        caller = await ground.lab.world.call_in(callees.answers(52).number, "brief")
        await caller.ended()
        told = await ground.lab.pbx.outcome(caller.id)
        assert (told.outcome, told.reason) == ("unavailable", "overload")
        await ground.recorded_a_while()
        await ground.lab.world.hang_up(placed)
        ended, _ = await ground.ended(service, placed)
        assert (ended.outcome, ended.reason) == ("bridged", "")
        await kept_later(service, call_id)
        heard = audio.read(await ground.lab.world.heard_by(talks.number))
        tones = np.flatnonzero(heard.tone_levels(callees.AGENT_TONE_HZ) > PRESENT_DBFS)
        assert len(tones) >= 0.95 * (tones[-1] - tones[0])
        # and there is room again
        again = await ground.dial(callees.answers(53), agent="drops-1")
        outcome, _ = await ground.ended(service, again)
        assert outcome.outcome == "bridged"
    assert await ground.lab.world.invites(refused.number) == 0
