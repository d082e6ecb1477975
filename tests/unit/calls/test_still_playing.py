"""Requests about a channel to which something unknown here may be playing: what an earlier run began, or what a busy
Asterisk was asked for and has not answered. Until that is over, Asterisk answers none of these requests, nor any other
on the same WebSocket.
"""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ccari.calls import player
from ccari.calls.transport import LinkLost, Transport
from ccari.policy.call import Direction, Outcome, Party
from ccari.policy.call import commands as do
from tests.unit.calls.talking import Talking

PART = do.Part()
PROMPTS = {Party.CALLEE: "right_failed", Party.AGENT: "agent_call_recorded"}


class Beside:
    """The connections beside the WebSocket: which channel was told what, and which was taken out of the bridge."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.parted: list[str] = []

    async def post_beside(self, url: str, params: Mapping[str, str], seconds: float) -> None:
        assert seconds > 0
        thing, operation = url.split("/")[-2:]
        if operation == "removeChannel":
            self.parted.append(params["channel"])
        else:
            self.told.append((thing, params["value"].split(",")[1]))


@pytest.fixture
def talking() -> Talking:
    return Talking(Direction.OUTBOUND)


async def all_wait(talking: Talking, command: do.Part | do.HandOver = PART) -> bool:
    """Whether the request that parts the two is one for which all others wait."""
    before, beside = len(talking.asked), Beside()
    talking.ari._transport = cast("Transport", beside)
    await talking.actions.carry_out(command)
    over_the_socket = ("removeChannel", talking.ids.callee) in talking.asked[before:]
    assert beside.parted == [talking.ids.callee] * (not over_the_socket)
    return over_the_socket


async def play(talking: Talking, party: Party = Party.CALLEE) -> None:
    await talking.actions.carry_out(do.Play(party, PROMPTS[party]))


def played(talking: Talking, party: Party = Party.CALLEE, *, seconds: float) -> None:
    """For this long of the nine seconds that the newest prompt lasts."""
    newest, now = talking.actions.player.playbacks[party], datetime.now(UTC)
    newest.started = now
    newest.finished("done", now + timedelta(seconds=seconds))


def taken_up(talking: Talking) -> None:
    talk = {"terms": talking.actions._allowed, "segments": 0, "running": None}
    talking.actions.resume(cast("Any", type("Talk", (), talk)))


async def test_last_words_take_a_connection_of_their_own_in_every_call(talking: Talking) -> None:
    assert await all_wait(talking)
    await play(talking)
    played(talking, seconds=9)
    assert await all_wait(talking)


async def test_last_words_in_a_talk_that_was_taken_up_hold_up_all_calls_until_the_earlier_runs_prompt_is_over(
    talking: Talking,
) -> None:
    taken_up(talking)
    assert not await all_wait(talking)
    await play(talking)
    assert not await all_wait(talking)
    # stopped for the last words, perhaps before it began
    played(talking, seconds=2)
    assert not await all_wait(talking)
    await play(talking)
    played(talking, seconds=9)
    assert await all_wait(talking)
    await play(talking)
    assert await all_wait(talking)


async def test_a_transfer_in_a_talk_that_was_taken_up_holds_up_all_calls_until_the_earlier_runs_prompt_is_over(
    talking: Talking,
) -> None:
    taken_up(talking)
    assert not await all_wait(talking, do.HandOver("1002"))


async def test_a_prompt_of_an_earlier_run_plays_for_hours(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "OVERHANG_SECONDS", 0.0)
    taken_up(talking)
    assert await all_wait(talking)


async def test_last_words_hold_up_all_calls_while_a_prompt_plays_that_a_busy_asterisk_has_not_answered_about(
    talking: Talking,
) -> None:
    talking.asterisk.refusals["play"] = None
    with pytest.raises(LinkLost):
        await play(talking)
    talking.asterisk.refusals.clear()
    assert not await all_wait(talking)
    # as it turns out, it was played
    played(talking, seconds=9)
    assert await all_wait(talking)


async def test_a_whisper_that_is_not_answered_counts_as_played_to_the_callee(talking: Talking) -> None:
    talking.asterisk.refusals["play"] = None
    with contextlib.suppress(LinkLost):
        await play(talking, Party.AGENT)
    assert await all_wait(talking)


@pytest.mark.parametrize(
    ("direction", "home"),
    [(Direction.OUTBOUND, Party.AGENT), (Direction.INBOUND, Party.CALLEE)],
    ids=["outbound", "inbound"],
)
@pytest.mark.parametrize("command", [do.TellDialplan, do.GiveBack], ids=["told", "given back"])
async def test_the_dialplan_is_told_by_a_request_for_which_all_calls_wait_or_never_again_by_another(
    direction: Direction, home: Party, command: type[do.TellDialplan | do.GiveBack]
) -> None:
    talking, beside = Talking(direction), Beside()
    talking.ari._transport = cast("Transport", beside)
    taken_up(talking)
    channel = talking.ids.channel(home)
    await talking.actions.carry_out(command(Outcome.BRIDGED, "access"))
    assert beside.told == [(channel, "bridged")]
    assert ("setChannelVar", channel) not in talking.asked
    await play(talking, home)
    played(talking, home, seconds=9)
    await talking.actions.carry_out(command(Outcome.BRIDGED, "erasure"))
    assert len(beside.told) == 1
    assert ("setChannelVar", channel) in talking.asked


async def test_what_may_be_played_to_an_agent_who_was_let_go_is_played_to_the_colleague(
    talking: Talking,
) -> None:
    taken_up(talking)
    talking.ids.hand_over()
    assert talking.actions.player.knows_all(Party.AGENT)
    assert not talking.actions.player.knows_all(Party.CALLEE)
