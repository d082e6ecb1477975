"""A callee is taken out of the bridge before the last words, unless something may be playing to them that is not known here: Asterisk
would answer no request of any call until that is over.
"""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ccari.calls.transport import LinkLost
from ccari.policy.call import Direction, Party
from ccari.policy.call import commands as do
from tests.unit.calls.talking import Talking

PROMPT = do.Play(Party.CALLEE, "right_failed")


@pytest.fixture
def talking() -> Talking:
    return Talking(Direction.OUTBOUND)


async def parted(talking: Talking) -> bool:
    before = len(talking.asked)
    await talking.actions.carry_out(do.Part())
    return ("removeChannel", talking.ids.callee) in talking.asked[before:]


def played(talking: Talking, *, seconds: float) -> None:
    """For so long, of the nine that the newest prompt lasts."""
    newest, now = talking.actions.player.playbacks[Party.CALLEE], datetime.now(UTC)
    newest.started = now
    newest.finished("done", now + timedelta(seconds=seconds))


def taken_up(talking: Talking) -> None:
    talk = {"terms": talking.actions._allowed, "segments": 0, "running": None}
    talking.actions.resume(cast("Any", type("Talk", (), talk)))


async def test_last_words_leave_the_callee_in_the_bridge(talking: Talking) -> None:
    assert await parted(talking)
    await talking.actions.carry_out(PROMPT)
    played(talking, seconds=9)
    assert await parted(talking)


async def test_last_words_in_a_talk_that_was_taken_up_hold_up_all_calls_until_the_earlier_runs_prompt_is_over(
    talking: Talking,
) -> None:
    taken_up(talking)
    assert not await parted(talking)
    await talking.actions.carry_out(PROMPT)
    assert not await parted(talking)
    # stopped for the last words, perhaps before it began
    played(talking, seconds=2)
    assert not await parted(talking)
    await talking.actions.carry_out(PROMPT)
    played(talking, seconds=9)
    assert await parted(talking)
    await talking.actions.carry_out(PROMPT)
    assert await parted(talking)


async def test_last_words_hold_up_all_calls_while_a_prompt_plays_that_a_busy_asterisk_has_not_answered_about(
    talking: Talking,
) -> None:
    talking.asterisk.refusals["play"] = None
    with pytest.raises(LinkLost):
        await talking.actions.carry_out(PROMPT)
    talking.asterisk.refusals.clear()
    assert not await parted(talking)
    # as it turns out, it was played
    played(talking, seconds=9)
    assert await parted(talking)


async def test_a_whisper_that_is_not_answered_keeps_the_callee_in_the_bridge(talking: Talking) -> None:
    talking.asterisk.refusals["play"] = None
    with contextlib.suppress(LinkLost):
        await talking.actions.carry_out(do.Play(Party.AGENT, "agent_call_recorded"))
    assert await parted(talking)
