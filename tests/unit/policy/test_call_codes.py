"""What an agent's codes do in the talk, and what only the agent hears about it."""

from datetime import UTC, datetime, timedelta

import pytest

from ccari.policy.call import Command, Event, Outcome, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import CODE_SECONDS, replace
from ccari.policy.rights import Right
from tests.unit.policy.story import Story

CODES = {
    "agent_keys": {
        "*1": "pause_recording",
        "*2": "resume_recording",
        "*3": "stop_recording",
        "*7": "erasure",
        "*88": "access",
    }
}
AT = datetime(2026, 11, 25, 10, tzinfo=UTC)
ACCESS_BY_AGENT = do.RegisterRight(Right.ACCESS, "*88", Party.AGENT)
ACCESSED = on.RightRegistered(Right.ACCESS, "R-1")


def whispers(prompt: str) -> do.Play:
    return do.Play(Party.AGENT, prompt)


def whispered(prompt: str) -> on.Played:
    return on.Played(prompt, whole=True, party=Party.AGENT)


def enter(story: Story, keys: str) -> list[Command]:
    return story.does(*map(on.AgentKeyPressed, keys))


def test_a_pause_keeps_what_was_recorded_and_is_told_once_nothing_is_recorded_any_more() -> None:
    story = Story(**CODES).talk()
    assert enter(story, "*1") == [do.StopRecorder(keep=True)]
    assert story.does(on.RecorderStopped()) == [whispers("agent_recording_paused")]


@pytest.mark.parametrize(
    ("code", "commands"),
    [
        ("*1", [do.StopRecorder(keep=True, at=AT)]),
        (
            "*3",
            [
                do.StopRecorder(keep=True, at=AT),
                do.RegisterRight(Right.REFUSE_RECORDING, "*3", Party.AGENT, AT),
            ],
        ),
    ],
)
def test_a_code_counts_from_when_somebody_came_to_it(code: str, commands: list[Command]) -> None:
    """A card's number may have been said by then."""
    story = Story(**CODES).talk()
    story.send(on.AgentKeyPressed("*", AT - timedelta(seconds=1)))
    assert story.does(on.AgentKeyPressed(code[1], AT)) == commands


def test_a_recording_that_is_taken_up_again_has_a_tag_and_a_file_of_its_own() -> None:
    story = Story(**CODES).talk()
    enter(story, "*1")
    story.send(on.RecorderStopped(), whispered("agent_recording_paused"))
    assert enter(story, "*2") == [do.TagRecording()]
    assert story.does(on.RecordingTagged()) == [do.StartRecorder()]
    assert story.does(on.RecorderStarted()) == [whispers("agent_recording_started")]


@pytest.mark.parametrize(
    "since", [[], [on.RecordingTagged()], [on.RecordingTagged(), on.Failed(do.StartRecorder())]]
)
@pytest.mark.parametrize("again", [False, True])
def test_invariant_6_a_key_held_since_before_a_pause_cuts_nothing_while_the_recording_is_taken_up_again(
    since: list[Event], *, again: bool
) -> None:
    """What was said from the press to the pause stayed. The agent may have paused once more meanwhile."""
    story = Story(**CODES).talk()
    enter(story, "*1")
    story.send(on.RecorderStopped(), whispered("agent_recording_paused"))
    enter(story, "*2")
    if again:
        enter(story, "*1")
    story.send(*since)
    cut, registered = story.does(on.KeyPressed("2", AT))[:2]
    assert cut == do.CutRecording(AT)
    assert registered == do.RegisterRight(Right.REFUSE_RECORDING, "2", at=AT)


def test_an_agent_who_pauses_again_is_told_so_before_the_recorder_stopped_or_never() -> None:
    story = Story(**CODES).talk()
    assert enter(story, "*2") == [whispers("agent_recording_started")]
    story.send(whispered("agent_recording_started"))
    enter(story, "*1")
    assert enter(story, "*1") == []
    story.send(on.RecorderStopped(), whispered("agent_recording_paused"))
    assert enter(story, "*1") == [whispers("agent_recording_paused")]
    story.send(whispered("agent_recording_paused"))
    # a digit of the card's number is not a code
    assert enter(story, "5") == []


def test_a_pause_that_is_over_before_the_recorder_stopped_is_not_told_as_one() -> None:
    story = Story(**CODES).talk()
    enter(story, "*1*2")
    assert story.does(on.RecorderStopped()) == [do.TagRecording()]


def test_a_pause_while_the_next_recorder_is_tagged_starts_none() -> None:
    story = Story(**CODES).talk()
    enter(story, "*1")
    story.send(on.RecorderStopped(), whispered("agent_recording_paused"))
    enter(story, "*2*1")
    assert story.does(on.RecordingTagged()) == []


