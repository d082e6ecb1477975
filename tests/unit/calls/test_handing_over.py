"""An agent who hands a callee over is let go, whatever else goes wrong at that moment."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from ccari.calls.ari import TRANSFERS
from ccari.calls.cards import Rack, _Watch
from ccari.calls.legs import DIAL_SECONDS
from ccari.calls.runner import CallRunner
from ccari.calls.transport import LinkLost
from ccari.errors import AsteriskError, StoreError
from ccari.gating.variables import CALL, NUMBER
from ccari.policy.call import Direction, Outcome, Party
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.numbers import Number
from ccari.ports.calls import OpenedCall
from ccari.ports.cards import Past
from ccari.ports.recordings import Unfinished
from tests.unit.calls.talking import Talking
from tests.unit.recordings.made import TAG

HAND_OVER = do.HandOver("1002")
#: The answer to a phone's REFER, after which Asterisk has finished with it.
SETTLED = "CHANNEL(pjsip,call-id)"


def released(talking: Talking, former: str) -> list[str]:
    return [operation for operation, about in talking.asked if about == former]


async def hand_over(talking: Talking) -> str:
    """Try to hand over; returns the channel of the former agent."""
    former = talking.ids.agent
    with contextlib.suppress(AsteriskError):
        await talking.actions.carry_out(HAND_OVER)
    return former


async def test_a_bridge_of_which_nobody_knows_whether_it_was_made_stays_in_asterisk() -> None:
    talking = Talking(Direction.OUTBOUND)
    talking.asterisk.refusals["createWithId"] = None
    with pytest.raises(LinkLost):
        await talking.actions.carry_out(do.Bridge())
    await talking.actions._legs.let_go(gated=True)
    assert talking.asked[-1] == ("destroy", talking.ids.bridge)


@pytest.mark.parametrize("status", [HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY])
async def test_a_callee_who_has_just_hung_up_keeps_the_agent_on_the_line(status: HTTPStatus) -> None:
    """Asterisk's removeChannel no longer knows them, or not as a channel of the application."""
    talking = Talking(Direction.OUTBOUND)
    talking.asterisk.refusals["removeChannel"] = status
    await talking.actions.carry_out(HAND_OVER)
    assert released(talking, "phone-1") == [
        SETTLED,
        "channel_answered",
        "setChannelVar",
        "continueInDialplan",
    ]


@pytest.mark.parametrize("status", [None, HTTPStatus.CONFLICT])
async def test_a_callee_who_cannot_be_taken_from_the_agent_keeps_them_on_the_line(
    status: HTTPStatus | None,
) -> None:
    talking = Talking(Direction.AGENT_FIRST)
    talking.asterisk.refusals["removeChannel"] = status
    former = talking.ids.agent
    with pytest.raises(AsteriskError):
        await talking.actions.carry_out(HAND_OVER)
    assert released(talking, former) == [SETTLED, "channel_answered", "hangup"]
    assert "create" not in [operation for operation, _ in talking.asked]


async def test_the_colleague_comes_while_the_callee_is_still_recorded_as_the_agent_was() -> None:
    """While a channel is snooped on, Debian's Asterisk takes the second agent's packets for late ones of the first."""
    talking = Talking(Direction.OUTBOUND)
    talking.actions.recorder.resume(1, Unfinished(TAG, begun=True, until=None))
    snoop = talking.ids.snoop(1, "both")
    await talking.actions.carry_out(HAND_OVER)
    assert released(talking, snoop) == ["hangup"]
    assert talking.asked.index(("hangup", snoop)) < talking.asked.index(("create", talking.ids.agent))


@pytest.mark.parametrize(
    ("direction", "end"), [(Direction.AGENT_FIRST, "ChannelDestroyed"), (Direction.OUTBOUND, "StasisEnd")]
)
async def test_a_phone_that_hangs_up_while_the_recorders_channel_goes_takes_the_colleague_along(
    direction: Direction, end: str
) -> None:
    """Many phones hang up as soon as they have asked for the transfer."""
    talking = Talking(direction)
    runner = CallRunner(talking.order, talking.desk, talking.ids, talking.journal)
    runner._actions = talking.actions
    talking.actions.recorder.resume(1, Unfinished(TAG, begun=True, until=None))
    gone = {"type": end, "cause": 16, "channel": {"id": talking.ids.agent}}
    talking.asterisk.meanwhile["hangup"] = lambda: runner.take(gone)
    await runner._act(HAND_OVER)
    assert talking.asked[0] == ("hangup", talking.ids.snoop(1, "both"))
    assert len(runner._inbox) == 0


