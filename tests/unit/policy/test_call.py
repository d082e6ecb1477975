"""The life of a call as it should be, and each way in which it ends."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ccari.policy.call import Call, Event, Outcome, Party, Stage, Timer, decide
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import (
    CLOSE_SECONDS,
    CREATE_SECONDS,
    RECORDER_SECONDS,
    UNHEARD_SECONDS,
    Leg,
)
from ccari.policy.gate import Block
from ccari.policy.rights import Right
from tests.unit.policy.campaigns import campaign
from tests.unit.policy.story import Story

AGENT_GONE, CALLEE_GONE = on.Gone(Party.AGENT), on.Gone(Party.CALLEE)


def test_a_callee_is_rung_longer_or_shorter_than_the_campaign_says() -> None:
    story = Story(ring_seconds=20)
    story.send(on.CallRequested(), on.GateAllowed(story.campaign), on.CalleeCreated())
    assert do.SetTimer(Timer.RING, 20.0) in story.send(on.TokenSpent())


def test_a_good_call_step_by_step() -> None:
    story = Story()
    assert story.send(on.CallRequested()) == [do.CheckGate()]
    assert story.send(on.GateAllowed(story.campaign)) == [
        do.Note("call_gated"),
        do.TellDialplan(Outcome.AGENT_HANGUP, ""),
        do.SetTimer(Timer.CREATE, CREATE_SECONDS),
        do.CreateCallee(),
    ]
    assert story.send(on.CalleeCreated()) == [do.SpendToken()]
    assert story.send(on.TokenSpent()) == [
        do.SetTimer(Timer.RING, 45.0),
        do.Dial(),
        do.Note("callee_dialled"),
    ]
    assert story.send(on.CalleeRang()) == [do.Ring(Party.AGENT), do.Note("callee_rang")]
    assert story.send(on.CalleeAnswered()) == [
        do.Note("callee_answered"),
        do.Play(Party.CALLEE, "identity"),
        do.ShowCard(),
    ]
    assert story.send(on.Played("identity", whole=True)) == [do.Play(Party.CALLEE, "recording_opt_out")]
    assert story.send(on.Played("recording_opt_out", whole=True)) == [do.Play(Party.CALLEE, "rights")]
    assert story.send(on.Played("rights", whole=True)) == [
        do.CommitHeard(("identity", "recording_opt_out", "rights"))
    ]
    assert story.send(on.HeardCommitted()) == [do.TagRecording()]
    assert story.send(on.RecordingTagged()) == [
        do.SetTimer(Timer.RECORDER, RECORDER_SECONDS),
        do.StartRecorder(),
    ]
    assert story.send(on.RecorderStarted()) == [do.Note("recording_started"), do.AnswerAgent(), do.Bridge()]
    assert story.send(on.Bridged()) == [
        do.Note("call_bridged", {"recorded": "yes"}),
        do.TellDialplan(Outcome.BRIDGED, ""),
    ]
    assert story.send(CALLEE_GONE) == [
        do.SetTimer(Timer.CLOSE, CLOSE_SECONDS),
        do.StopRecorder(keep=True, binding=False),
        do.GiveBack(Outcome.BRIDGED, ""),
    ]
    assert story.send(AGENT_GONE) == []
    assert story.send(on.RecorderStopped()) == [
        do.SettleRecording(),
        do.Note("call_ended", {"outcome": "bridged", "reason": ""}),
        do.CloseCall(Outcome.BRIDGED, ""),
    ]
    assert story.call.stage is Stage.CLOSED


def test_ringing_that_is_reported_twice_is_passed_on_once() -> None:
    story = Story().ring()
    story.send(on.CalleeRang())
    assert story.send(on.CalleeRang()) == []


def test_the_journal_tells_a_good_call_in_order() -> None:
    story = Story().talk()
    story.send(CALLEE_GONE, AGENT_GONE, on.RecorderStopped())
    assert story.notes == [
        "call_gated",
        "callee_dialled",
        "callee_answered",
        "recording_started",
        "call_bridged",
        "call_ended",
    ]


def test_a_call_that_is_not_recorded_is_bridged_as_soon_as_the_notice_is_proven() -> None:
    story = Story(recording={"mode": "off"}).heard()
    assert story.does(on.HeardCommitted()) == [do.AnswerAgent(), do.Bridge()]
    assert story.send(on.Bridged())[0] == do.Note("call_bridged", {"recorded": "no"})


def test_a_campaign_without_any_notice_still_proves_it_before_the_bridge() -> None:
    story = Story(recording={"mode": "off"}, notice={"prompts": []}).ring()
    assert story.does(on.CalleeAnswered()) == [do.CommitHeard(())]


@pytest.mark.parametrize(
    ("block", "prompt", "outcome"),
    [
        (Block.SUPPRESSED_ERASURE, "agent_blocked_suppressed", "blocked"),
        (Block.SUPPRESSED_OBJECTION_MARKETING, "agent_blocked_suppressed", "blocked"),
        (Block.OUTSIDE_HOURS, "agent_blocked_policy", "blocked"),
        (Block.NUMBER_INVALID, "agent_blocked_policy", "blocked"),
        (Block.STORE_UNAVAILABLE, "agent_unavailable", "unavailable"),
    ],
)
def test_a_blocked_call_tells_the_agent_and_dials_nobody(block: Block, prompt: str, outcome: str) -> None:
    story = Story()
    story.send(on.CallRequested())
    assert story.send(on.GateBlocked(block)) == [
        do.Note("call_blocked", {"reason": block.value}),
        do.TellDialplan(Outcome(outcome), block.value),
        do.AnswerAgent(),
        do.Play(Party.AGENT, prompt),
    ]
    assert story.does(on.Played(prompt, whole=True, party=Party.AGENT)) == [
        do.GiveBack(Outcome(outcome), block.value)
    ]
    story.send(AGENT_GONE)
    assert story.ending == (outcome, block.value)
    assert not any(isinstance(each, do.CreateCallee | do.Dial) for each in story.commands)


def test_a_blocked_call_stays_blocked_when_the_agent_cannot_be_answered() -> None:
    story = Story()
    story.send(on.CallRequested(), on.GateBlocked(Block.HOLIDAY))
    story.send(
        on.Failed(do.AnswerAgent()), on.Failed(do.Play(Party.AGENT, "agent_blocked_policy")), AGENT_GONE
    )
    assert story.ending == ("blocked", "holiday")


def test_an_agent_who_does_not_wait_for_the_reason_ends_a_blocked_call() -> None:
    story = Story()
    story.send(on.CallRequested(), on.GateBlocked(Block.HOLIDAY), AGENT_GONE)
    assert story.ending == ("blocked", "holiday")


def test_a_blocked_call_stays_blocked_when_the_service_stops() -> None:
    story = Story()
    story.send(on.CallRequested(), on.GateBlocked(Block.HOLIDAY), on.LetGo("shutdown"), AGENT_GONE)
    assert story.ending == ("blocked", "holiday")


def test_a_gate_that_cannot_be_asked_is_closed() -> None:
    story = Story()
    story.send(on.CallRequested())
    assert story.does(on.Failed(do.CheckGate())) == [
        do.AnswerAgent(),
        do.Play(Party.AGENT, "agent_unavailable"),
    ]


@pytest.mark.parametrize(
    "late",
    [
        on.AgentCreated,
        on.AgentAnswered,
        on.CalleeCreated,
        on.TokenSpent,
        lambda: on.TokenRefused(Block.SUPPRESSED_OBJECTION),
        lambda: on.GateBlocked(Block.SUPPRESSED_OBJECTION),
        lambda: on.GateAllowed(campaign()),
        on.CalleeRang,
        on.CalleeRedirected,
        on.CalleeAnswered,
        on.HumanFound,
        on.MachineFound,
        on.HeardCommitted,
        on.RecordingTagged,
        on.RecorderStarted,
        on.RecorderStopped,
        on.Bridged,
        lambda: on.LedAway(Party.CALLEE),
    ],
)
def test_invariant_1_what_comes_as_the_call_closes_takes_it_further(late: Callable[[], Event]) -> None:
    """The agent has hung up while all this was on its way: nobody is dialled, told or recorded because of it."""
    story = Story().ring()
    story.send(AGENT_GONE)
    closing = story.call
    assert story.send(late()) == []
    assert story.call == closing


def test_a_refused_token_hangs_the_undialled_callee_up() -> None:
    story = Story()
    story.send(on.CallRequested(), on.GateAllowed(story.campaign), on.CalleeCreated())
    assert story.does(on.TokenRefused(Block.SUPPRESSED_OBJECTION)) == [
        do.HangUp(Party.CALLEE),
        do.AnswerAgent(),
        do.Play(Party.AGENT, "agent_blocked_suppressed"),
    ]
    story.send(CALLEE_GONE, on.Played("agent_blocked_suppressed", whole=True, party=Party.AGENT), AGENT_GONE)
    assert story.ending == ("blocked", "suppressed_objection")


def test_the_end_of_the_undialled_callee_does_not_cut_the_reason_short() -> None:
    story = Story()
    story.send(on.CallRequested(), on.GateAllowed(story.campaign), on.CalleeCreated())
    story.send(on.TokenRefused(Block.SUPPRESSED_OBJECTION))
    assert story.send(CALLEE_GONE) == []


def test_a_token_that_cannot_be_read_is_no_leave_to_dial() -> None:
    story = Story()
    story.send(on.CallRequested(), on.GateAllowed(story.campaign), on.CalleeCreated())
    assert story.does(on.Failed(do.SpendToken()))[0] == do.HangUp(Party.CALLEE)
    story.send(CALLEE_GONE, on.Played("agent_unavailable", whole=True, party=Party.AGENT), AGENT_GONE)
    assert story.ending == ("unavailable", "store_unavailable")


def test_a_token_that_fails_while_the_call_closes_changes_nothing() -> None:
    story = Story()
    story.send(on.CallRequested(), on.GateAllowed(story.campaign), on.CalleeCreated(), CALLEE_GONE)
    assert story.send(on.Failed(do.SpendToken())) == []


@pytest.mark.parametrize(
    ("event", "ending"),
    [
        (on.Gone(Party.CALLEE, 17), ("busy", "")),
        (on.Gone(Party.CALLEE, 18), ("no_answer", "")),
        (on.Gone(Party.CALLEE, 19), ("no_answer", "")),
        (on.Gone(Party.CALLEE, 1), ("failed", "unallocated")),
        (on.Gone(Party.CALLEE, 21), ("failed", "rejected")),
        (on.Gone(Party.CALLEE, 28), ("failed", "invalid_number")),
        (on.Gone(Party.CALLEE, 34), ("failed", "congestion")),
        (on.Gone(Party.CALLEE, 38), ("failed", "network")),
        (on.Gone(Party.CALLEE, 20), ("failed", "unreachable")),
        (on.Gone(Party.CALLEE, 22), ("failed", "number_changed")),
        (on.Gone(Party.CALLEE, 27), ("failed", "out_of_order")),
        (on.Gone(Party.CALLEE, 42), ("failed", "congestion")),
        (on.Gone(Party.CALLEE, 127), ("failed", "cause_127")),
        (on.Gone(Party.CALLEE, 127, unwanted=True), ("failed", "unwanted")),
        (on.CalleeRedirected(), ("failed", "redirected")),
        (on.Gone(Party.CALLEE, 23), ("failed", "redirected")),
        (on.TimeRanOut(Timer.RING), ("no_answer", "")),
        (on.Failed(do.Dial()), ("failed", "ring_failed")),
        (AGENT_GONE, ("agent_hangup", "")),
        (on.LetGo("asterisk_lost"), ("unavailable", "asterisk_lost")),
    ],
)
def test_a_call_that_nobody_answers_ends_with_its_reason(event: Event, ending: tuple[str, str]) -> None:
    story = Story().ring()
    story.send(event, CALLEE_GONE, AGENT_GONE)
    assert story.ending == ending


@pytest.mark.parametrize("event", [on.TimeRanOut(Timer.CREATE), on.Failed(do.CreateCallee())])
def test_a_callee_whose_channel_is_in_doubt_is_hung_up(event: Event) -> None:
    story = Story()
    story.send(on.CallRequested(), on.GateAllowed(story.campaign))
    assert do.HangUp(Party.CALLEE) in story.does(event)


@pytest.mark.parametrize(
    ("event", "ending"),
    [
        (CALLEE_GONE, ("callee_hangup", "")),
        (AGENT_GONE, ("agent_hangup", "")),
        (on.LetGo("shutdown"), ("unavailable", "shutdown")),
    ],
)
def test_a_call_that_is_left_during_the_notice_is_never_bridged(
    event: Event, ending: tuple[str, str]
) -> None:
    story = Story().notice()
    story.send(event, CALLEE_GONE, AGENT_GONE)
    assert story.ending == ending
    assert not any(isinstance(each, do.Bridge | do.CommitHeard) for each in story.commands)


def test_a_notice_that_is_not_heard_whole_ends_the_call() -> None:
    story = Story().notice()
    assert story.send(on.Played("identity", whole=False)) == [
        do.Note("notice_broken", {"prompt": "identity"}),
        do.SetTimer(Timer.UNHEARD, UNHEARD_SECONDS),
    ]
    assert story.does(on.TimeRanOut(Timer.UNHEARD)) == [
        do.HangUp(Party.CALLEE),
        do.GiveBack(Outcome.NOTICE_FAILED, "not_played"),
    ]
    story.send(CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("notice_failed", "not_played")


def test_a_notice_broken_by_the_callee_who_hangs_up_is_their_hang_up() -> None:
    story = Story().notice()
    story.send(on.Played("identity", whole=False), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("callee_hangup", "")


def test_a_prompt_that_cannot_be_played_is_not_heard() -> None:
    story = Story().notice()
    story.send(
        on.Failed(do.Play(Party.CALLEE, "identity")), on.TimeRanOut(Timer.UNHEARD), CALLEE_GONE, AGENT_GONE
    )
    assert story.ending == ("notice_failed", "not_played")


def test_a_notice_with_a_gap_is_not_proven() -> None:
    """No event leads here; if one ever does, the call ends."""
    gap = Call(stage=Stage.NOTICE, campaign=campaign(), callee=Leg.HERE, playing="rights")
    _, commands = decide(gap, on.Played("rights", whole=True))
    assert do.GiveBack(Outcome.NOTICE_FAILED, "not_heard") in commands
    assert not any(isinstance(each, do.CommitHeard) for each in commands)


def test_a_notice_that_cannot_be_proven_ends_the_call() -> None:
    story = Story().heard()
    story.send(on.Failed(do.CommitHeard(())), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("unavailable", "store_unavailable")


def test_a_notice_whose_sounds_were_replaced_passes_for_a_fault_of_the_database() -> None:
    """A caller would go where the dialplan connects those whom ccari could not serve."""
    story = Story().heard()
    story.send(on.Failed(do.CommitHeard(()), refused=True), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("notice_failed", "not_played")


@pytest.mark.parametrize(
    "event",
    [
        on.Failed(do.TagRecording()),
        on.Failed(do.StartRecorder()),
        on.TimeRanOut(Timer.RECORDER),
        on.RecorderStopped(),
    ],
)
def test_a_call_that_cannot_be_recorded_goes_on_unrecorded(event: Event) -> None:
    story = Story().heard()
    story.send(on.HeardCommitted())
    if event != on.Failed(do.TagRecording()):
        story.send(on.RecordingTagged())
    assert story.does(event) == [do.AnswerAgent(), do.Bridge()]
    assert "recording_impossible" in story.notes
    story.send(on.Bridged(), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("bridged", "recording_failed")


@pytest.mark.parametrize("event", [on.Failed(do.StartRecorder()), on.TimeRanOut(Timer.RECORDER)])
def test_a_call_that_must_be_recorded_and_cannot_ends_with_a_goodbye(event: Event) -> None:
    story = Story(recording={"mode": "opt_out", "without": "hang_up"}).recorder()
    assert story.does(event) == [do.Play(Party.CALLEE, "goodbye")]
    story.send(on.Played("goodbye", whole=True), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("failed", "recording_failed")


@pytest.mark.parametrize("event", [on.Failed(do.StartRecorder()), on.TimeRanOut(Timer.RECORDER)])
def test_a_recorder_that_starts_after_it_was_given_up_is_stopped_and_its_file_thrown_away(
    event: Event,
) -> None:
    story = Story().recorder()
    story.send(event, on.Bridged())
    assert story.does(on.RecorderStarted()) == [do.StopRecorder(keep=False)]


def test_a_recorder_that_fails_to_start_while_the_call_closes_does_not_hold_it() -> None:
    story = Story().recorder()
    story.send(CALLEE_GONE, AGENT_GONE)
    assert story.does(on.Failed(do.StartRecorder()))[-1] == do.CloseCall(Outcome.CALLEE_HANGUP, "")


def test_a_recorder_that_cannot_be_stopped_holds_a_call_that_is_over_or_changes_how_it_ended() -> None:
    story = Story().talk()
    story.send(CALLEE_GONE, AGENT_GONE)
    assert story.does(on.Failed(do.StopRecorder(keep=True)))[-1] == do.CloseCall(Outcome.BRIDGED, "")
    barred = Story().talk()
    barred.send(on.KeyPressed("7"), on.RightRegistered(Right.ERASURE, "R-1"))
    barred.send(on.Failed(do.StopRecorder(keep=True)), CALLEE_GONE, AGENT_GONE)
    assert barred.ending == ("right_exercised", "erasure")


def test_a_recorder_that_ends_by_itself_leaves_the_talk_going() -> None:
    story = Story().talk()
    assert story.send(on.RecorderStopped()) == [
        do.Note("recording_impossible", {"stage": "talk"}),
        do.TellDialplan(Outcome.BRIDGED, "recording_failed"),
        do.Play(Party.AGENT, "agent_recording_stopped"),
    ]


def test_a_recorder_that_ends_by_itself_ends_a_talk_that_must_be_recorded() -> None:
    story = Story(recording={"mode": "opt_out", "without": "hang_up"}).talk()
    assert story.does(on.RecorderStopped()) == [do.Part(), do.Play(Party.CALLEE, "goodbye")]


def test_a_talk_that_ends_with_its_recorder_was_no_talk() -> None:
    story = Story(recording={"mode": "opt_out", "without": "hang_up"}).talk()
    story.send(on.RecorderStopped(), on.Played("goodbye", whole=True), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("bridged", "recording_failed")


@pytest.mark.parametrize("party", list(Party))
def test_either_who_leaves_the_talk_ends_it_as_bridged(party: Party) -> None:
    story = Story().talk()
    story.send(on.Gone(party), on.RecorderStopped(), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("bridged", "")


@pytest.mark.parametrize("party", list(Party))
def test_who_is_led_out_of_the_talk_is_recorded_elsewhere_or_leaves_the_other_in_silence(
    party: Party,
) -> None:
    at = datetime(2026, 11, 29, 12, tzinfo=UTC)
    story = Story().talk()
    assert story.does(on.LedAway(party, at)) == [
        do.StopRecorder(keep=True, at=at),
        do.HangUp(Party.CALLEE),
        do.GiveBack(Outcome.BRIDGED, ""),
    ]
    assert do.Note("leg_led_away", {"party": party.value}) in story.commands


def test_whoever_is_bid_farewell_is_told_as_led_away() -> None:
    """They were parted from the agent."""
    story = Story(recording={"mode": "opt_out", "without": "hang_up"}).talk()
    story.send(on.RecorderStopped())
    assert story.send(on.LedAway(Party.CALLEE)) == []


def test_a_talk_that_the_service_has_to_end_was_bridged() -> None:
    story = Story().talk()
    story.send(on.LetGo("shutdown"), on.RecorderStopped(), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("bridged", "shutdown")


@pytest.mark.parametrize("command", [do.Bridge(), do.AnswerAgent()])
def test_a_bridge_that_cannot_be_made_ends_the_call(command: do.Bridge | do.AnswerAgent) -> None:
    story = Story().recorder()
    story.send(on.RecorderStarted(), on.Failed(command), CALLEE_GONE, on.RecorderStopped(), AGENT_GONE)
    assert story.ending == ("failed", "bridge_failed")


def test_a_party_whose_end_is_never_reported_does_not_hold_the_call() -> None:
    story = Story().talk()
    story.send(CALLEE_GONE, on.TimeRanOut(Timer.CLOSE))
    assert story.ending == ("bridged", "")


def test_a_closed_call_answers_nothing() -> None:
    story = Story()
    story.send(on.CallRequested(), AGENT_GONE)
    assert story.call.stage is Stage.CLOSED
    assert story.send(on.CallRequested(), AGENT_GONE, on.TimeRanOut(Timer.CLOSE), on.LetGo("shutdown")) == []


def test_a_call_whose_two_were_never_brought_together_keeps_what_its_recorder_heard() -> None:
    """Silence, and a file that may be empty: it would lie in the spool for ever."""
    story = Story().recorder()
    story.send(on.RecorderStarted())
    assert do.StopRecorder(keep=False, binding=False) in story.send(AGENT_GONE)


@pytest.mark.parametrize(("refused", "reason"), [(True, "refused"), (False, "unanswered")])
def test_a_call_that_asterisk_refused_to_dial_is_on_record_as_dialled(*, refused: bool, reason: str) -> None:
    story = Story().ring()
    told = do.Note("dial_failed", {"party": "callee", "reason": reason})
    assert story.send(on.Failed(do.Dial(), refused=refused))[0] == told
    story.send(on.Gone(Party.CALLEE), on.Gone(Party.AGENT))
    assert story.ending == ("failed", "ring_failed")


def test_a_dial_that_failed_is_left_out_because_the_callee_had_gone_already() -> None:
    story = Story().ring()
    story.send(on.Gone(Party.CALLEE))
    failed = on.Failed(do.Dial(), refused=True)
    assert story.send(failed) == [do.Note("dial_failed", {"party": "callee", "reason": "refused"})]
