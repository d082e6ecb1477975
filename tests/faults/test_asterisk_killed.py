"""Asterisk is killed while it records, and started again."""

import signal

import pytest

from tests.integration.ground import Ground, kept_later
from tests.lab import callees
from tests.lab.audio import PRESENT_DBFS

pytestmark = pytest.mark.asyncio(loop_scope="session")

BYTES_PER_SECOND = 16_000


async def test_a_recording_that_asterisk_died_over_is_lost_or_untagged(ground: Ground) -> None:
    """Case 6: its header claims no sound, yet both voices are in what is kept."""
    callee = callees.answers(1)
    async with ground.running() as service:
        placed, call_id = await ground.talk(service, callee)
        await ground.recorded_a_while()
        (file,) = ground.lab.pbx.spool.iterdir()
        await ground.lab.pbx.kill(signal.SIGKILL)
        content = file.read_bytes()
        assert int.from_bytes(content[40:44], "little") == 0, (
            "it has closed the file, as one does that is not killed"
        )
        await service.logged("asterisk_away")
        await ground.lab.pbx.start()
        shown = await kept_later(service, call_id)
        await ground.lab.world.hang_up(placed)
        assert shown["ended_at"] is not None
        (row,) = shown["recordings"]
        assert row["duration_ms"] / 1000 == pytest.approx((len(content) - 44) / BYTES_PER_SECOND, abs=0.1)
        sound = service.recorded(row)
        for hz in (callees.TONE_HZ, callees.AGENT_TONE_HZ):
            assert float(max(sound.tone_levels(hz))) > PRESENT_DBFS
        await ground.nothing_left()
    assert ground.raw(shown) == []
    assert await ground.lab.world.invites(callee.number) == 1