async def test_what_was_played_to_the_agent_counts_as_played_to_the_colleague() -> None:
    talking = Talking(Direction.OUTBOUND)
    runner = CallRunner(talking.order, talking.desk, talking.ids, talking.journal)
    runner._actions = talking.actions
    await talking.actions.carry_out(do.Play(Party.AGENT, "agent_call_recorded"))
    told = {"id": talking.actions.player.playbacks[Party.AGENT].id, "state": "done"}
    await runner._act(HAND_OVER)
    runner.take({"type": "PlaybackFinished", "timestamp": "2026-11-25T10:00:00.000+0000", "playback": told})
    assert len(runner._inbox) == 0


async def test_a_talk_that_is_taken_up_after_a_transfer_is_told_as_the_agents_who_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talking, kept = Talking(Direction.OUTBOUND), list[Mapping[str, Any] | None]()

    async def keep(what: Mapping[str, Any] | None) -> None:
        kept.append(what)

    monkeypatch.setattr(talking.actions._ledger, "keep_talk", keep)
    await hand_over(talking)
    for each in ({"paused": False}, None):
        await talking.actions.keep_talk(each)
    assert kept == [
        {"paused": False, "home": "phone-1", "agents": 1, "technology": "", "agent": "1002", "segments": 0},
        None,
    ]


async def test_what_happens_with_the_colleague_is_logged_as_the_agents_who_was() -> None:
    talking = Talking(Direction.OUTBOUND)
    await hand_over(talking)
    with capture_logs() as logged:
        talking.journal.note("call_bridged", {"recorded": "no"})
    assert [line["agent"] for line in logged] == ["1002"]


async def test_who_is_on_the_line_is_shown_to_the_agent_who_was() -> None:
    talking, rack = Talking(Direction.OUTBOUND), Rack()

    class Away:
        async def past_of(self, _: OpenedCall) -> Past:
            raise StoreError("the database is away")

    talking.actions._desk = replace(talking.desk, cards=rack, store=cast("Any", Away()))
    await hand_over(talking)
    with rack.watch("anna") as was, rack.watch("1002") as now:
        await talking.actions.carry_out(do.ShowCard())
    assert [cast("_Watch", each).waiting.qsize() for each in (was, now)] == [0, 1]


async def test_a_refusal_that_overtakes_the_refer_takes_asterisk_down() -> None:
    talking = Talking(Direction.OUTBOUND)
    await talking.actions.carry_out(do.RefuseTransfer())
    assert talking.asked == [(SETTLED, "phone-1"), ("channel_declined", "phone-1")]


async def test_a_transfer_that_no_phone_asked_for_ends_in_an_error() -> None:
    """An agent on a Local channel has no SIP session to read."""
    talking = Talking(Direction.OUTBOUND)
    talking.asterisk.refusals[SETTLED] = HTTPStatus.INTERNAL_SERVER_ERROR
    assert await talking.actions.carry_out(do.RefuseTransfer()) is None
    assert talking.asked == [(SETTLED, "phone-1")]


@pytest.mark.parametrize("fault", [SETTLED, "channel_answered", "setChannelVar"])
async def test_a_phone_that_cannot_be_told_is_not_given_back(fault: str) -> None:
    talking = Talking(Direction.OUTBOUND)
    talking.asterisk.refusals[fault] = HTTPStatus.CONFLICT
    former = await hand_over(talking)
    assert "continueInDialplan" in released(talking, former)


async def test_an_agent_who_was_is_left_in_asterisk_when_the_call_ends() -> None:
    """An agent whose hang-up was never answered may still be there."""
    talking = Talking(Direction.AGENT_FIRST)
    talking.asterisk.refusals["hangup"] = None
    former = await hand_over(talking)
    del talking.asterisk.refusals["hangup"], talking.asked[:]
    await talking.actions.carry_out(do.SettleRecording())
    assert released(talking, former) == ["hangup"]


async def test_a_phone_that_was_given_back_is_hung_up_when_the_call_ends() -> None:
    """By then it may be in another call."""
    talking = Talking(Direction.OUTBOUND)
    former = await hand_over(talking)
    del talking.asked[:]
    await talking.actions.carry_out(do.SettleRecording())
    assert released(talking, former) == []