def test_a_pause_while_the_next_recorder_starts_is_told_once_its_file_is_thrown_away() -> None:
    story = Story(**CODES).talk()
    enter(story, "*1")
    story.send(on.RecorderStopped(), whispered("agent_recording_paused"))
    enter(story, "*2")
    story.send(on.RecordingTagged())
    assert enter(story, "*1") == []
    assert story.does(on.RecorderStarted()) == [do.StopRecorder(keep=False)]
    assert story.does(on.RecorderStopped()) == [whispers("agent_recording_paused")]


@pytest.mark.parametrize(
    "over",
    [[on.Gone(Party.CALLEE)], [on.KeyPressed("7"), on.RightRegistered(Right.ERASURE, "R-1")]],
    ids=["closing", "last-words"],
)
def test_invariant_2_a_recorder_that_was_asked_for_in_the_talk_runs_after_it(over: list[Event]) -> None:
    """Its tag, or its start, comes back when the two have been parted."""
    story = Story(**CODES).talk()
    enter(story, "*1")
    story.send(on.RecorderStopped(), whispered("agent_recording_paused"))
    enter(story, "*2")
    tagging = story.call
    story.send(*over)
    assert story.does(on.RecordingTagged()) == []
    story.call = tagging
    story.send(on.RecordingTagged(), *over)
    assert story.does(on.RecorderStarted()) == [do.StopRecorder(keep=False)]


def test_an_agent_who_stops_the_recording_has_refused_it_for_the_callee() -> None:
    story = Story(**CODES).talk()
    assert enter(story, "*3") == [
        do.StopRecorder(keep=True),
        do.RegisterRight(Right.REFUSE_RECORDING, "*3", Party.AGENT),
    ]
    story.send(on.RecorderStopped())
    done = story.does(on.RightRegistered(Right.REFUSE_RECORDING, "R-1"))
    assert done == [whispers("agent_right_registered")]
    story.send(whispered("agent_right_registered"))
    assert enter(story, "*2") == [whispers("agent_recording_stopped")]


def test_what_the_callee_refused_no_code_of_the_agent_takes_up_again() -> None:
    story = Story(**CODES).talk()
    story.send(on.KeyPressed("2"), on.RightRegistered(Right.REFUSE_RECORDING, "R-1"), on.RecorderStopped())
    assert enter(story, "*1*2") == [whispers("agent_recording_stopped")]


def test_a_right_by_code_is_confirmed_to_the_agent_alone_once_it_is_durable() -> None:
    story = Story(**CODES).talk()
    assert enter(story, "*88") == [ACCESS_BY_AGENT]
    assert story.does(ACCESSED) == [whispers("agent_right_registered")]


def test_a_right_by_code_entered_twice_is_registered_once_and_confirmed_again() -> None:
    story = Story(**CODES).talk()
    enter(story, "*88")
    assert enter(story, "*88") == []
    story.send(ACCESSED, whispered("agent_right_registered"))
    assert enter(story, "*88") == [whispers("agent_right_registered")]


def test_a_right_by_code_that_fails_is_told_to_the_agent_and_may_be_entered_again() -> None:
    story = Story(**CODES).talk()
    enter(story, "*88")
    assert story.does(on.Failed(ACCESS_BY_AGENT)) == [whispers("agent_right_failed")]
    assert enter(story, "*88") == [ACCESS_BY_AGENT]


def test_a_key_of_the_callee_makes_the_agents_right_the_callees_own() -> None:
    story = Story(**CODES).talk()
    enter(story, "*88")
    assert story.does(on.KeyPressed("8")) == []
    assert story.does(ACCESSED) == [do.Play(Party.CALLEE, "right_registered_access")]


def test_an_agent_is_not_told_of_a_right_that_waits_on_this_node() -> None:
    story = Story(**CODES).talk()
    enter(story, "*7")
    assert story.does(on.RightSpooled(Right.ERASURE)) == [whispers("agent_right_registered")]


def test_an_erasure_by_code_ends_no_talk_in_which_the_two_speak_of_it() -> None:
    story = Story(**CODES).talk()
    assert enter(story, "*7")[0] == do.StopRecorder(keep=True)
    assert story.does(on.RightRegistered(Right.ERASURE, "R-1")) == [whispers("agent_right_registered")]
    assert story.call.stage is Stage.TALK
    assert story.call.reason == "erasure"


def test_a_stop_by_code_ends_a_talk_that_must_be_recorded() -> None:
    story = Story(**CODES, recording={"mode": "opt_out", "without": "hang_up"}).talk()
    enter(story, "*3")
    told = story.does(on.RightRegistered(Right.REFUSE_RECORDING, "R-1"))
    assert told == [do.Part(), do.Play(Party.CALLEE, "recording_stopped")]
    assert story.call.outcome is Outcome.RECORDING_REFUSED


