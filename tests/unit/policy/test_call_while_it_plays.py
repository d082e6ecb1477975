"""Asterisk puts a channel into a bridge, or takes it out, only between two prompts: until then all its other requests
wait too.
"""

import pytest

from ccari.policy.call import Direction, Outcome, Party, Stage
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.rights import Right
from tests.unit.policy.story import Story

TRANSFERS = {"transfer": "PJSIP/{extension}"}
ASKED = on.TransferAsked("1002")
PRESSED, REGISTERED = on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1")
CONFIRMATION = "right_registered_access"
WHOLE = pytest.mark.parametrize("whole", [True, False])


def says(prompt: str) -> do.Play:
    return do.Play(Party.CALLEE, prompt)


def confirmed(*, whole: bool = True) -> on.Played:
    return on.Played(CONFIRMATION, whole)


def answered_while_confirmed() -> Story:
    """A caller has asked for access, and hears that it is registered, when the agent answers."""
    story = Story(agent="PJSIP/anna")
    story.send(on.CallRequested(Direction.INBOUND), on.GateAllowed(story.campaign), on.CalleeAnswered())
    story.send(*(on.Played(prompt, whole=True) for prompt in story.call.notice), on.HeardCommitted())
    story.send(on.AgentCreated(), PRESSED, REGISTERED, on.AgentAnswered(), on.RecordingTagged())
    return story


@WHOLE
def test_the_two_are_brought_together_while_a_confirmation_is_played(*, whole: bool) -> None:
    story = answered_while_confirmed()
    assert story.does(on.RecorderStarted()) == []
    assert story.does(confirmed(whole=whole)) == [do.Bridge()]
    assert story.does(on.Bridged()) == [says("reference:R-1")]
    assert story.call.stage is Stage.TALK


def test_a_right_pressed_at_the_end_of_the_notice_is_confirmed_into_the_bridging() -> None:
    story = Story().heard()
    story.send(PRESSED, REGISTERED, on.HeardCommitted(), on.RecordingTagged())
    assert story.does(on.RecorderStarted()) == []
    assert story.does(confirmed()) == [do.AnswerAgent(), do.Bridge()]


def test_a_prompt_begins_between_the_bridging_and_its_answer() -> None:
    story = Story().recorder()
    story.send(on.RecorderStarted(), PRESSED)
    assert story.does(REGISTERED) == []
    assert story.does(on.Bridged()) == [says(CONFIRMATION)]


def test_a_call_that_is_not_recorded_any_more_is_bridged_into_its_confirmation() -> None:
    story = answered_while_confirmed()
    story.send(on.KeyPressed("2"), on.RecorderStarted())
    assert story.does(on.RecorderStopped()) == []
    assert story.does(confirmed()) == [do.Bridge()]


@WHOLE
def test_a_callee_is_handed_over_while_a_confirmation_is_played(*, whole: bool) -> None:
    story = Story(**TRANSFERS).talk()
    story.send(PRESSED, REGISTERED)
    assert story.does(ASKED) == [do.StopRecorder(keep=True)]
    assert story.does(on.RecorderStopped()) == []
    assert story.does(confirmed(whole=whole)) == [
        do.HandOver("1002"),
        do.Ring(Party.CALLEE),
        says("reference:R-1"),
    ]


def test_a_confirmation_begins_while_the_recorder_stops_for_a_transfer() -> None:
    story = Story(**TRANSFERS).talk()
    story.send(ASKED, PRESSED)
    assert story.does(REGISTERED) == []
    assert story.does(on.RecorderStopped()) == [
        do.HandOver("1002"),
        do.Ring(Party.CALLEE),
        says(CONFIRMATION),
    ]


def test_a_transfer_waits_for_what_need_not_be_heard() -> None:
    story = Story(**TRANSFERS).talk()
    story.send(on.KeyPressed("*"))
    assert story.does(ASKED) == [do.StopPlaying(), do.StopRecorder(keep=True)]
    story.send(on.RecorderStopped())
    assert story.does(on.Played("identity", whole=False))[0] == do.HandOver("1002")


def test_an_agent_is_let_go_in_the_middle_of_a_whisper() -> None:
    story = Story(**TRANSFERS, agent_keys={"*8": "access"}, recording={"mode": "off"}).heard()
    story.send(
        on.HeardCommitted(), on.Bridged(), on.AgentKeyPressed("*"), on.AgentKeyPressed("8"), REGISTERED
    )
    assert story.does(ASKED) == []
    assert do.HandOver("1002") in story.does(
        on.Played("agent_right_registered", whole=True, party=Party.AGENT)
    )


def test_a_phone_that_hangs_up_in_a_whisper_leaves_the_callee_in_the_bridge() -> None:
    story = Story(**TRANSFERS, agent_keys={"*8": "access"}, recording={"mode": "off"}).heard()
    story.send(
        on.HeardCommitted(), on.Bridged(), on.AgentKeyPressed("*"), on.AgentKeyPressed("8"), REGISTERED
    )
    assert story.does(ASKED) == []
    assert do.HandOver("1002") in story.does(on.Gone(Party.AGENT))


def test_the_dialplan_is_told_of_a_right_while_its_channel_is_played_to() -> None:
    """Asterisk sets a channel's variables, too, only between two prompts."""
    told = do.TellDialplan(Outcome.BRIDGED, "access")
    story = answered_while_confirmed()
    story.send(on.RecorderStarted(), confirmed(), on.Bridged(), on.KeyPressed("9"))
    assert story.send(on.KeyPressed("4"), on.RightRegistered(Right.RECTIFICATION, "R-2")).count(told) == 0
    assert story.send(on.Played("reference:R-1", whole=True))[0] == told
    assert told not in story.send(on.Played("source_asked", whole=True))
