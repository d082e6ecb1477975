"""Asterisk is suspended for a while and resumed, as when its virtual machine is moved or its disk hangs."""

import asyncio
import signal

import pytest

from tests.integration.ground import Ground
from tests.lab import callees
from tests.lab.audio import PRESENT_DBFS

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Shorter than the time after which the link is given up: the test is about what Asterisk makes of it.
STILL_SECONDS = 3.0
HELD_SECONDS = 2.0


async def test_invariant_2_what_is_said_after_a_refusal_is_kept_of_a_talk_in_which_asterisk_stood_still(
    ground: Ground,
) -> None:
    """The file lacks the time in which nothing was recorded. Nobody speaks while pressing a key: the callee falls
    silent as they refuse.
    """
    pbx, world, callee = ground.lab.pbx, ground.lab.world, callees.answers(1)
    steps = ("StopPlaytones()", f"SendDTMF(2,,{HELD_SECONDS * 1000:.0f})", "Playtones(850)", "Wait(60)")
    for priority, step in enumerate(steps, 1):
        await world.cli(f"dialplan add extension holds-2,{priority},{step} into callee-presses")
    async with ground.running() as service:
        placed, call_id = await ground.talk(service, callee)
        await ground.recorded_a_while()
        await pbx.kill(signal.SIGSTOP)
        try:
            await asyncio.sleep(STILL_SECONDS)
        finally:
            await pbx.kill(signal.SIGCONT)
        await ground.recorded_a_while(more=32_000)
        await world.callee_presses(callee.number, "holds-2")
        await service.logged("right_registered", call_id=call_id)
        await world.hang_up(placed)
        _, shown = await ground.ended(service, placed)
    (row,) = shown["recordings"]
    sound = service.recorded(row)
    # except the last moment, in which the key went down
    levels = sound.between(sound.seconds - 1).tone_levels(callees.TONE_HZ)[:-1]
    assert (levels > PRESENT_DBFS).all(), levels