def test_an_agent_is_told_that_a_withheld_number_can_have_no_request() -> None:
    story = Story(**CODES, recording={"mode": "off"})
    story.send(
        on.CallRequested(), on.GateAllowed(story.campaign, known=False), on.CalleeCreated(), on.TokenSpent()
    )
    story.send(on.CalleeAnswered(), on.Played("identity", whole=True), on.Played("rights", whole=True))
    story.send(on.HeardCommitted(), on.Bridged())
    assert enter(story, "*88") == [whispers("agent_right_failed")]


def test_a_code_that_is_typed_halfway_is_forgotten() -> None:
    story = Story(**CODES).talk()
    assert story.send(on.AgentKeyPressed("*")) == [do.SetTimer(Timer.CODE, CODE_SECONDS)]
    story.send(on.AgentKeyPressed("8"), on.TimeRanOut(Timer.CODE))
    assert enter(story, "8") == []


def test_a_star_begins_a_code_anew() -> None:
    assert enter(Story(**CODES).talk(), "*8*88") == [ACCESS_BY_AGENT]


def test_a_code_that_does_nothing_is_told_and_a_lone_digit_is_not() -> None:
    story = Story(**CODES).talk()
    assert enter(story, "*9") == [whispers("agent_code_unknown")]
    assert enter(story, "88") == []


@pytest.mark.parametrize("events", [(), (on.HeardCommitted(),), (on.HeardCommitted(), on.RecordingTagged())])
def test_a_code_before_the_talk_is_none(events: tuple[on.HeardCommitted | on.RecordingTagged, ...]) -> None:
    story = Story(**CODES).heard()
    story.send(*events)
    assert enter(story, "*88") == []
    assert story.call.typed == ""


def test_whispers_wait_for_one_another() -> None:
    story = Story(**CODES).talk()
    enter(story, "*9")
    enter(story, "*88")
    assert story.does(ACCESSED) == []
    assert story.does(whispered("agent_code_unknown")) == [whispers("agent_right_registered")]


def test_the_journal_tells_the_code_before_what_came_of_it() -> None:
    story = Story(**CODES).talk()
    enter(story, "*88")
    assert story.commands[-2:] == [
        do.Note("agent_code_entered", {"code": "*88", "action": "access"}),
        ACCESS_BY_AGENT,
    ]


def test_a_right_at_the_screen_is_another_than_by_code_or_needs_one() -> None:
    story = Story().talk()
    assert story.does(on.RightVoiced(Right.ACCESS, AT)) == [
        do.RegisterRight(Right.ACCESS, "screen", Party.AGENT, AT)
    ]
    assert story.does(on.RightVoiced(Right.ACCESS, AT)) == []
    assert story.does(ACCESSED) == [whispers("agent_right_registered")]
    assert story.does(on.RightVoiced(Right.OBJECTION, AT)) == [
        do.StopRecorder(keep=True, at=AT), do.RegisterRight(Right.OBJECTION, "screen", Party.AGENT, AT),
    ]  # fmt: skip


def test_a_right_that_was_passed_on_in_the_talk_is_lost_with_its_end() -> None:
    """The agent was told on the screen that it was passed on: it waits behind what ends the talk."""
    recorder, erased = on.RecorderStopped(), on.RightRegistered(Right.ERASURE, "")
    events: list[tuple[list[Event], Stage]] = [
        ([on.Gone(Party.CALLEE)], Stage.CLOSE),
        ([on.TransferAsked("1002")], Stage.HANDOVER),
        ([on.TransferAsked("1002"), recorder], Stage.CONNECT),
        ([on.TransferAsked("1002"), recorder, on.AgentCreated(), on.AgentAnswered()], Stage.BRIEFING),
        ([on.KeyPressed("7"), erased], Stage.FAREWELL),
    ]
    for before, stage in events:
        story = Story(transfer="PJSIP/{extension}").talk()
        story.send(*before)
        assert story.call.stage is stage
        voiced = story.does(on.RightVoiced(Right.ACCESS, AT))
        assert voiced == [do.RegisterRight(Right.ACCESS, "screen", Party.AGENT, AT)]
        # the answer is the callee's, if anybody's: the agent who asked is no longer there
        for each in (ACCESSED, on.RightVoiced(Right.ACCESS, AT)):
            told = story.does(each)
            assert not [one for one in told if isinstance(one, do.Play) and one.party is Party.AGENT]


def test_who_withholds_their_number_has_a_colleague_hear_what_the_former_agent_entered() -> None:
    story = Story(transfer="PJSIP/{extension}").talk()
    story.send(on.TransferAsked("1002"), on.RecorderStopped())
    story.call = replace(story.call, known=False)
    assert story.does(on.RightVoiced(Right.ACCESS, AT)) == []
    assert "number_withheld" in story.call.upcoming


def test_a_right_at_the_screen_before_the_talk_is_registered() -> None:
    assert Story().heard().does(on.RightVoiced(Right.ACCESS, AT)) == []