async def test_what_cannot_be_hung_up_keeps_the_others_in_asterisk_and_the_recording_in_the_spool() -> None:
    talking = Talking(Direction.AGENT_FIRST)
    talking.actions._legs.resume()
    talking.asterisk.refusals |= dict.fromkeys(("hangup", "destroy"), HTTPStatus.INTERNAL_SERVER_ERROR)
    await talking.actions.carry_out(do.SettleRecording())
    ids = talking.ids
    left = [("hangup", ids.agent), ("hangup", ids.callee), ("destroy", ids.bridge)]
    assert sorted(talking.asked) == sorted(left)


async def test_invariant_1_a_leg_is_left_for_ever_or_follows_a_phone_past_the_gate() -> None:
    """Nobody may be there to hang it up; and Asterisk would call whomever a REFER names."""
    talking = Talking(Direction.AGENT_FIRST)
    number = Number("+48600100001")
    talking.actions._allowed = replace(talking.actions._terms, number=number, agent_string="PJSIP/anna")
    for each in (do.CallAgent(), do.CreateCallee()):
        await talking.actions.carry_out(each)
    always = {CALL: str(talking.ids.call), TRANSFERS: "ari-only"}
    limit = "TIMEOUT(absolute)"
    assert talking.asterisk.made == {
        talking.ids.agent: always | {limit: str(4 * 60 * 60), "CONNECTEDLINE(num,i)": number.e164},
        talking.ids.callee: always | {limit: str(DIAL_SECONDS), NUMBER: number.e164},
    }


async def test_a_channel_that_is_no_more_is_hung_up() -> None:
    """Every call would make these requests, for the callee's channel is gone by then."""
    talking = Talking(Direction.AGENT_FIRST)
    gone, left = talking.ids.callee, talking.ids.agent
    talking.actions.take_note({"type": "ChannelDestroyed", "channel": {"id": gone}})
    await talking.actions.carry_out(do.SettleRecording())
    assert (released(talking, gone), released(talking, left)) == ([], ["hangup"])


async def test_an_agent_is_spoken_to_in_the_language_that_the_callee_chose() -> None:
    talking = Talking(Direction.OUTBOUND)
    await talking.actions.carry_out(do.UseLanguage("en"))
    await talking.actions.carry_out(do.Play(Party.CALLEE, "right_failed"))
    await talking.actions.carry_out(do.Play(Party.AGENT, "agent_call_recorded"))
    played = [what for done, what in talking.asked if done == "play"]
    assert played == ["sound:en/right_failed", "sound:pl/agent_call_recorded"]


@pytest.mark.parametrize("fault", ["setChannelVar", "stop"])
async def test_a_caller_is_left_in_silence_because_the_dialplan_cannot_be_told(fault: str) -> None:
    """Or because what is played to them cannot be stopped."""
    talking = Talking(Direction.INBOUND)
    await talking.actions.carry_out(do.Play(Party.CALLEE, "right_failed"))
    talking.asterisk.refusals[fault] = None
    assert await talking.actions.carry_out(do.GiveBack(Outcome.BRIDGED, "")) is None
    assert released(talking, "caller-1")[-1] == "continueInDialplan"


async def test_a_call_waits_for_ever_for_a_channel_that_cannot_be_given_back() -> None:
    talking = Talking(Direction.INBOUND)
    talking.asterisk.refusals["continueInDialplan"] = HTTPStatus.NOT_FOUND
    assert await talking.actions.carry_out(do.GiveBack(Outcome.BRIDGED, "")) == on.Gone(Party.CALLEE)


async def test_a_caller_who_cannot_be_told_that_there_is_no_room_is_left_in_silence() -> None:
    talking = Talking(Direction.INBOUND)
    talking.asterisk.refusals["setChannelVar"] = None
    await talking.ari.turn_away("caller-1", "overload")
    assert released(talking, "caller-1")[-1] == "continueInDialplan"


async def test_a_caller_waits_for_the_end_of_a_prompt_to_be_given_back() -> None:
    """And so do all other calls' requests: Asterisk sets a channel's variables only between two prompts."""
    talking = Talking(Direction.INBOUND)
    await talking.actions.carry_out(do.Play(Party.CALLEE, "right_failed"))
    del talking.asked[:]
    await talking.actions.carry_out(do.GiveBack(Outcome.BRIDGED, ""))
    stopped = talking.actions.player.playbacks[Party.CALLEE].id
    assert talking.asked[0] == ("stop", stopped)
    assert released(talking, "caller-1") == ["setChannelVar", "continueInDialplan"]
