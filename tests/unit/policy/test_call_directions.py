"""Calls that the API places, agent first or callee first, and inbound calls."""

import pytest

from ccari.policy.call import Direction, Event, Outcome, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import HOLD_SECONDS
from ccari.policy.gate import Block
from ccari.policy.rights import Right
from tests.unit.policy.campaigns import ALL_KEYS
from tests.unit.policy.story import Story

AGENT_GONE, CALLEE_GONE = on.Gone(Party.AGENT), on.Gone(Party.CALLEE)
AGENT_BUSY = on.Gone(Party.AGENT, 17)
ERASED = on.RightRegistered(Right.ERASURE, "R-1")


def says(prompt: str) -> do.Play:
    return do.Play(Party.CALLEE, prompt)


def allowed(direction: Direction, *, known: bool = True, **changes: object) -> Story:
    story = Story(agent="PJSIP/anna", **changes)
    story.send(on.CallRequested(direction), on.GateAllowed(story.campaign, known=known))
    return story


def ringing(direction: Direction) -> Story:
    """The callee's phone rings; if the agent is first, the agent is on the line."""
    story = allowed(direction)
    if direction is Direction.AGENT_FIRST:
        story.send(on.AgentCreated(), on.AgentAnswered())
    story.send(on.CalleeCreated(), on.TokenSpent())
    return story


def hear(story: Story) -> Story:
    """The callee hears the whole notice, from its start, and it is proven."""
    story.send(*(on.Played(prompt, whole=True) for prompt in story.call.notice))
    return story


def inbound(*, known: bool = True, **changes: object) -> Story:
    """The caller has been answered."""
    story = allowed(Direction.INBOUND, known=known, **changes)
    story.send(on.CalleeAnswered())
    return story


def test_an_agent_who_is_first_has_answered_before_anybody_else_is_called() -> None:
    story = Story(agent="PJSIP/anna", connect_seconds=20)
    story.send(on.CallRequested(Direction.AGENT_FIRST))
    assert story.send(on.GateAllowed(story.campaign)) == [
        do.Note("call_gated", {"direction": "agent_first"}),
        do.SetTimer(Timer.AGENT, 20.0),
        do.CallAgent(),
    ]
    assert story.does(on.AgentCreated()) == [do.DialAgent()]
    assert story.does(on.AgentAnswered()) == [do.CreateCallee()]
    assert story.does(on.CalleeCreated()) == [do.SpendToken()]
    assert story.does(on.TokenSpent()) == [do.Dial()]


def test_an_agent_who_is_first_hears_the_callee_ring_until_the_bridge() -> None:
    story = ringing(Direction.AGENT_FIRST)
    assert story.does(on.CalleeRang()) == [do.Ring(Party.AGENT)]
    story.send(on.CalleeAnswered())
    hear(story).send(on.HeardCommitted(), on.RecordingTagged())
    assert story.does(on.RecorderStarted()) == [do.StopRinging(Party.AGENT), do.Bridge()]


@pytest.mark.parametrize(
    "event", [AGENT_BUSY, on.TimeRanOut(Timer.AGENT), on.Failed(do.CallAgent()), on.Failed(do.DialAgent())]
)
def test_no_callee_is_called_for_an_agent_who_does_not_answer(event: Event) -> None:
    story = allowed(Direction.AGENT_FIRST)
    story.send(on.AgentCreated(), event, AGENT_GONE, on.AgentAnswered())
    assert story.ending == ("failed", "no_agent")
    assert do.CreateCallee() not in story.commands


def test_an_agent_who_answers_as_they_are_given_up_has_no_callee_called() -> None:
    story = allowed(Direction.AGENT_FIRST)
    assert story.does(on.AgentCreated(), on.TimeRanOut(Timer.AGENT)) == [
        do.DialAgent(),
        do.HangUp(Party.AGENT),
    ]
    assert story.send(on.AgentAnswered()) == []


def test_an_agent_who_was_called_is_told_on_their_own_phone_that_the_number_is_barred() -> None:
    story = allowed(Direction.AGENT_FIRST)
    story.send(on.AgentCreated(), on.AgentAnswered(), on.CalleeCreated())
    told = do.Play(Party.AGENT, "agent_blocked_suppressed")
    assert story.does(on.TokenRefused(Block.SUPPRESSED_OBJECTION)) == [do.HangUp(Party.CALLEE), told]
    said = on.Played("agent_blocked_suppressed", whole=True, party=Party.AGENT)
    assert story.does(said) == [do.HangUp(Party.AGENT)]


