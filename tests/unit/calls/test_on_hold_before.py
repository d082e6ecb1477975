"""Callers who put the call on hold before the dialplan hands them over: what Asterisk is asked, and what happens if it
does not answer.
"""

import asyncio
from dataclasses import replace
from http import HTTPStatus

import pytest

from ccari.calls import dialplan
from ccari.calls.transport import Reply
from ccari.policy.call import Direction
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from tests.unit.calls.talking import Asterisk, Talking

LOOK = "CHANNEL(rtp,hold)"


class Holding(Asterisk):
    """``hold``: what Asterisk says about the caller; None if it never answers."""

    hold: str | None = "1"

    async def getChannelVar(self, *, channelId: str, variable: str) -> Reply:  # noqa: N802, N803
        await super().getChannelVar(channelId=channelId, variable=variable)
        if self.hold is None:
            await asyncio.Event().wait()
        return Reply(200, f'{{"value": "{self.hold}"}}')

    async def answer(self, *, channelId: str) -> None:  # noqa: N803
        await self._do("answer", channelId)


async def answered(
    asterisk: Holding, *, technology: str = "PJSIP", before: bool = True
) -> tuple[on.CalleeAnswered, bool]:
    """The result of answering the caller, and whether Asterisk was asked about a hold."""
    talking = Talking(Direction.INBOUND, asterisk)
    order = replace(talking.order, made_as=f"{technology}/trunk", answered=before)
    talking.actions._order = order
    came = await talking.actions.carry_out(do.AnswerCallee())
    assert isinstance(came, on.CalleeAnswered)
    return came, (LOOK, "caller-1") in asterisk.asked


@pytest.mark.parametrize(("hold", "held"), [("1", True), ("0", False), ("", False)])
async def test_a_notice_is_played_to_nobody_or_waits_for_whoever_is_there(hold: str, *, held: bool) -> None:
    asterisk = Holding()
    asterisk.hold = hold
    assert await answered(asterisk) == (on.CalleeAnswered(held), True)


@pytest.mark.parametrize(("technology", "before"), [("SIP", True), ("PJSIP", False)])
async def test_asterisk_is_asked_what_it_cannot_say_or_has_told(technology: str, *, before: bool) -> None:
    assert await answered(Holding(), technology=technology, before=before) == (on.CalleeAnswered(), False)


@pytest.mark.parametrize("status", [HTTPStatus.INTERNAL_SERVER_ERROR, None])
async def test_a_call_fails_for_want_of_func_channel_or_an_answer(status: HTTPStatus | None) -> None:
    asterisk = Holding()
    asterisk.refusals[LOOK] = status
    assert await answered(asterisk) == (on.CalleeAnswered(), True)


async def test_a_call_is_given_up_for_an_answer_that_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialplan, "LOOK_SECONDS", 0.01)
    asterisk = Holding()
    asterisk.hold = None
    async with asyncio.timeout(4):
        assert await answered(asterisk) == (on.CalleeAnswered(), True)
