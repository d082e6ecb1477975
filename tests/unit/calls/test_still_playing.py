"""Requests about a channel to which something may be playing that is not known here: what an earlier run has begun, or a busy Asterisk
was asked for and has not answered about. Until that is over Asterisk answers none of them, nor any other of the same WebSocket.
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

PROMPTS = {Party.CALLEE: "right_failed", Party.AGENT: "agent_call_recorded"}


class Beside:
    """The connections beside the WebSocket: which channel was told what."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def request_beside(self, method: str, url: str, params: Mapping[str, str], seconds: float) -> None:
        assert (method, seconds > 0) == ("POST", True)
        self.told.append((url.split("/")[-2], params["value"].split(",")[1]))


@pytest.fixture
def talking() -> Talking:
    return Talking(Direction.OUTBOUND)


async def parted(talking: Talking) -> bool:
    before = len(talking.asked)
    await talking.actions.carry_out(do.Part())
    return ("removeChannel", talking.ids.callee) in talking.asked[before:]


async def play(talking: Talking, party: Party = Party.CALLEE) -> None:
    await talking.actions.carry_out(do.Play(party, PROMPTS[party]))


def played(talking: Talking, party: Party = Party.CALLEE, *, seconds: float) -> None:
    """For so long, of the nine that the newest prompt lasts."""
    newest, now = talking.actions.player.playbacks[party], datetime.now(UTC)
    newest.started = now
    newest.finished("done", now + timedelta(seconds=seconds))


def taken_up(talking: Talking) -> None:
    talk = {"terms": talking.actions._allowed, "segments": 0, "running": None}
    talking.actions.resume(cast("Any", type("Talk", (), talk)))


async def test_last_words_leave_the_callee_in_the_bridge(talking: Talking) -> None:
    assert await parted(talking)
    await play(talking)
    played(talking, seconds=9)
    assert await parted(talking)


async def test_last_words_in_a_talk_that_was_taken_up_hold_up_all_calls_until_the_earlier_runs_prompt_is_over(
    talking: Talking,
) -> None:
    taken_up(talking)
    assert not await parted(talking)
    await play(talking)
    assert not await parted(talking)
    # stopped for the last words, perhaps before it began
    played(talking, seconds=2)
    assert not await parted(talking)
    await play(talking)
    played(talking, seconds=9)
    assert await parted(talking)
    await play(talking)
    assert await parted(talking)


async def test_a_prompt_of_an_earlier_run_plays_for_hours(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "OVERHANG_SECONDS", 0.0)
    taken_up(talking)
    assert await parted(talking)


async def test_last_words_hold_up_all_calls_while_a_prompt_plays_that_a_busy_asterisk_has_not_answered_about(
    talking: Talking,
) -> None:
    talking.asterisk.refusals["play"] = None
    with pytest.raises(LinkLost):
        await play(talking)
    talking.asterisk.refusals.clear()
    assert not await parted(talking)
    # as it turns out, it was played
    played(talking, seconds=9)
    assert await parted(talking)


async def test_a_whisper_that_is_not_answered_keeps_the_callee_in_the_bridge(talking: Talking) -> None:
    talking.asterisk.refusals["play"] = None
    with contextlib.suppress(LinkLost):
        await play(talking, Party.AGENT)
    assert await parted(talking)


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