def test_an_agent_is_called_for_a_callee_only_once_that_callee_has_answered() -> None:
    story = ringing(Direction.CALLEE_FIRST)
    assert do.CallAgent() not in story.commands
    assert story.does(on.CalleeRang()) == []
    assert story.does(on.CalleeAnswered()) == [says("identity"), do.CallAgent()]
    assert story.does(on.AgentCreated()) == [do.DialAgent()]


def test_an_agent_who_answers_early_waits_until_the_notice_is_proven() -> None:
    story = ringing(Direction.CALLEE_FIRST)
    story.send(on.CalleeAnswered(), on.AgentCreated())
    assert story.does(on.AgentAnswered()) == []
    assert hear(story).does(on.HeardCommitted()) == [do.TagRecording()]
    assert story.does(on.RecordingTagged()) == [do.StartRecorder()]
    assert story.does(on.RecorderStarted()) == [do.Bridge()]


def waiting() -> Story:
    """The callee has heard everything, and hears the agent's phone ring."""
    story = ringing(Direction.CALLEE_FIRST)
    story.send(on.CalleeAnswered(), on.AgentCreated())
    assert hear(story).send(on.HeardCommitted()) == [do.SetTimer(Timer.CONNECT, 30.0), do.Ring(Party.CALLEE)]
    return story


def test_an_agent_who_answers_late_ends_the_ringing_in_the_callees_ear() -> None:
    assert waiting().does(on.AgentAnswered()) == [do.StopRinging(Party.CALLEE), do.TagRecording()]


def test_a_callee_for_whom_no_agent_comes_in_time_gets_an_apology_and_is_counted() -> None:
    story = waiting()
    assert story.does(on.TimeRanOut(Timer.CONNECT)) == [
        do.StopRinging(Party.CALLEE),
        do.HangUp(Party.AGENT),
        says("abandoned"),
    ]
    story.send(AGENT_GONE, on.Played("abandoned", whole=True), on.Played("goodbye", whole=True), CALLEE_GONE)
    assert story.ending == ("failed", "abandoned")
    assert story.notes.count("call_abandoned") == 1


def test_an_agent_who_answers_into_the_apology_is_not_bridged() -> None:
    story = waiting()
    story.send(on.TimeRanOut(Timer.CONNECT))
    assert story.send(on.AgentAnswered()) == []


@pytest.mark.parametrize("event", [AGENT_BUSY, on.Failed(do.DialAgent())])
def test_a_busy_agent_does_not_cut_the_notice_short_and_nobody_else_is_called(event: Event) -> None:
    story = ringing(Direction.CALLEE_FIRST)
    story.send(on.CalleeAnswered(), on.AgentCreated())
    assert story.does(event) == ([] if event == AGENT_BUSY else [do.HangUp(Party.AGENT)])
    assert hear(story).does(on.HeardCommitted()) == [says("abandoned")]
    assert story.notes.count("call_abandoned") == 1


def test_a_callee_who_hangs_up_while_the_agent_rings_was_not_abandoned() -> None:
    story = waiting()
    assert do.HangUp(Party.AGENT) in story.does(CALLEE_GONE)
    story.send(AGENT_GONE)
    assert story.ending == ("callee_hangup", "")
    assert "call_abandoned" not in story.notes


def test_a_right_that_ends_the_call_lets_go_of_an_agent_who_still_rings() -> None:
    story = waiting()
    assert story.does(on.KeyPressed("7")) == [do.RegisterRight(Right.ERASURE, "7")]
    assert {do.HangUp(Party.AGENT), says("right_registered_erasure")} <= set(story.does(ERASED))


def test_an_agent_is_called_for_a_caller_who_has_refused_the_recording_that_the_call_must_have() -> None:
    story = inbound(recording={"mode": "opt_out", "without": "hang_up"})
    story.send(on.KeyPressed("2"))
    assert hear(story).does(on.HeardCommitted()) == []


def test_whoever_calls_is_answered_and_told_before_the_destination_is_called() -> None:
    story = Story(agent="PJSIP/anna")
    story.send(on.CallRequested(Direction.INBOUND))
    assert story.does(on.GateAllowed(story.campaign)) == [do.AnswerCallee()]
    assert story.does(on.CalleeAnswered()) == [says("identity_inbound")]
    assert hear(story).does(on.HeardCommitted()) == [do.CallAgent(), do.Ring(Party.CALLEE)]
    assert not any(isinstance(each, do.CreateCallee | do.SpendToken | do.Dial) for each in story.commands)


@pytest.mark.parametrize("event", [AGENT_BUSY, on.TimeRanOut(Timer.CONNECT)])
def test_whoever_calls_in_vain_is_given_back_to_the_dialplan_without_apology(event: Event) -> None:
    story = hear(inbound())
    story.send(on.HeardCommitted(), on.AgentCreated())
    assert do.GiveBack(Outcome.FAILED, "no_agent") in story.does(event)
    story.send(AGENT_GONE, CALLEE_GONE)
    assert story.ending == ("failed", "no_agent")
    assert "call_abandoned" not in story.notes
    assert says("abandoned") not in story.commands


