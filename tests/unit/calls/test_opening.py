"""Channels whose sound is encrypted: what is played to them before there are keys is dropped, and Asterisk reports it as played."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest

from ccari.calls import opening
from ccari.calls.opening import Closed
from ccari.calls.transport import LinkLost, Refused, Reply
from ccari.policy.call import Direction, Party
from ccari.policy.call import commands as do
from tests.unit.calls.talking import Asterisk, Talking

LOOK = "CHANNEL(rtp,secure)"
PROMPT = do.Play(Party.CALLEE, "right_failed")


class Encrypting(Asterisk):
    """``sent``: the packets that it says to have sent, by each time that it is asked; the last one for ever."""

    def __init__(self, *sent: int, secure: str = "1") -> None:
        super().__init__()
        self.values[LOOK] = secure
        self.sent = list(sent)
        self.is_mute = False

    async def getChannelVar(self, *, channelId: str, variable: str) -> Reply:  # noqa: N802, N803
        if self.is_mute:
            await asyncio.Event().wait()
        return await super().getChannelVar(channelId=channelId, variable=variable)

    async def startSilence(self, *, channelId: str) -> None:  # noqa: N802, N803
        await self._do("silence", channelId)

    async def stopSilence(self, *, channelId: str) -> None:  # noqa: N802, N803
        await self._do("no silence", channelId)

    async def rtpstatistics(self, *, channelId: str) -> Reply:  # noqa: N803
        await self._do("count", channelId)
        count = self.sent.pop(0) if len(self.sent) > 1 else self.sent[0]
        return Reply(HTTPStatus.OK, f'{{"txcount": {count}}}')


@pytest.fixture(autouse=True)
def shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_SECONDS", "OPENING_SECONDS"):
        monkeypatch.setattr(opening, name, 0.2)


def done(asterisk: Asterisk) -> list[str]:
    return [what for what, _ in asterisk.asked]


async def played(asterisk: Asterisk, *prompts: do.Play, **changes: Any) -> list[str]:
    """What Asterisk is asked for to play these."""
    talking = Talking(Direction.OUTBOUND, asterisk)
    talking.actions._order = replace(talking.order, technology="PJSIP", **changes)
    for each in prompts or (PROMPT,):
        await talking.actions.carry_out(each)
    return done(asterisk)


async def test_a_prompt_is_played_before_anything_can_leave_asterisk() -> None:
    # once for a channel, however many prompts there are
    assert await played(Encrypting(0, 0, 1), PROMPT, PROMPT) == [
        LOOK, "silence", "count", "count", "count", "no silence", "play", "play",
    ]  # fmt: skip


async def test_an_agent_is_told_before_anything_can_leave_asterisk() -> None:
    asked = await played(Encrypting(1), do.Play(Party.AGENT, "agent_call_recorded"))
    assert asked == [LOOK, "silence", "count", "no silence", "play"]


async def test_a_prompt_of_which_nothing_leaves_asterisk_counts() -> None:
    asterisk = Encrypting(0)
    talking = Talking(Direction.OUTBOUND, asterisk)
    for _ in range(2):
        with pytest.raises(Closed):
            await talking.actions.carry_out(PROMPT)
    # nor is it waited for again, with the last words
    assert (done(asterisk).count("silence"), done(asterisk)[-1]) == (1, "no silence")
    assert talking.actions.player.playbacks == {}


async def test_a_call_that_is_not_encrypted_waits() -> None:
    assert await played(Encrypting(0, secure="0")) == [LOOK, "play"]


@pytest.mark.parametrize("status", [HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_FOUND])
async def test_a_notice_is_lost_for_want_of_func_channel(status: HTTPStatus) -> None:
    asterisk = Encrypting(1)
    asterisk.refusals[LOOK] = status
    assert await played(asterisk) == [LOOK, "silence", "count", "no silence", "play"]


async def test_a_notice_is_lost_for_an_answer_that_is_late() -> None:
    asterisk = Encrypting(1)
    asterisk.is_mute = True
    assert await played(asterisk) == ["silence", "count", "no silence", "play"]


@pytest.mark.parametrize("operation", ["silence", "count"])
async def test_a_hang_up_is_waited_for(operation: str) -> None:
    """What comes of it is told by the prompt, as of anybody who has hung up."""
    asterisk = Encrypting(0)
    asterisk.refusals[operation] = HTTPStatus.NOT_FOUND
    assert (await played(asterisk))[-1] == "play"


@pytest.mark.parametrize(("status", "error"), [(HTTPStatus.PRECONDITION_FAILED, Refused), (None, LinkLost)])
async def test_a_refusal_lets_a_prompt_be_played(status: HTTPStatus | None, error: type[Exception]) -> None:
    asterisk = Encrypting(0)
    asterisk.refusals["count"] = status
    with pytest.raises(error):
        await played(asterisk)
    assert done(asterisk)[-1] == "no silence"


async def test_silence_is_played_into_a_talk() -> None:
    asterisk = Encrypting(1)
    talking = Talking(Direction.OUTBOUND, asterisk)
    talking.actions._legs.have_met = True
    await talking.actions.carry_out(PROMPT)
    assert done(asterisk) == ["play"]


async def test_asterisk_is_asked_of_a_channel_of_which_it_cannot_tell() -> None:
    asterisk = Encrypting(1)
    talking = Talking(Direction.INBOUND, asterisk)
    talking.actions._order = replace(talking.order, technology="Local")
    await talking.actions.carry_out(PROMPT)
    assert done(asterisk) == ["play"]