@pytest.mark.parametrize("event", [AGENT_BUSY, on.TimeRanOut(Timer.CONNECT)])
def test_a_caller_in_vain_is_given_back_in_the_midst_of_the_answer_to_their_right(event: Event) -> None:
    story = hear(inbound())
    story.send(on.HeardCommitted(), on.AgentCreated(), on.KeyPressed("8"))
    story.send(on.RightRegistered(Right.ACCESS, "R-1"))
    assert story.call.playing == "right_registered_access"
    assert not any(isinstance(each, do.GiveBack | do.StopPlaying) for each in story.does(event))
    for prompt in ("right_registered_access", *story.call.upcoming[:-1]):
        story.send(on.Played(prompt, whole=True))
    assert story.call.playing is not None
    assert story.does(on.Played(story.call.playing, whole=True))[-1:] == [
        do.GiveBack(Outcome.FAILED, "no_agent")
    ]
    assert says("goodbye") not in story.commands


def test_a_caller_in_vain_who_has_put_the_call_on_hold_keeps_it_for_ever() -> None:
    """The answer to their right waits for them, as last words do, and then the dialplan gets them back."""
    story = hear(inbound())
    story.send(on.HeardCommitted(), on.AgentCreated(), on.KeyPressed("8"))
    story.send(on.RightRegistered(Right.ACCESS, "R-1"), on.HoldBegan())
    assert do.SetTimer(Timer.HOLD, HOLD_SECONDS) in story.send(AGENT_BUSY)
    story.send(on.Played("right_registered_access", whole=True))
    assert story.does(on.TimeRanOut(Timer.HOLD))[-1:] == [do.GiveBack(Outcome.FAILED, "no_agent")]


def test_a_call_that_the_gate_does_not_let_in_is_given_back_unanswered() -> None:
    story = Story()
    story.send(on.CallRequested(Direction.INBOUND))
    assert story.does(on.GateBlocked(Block.STORE_UNAVAILABLE)) == [
        do.GiveBack(Outcome.UNAVAILABLE, "store_unavailable")
    ]


def test_who_withholds_their_number_can_refuse_the_recording_without_a_request() -> None:
    story = inbound(known=False)
    assert story.does(on.KeyPressed("2")) == []
    assert story.does(on.Played("identity_inbound", whole=True)) == [says("continues_unrecorded")]
    story.send(
        *(on.Played(each, whole=True) for each in ("continues_unrecorded", "recording_opt_out", "rights"))
    )
    story.send(on.HeardCommitted(), on.AgentCreated())
    assert story.does(on.AgentAnswered()) == [do.StopRinging(Party.CALLEE), do.Bridge()]
    assert story.call.reason == "recording_refused"


def test_who_withholds_their_number_and_refuses_what_must_be_recorded_is_talked_to_all_the_same() -> None:
    story = inbound(known=False, recording={"mode": "opt_out", "without": "hang_up"})
    story.send(on.KeyPressed("8"))
    assert (story.call.stage, story.call.reason) == (Stage.NOTICE, "")
    story.send(on.KeyPressed("2"))
    assert (story.call.stage, story.call.outcome) == (Stage.FAREWELL, Outcome.RECORDING_REFUSED)
    assert (story.call.reason, story.notes.count("right_unregistrable")) == ("recording_refused", 2)


def test_who_withholds_their_number_and_withdraws_their_consent_is_recorded() -> None:
    asked = {"mode": "opt_in", "legal_basis": "consent"}
    story = inbound(known=False, recording=asked, keys=ALL_KEYS | {"1": "consent_recording"})
    assert story.does(on.KeyPressed("6")) == []
    for said, next_said in (
        ("identity_inbound", "continues_unrecorded"), ("continues_unrecorded", "number_withheld"), ("number_withheld", "recording_opt_in"),
    ):  # fmt: skip
        assert story.does(on.Played(said, whole=True)) == [says(next_said)]
    story.send(on.KeyPressed("1"))
    assert (story.call.agreed, story.call.refused) == (False, True)


@pytest.mark.parametrize("key", ["8", "6"])
def test_who_withholds_their_number_is_told_that_a_request_needs_one(key: str) -> None:
    """And not that the recording is over, because no consent is its basis."""
    story = inbound(known=False)
    assert story.does(on.KeyPressed(key), on.Played("identity_inbound", whole=True)) == [
        says("number_withheld")
    ]
    assert story.call.reason == ""
    assert story.notes.count("right_unregistrable") == 1
    assert story.call.stage is Stage.NOTICE
