"""A callee who puts the call on hold hears nothing, and is not taken to have heard what was played."""

import pytest

from ccari.policy.call import Direction, Event, Outcome, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import AGREEMENT_SECONDS, HOLD_SECONDS
from ccari.policy.rights import Right
from tests.unit.policy.campaigns import ALL_KEYS
from tests.unit.policy.story import Story

#: The notice is these two, and the rights.
FIRST, SECOND = "identity", "recording_opt_out"


def says(prompt: str) -> do.Play:
    return do.Play(Party.CALLEE, prompt)


@pytest.mark.parametrize("ended", [True, False], ids=["played to its end all the same", "stopped"])
def test_invariant_3_what_is_played_to_a_callee_on_hold_counts_as_heard(ended: bool) -> None:  # noqa: FBT001
    story = Story().notice()
    assert story.does(on.HoldBegan()) == [do.StopPlaying()]
    assert story.does(on.Played(FIRST, whole=ended)) == []
    assert story.call.stage is Stage.NOTICE
    assert story.does(on.HoldEnded()) == [says(FIRST)]
    for prompt in story.call.notice:
        story.send(on.Played(prompt, whole=True))
    assert do.CommitHeard(story.call.notice) in story.commands


def test_a_prompt_that_was_heard_before_the_hold_is_said_again() -> None:
    story = Story().notice()
    story.send(on.Played(FIRST, whole=True), on.HoldBegan(), on.Played(SECOND, whole=False))
    assert story.does(on.HoldEnded()) == [says(SECOND)]


def test_invariant_3_a_prompt_counts_of_which_the_beginning_was_missed() -> None:
    """They are back before Asterisk has stopped it."""
    story = Story().notice()
    story.send(on.HoldBegan())
    assert story.does(on.HoldEnded()) == []
    assert story.does(on.Played(FIRST, whole=True)) == [says(FIRST)]
    assert story.call.heard == frozenset()


def test_an_agent_waits_for_ever_for_a_callee_who_has_put_the_call_on_hold() -> None:
    story = Story().notice()
    assert do.SetTimer(Timer.HOLD, HOLD_SECONDS) in story.send(on.HoldBegan())
    assert do.Note("notice_put_off") in story.commands
    story.send(on.Played(FIRST, whole=False), on.TimeRanOut(Timer.HOLD))
    assert (story.call.stage, story.call.outcome) == (Stage.CLOSE, Outcome.NOTICE_FAILED)
    assert story.call.reason == "on_hold"


def test_a_callee_who_is_back_in_time_is_hung_up_on() -> None:
    story = Story().notice()
    story.send(on.HoldBegan(), on.Played(FIRST, whole=False), on.HoldEnded())
    assert story.send(on.TimeRanOut(Timer.HOLD)) == []


def test_the_answer_to_a_right_is_lost_on_a_callee_who_puts_it_on_hold() -> None:
    story = Story().notice()
    story.send(on.KeyPressed("8"), on.Played(FIRST, whole=True), on.RightRegistered(Right.ACCESS, "R-1"))
    story.send(on.Played(SECOND, whole=True))
    assert story.call.playing == "right_registered_access"
    waiting = story.call.upcoming
    assert story.does(on.HoldBegan()) == [do.StopPlaying()]
    story.send(on.Played("right_registered_access", whole=False))
    assert story.does(on.HoldEnded()) == [says("right_registered_access")]
    assert story.call.upcoming == waiting


def test_invariant_3_a_notice_counts_that_was_played_to_a_caller_who_came_on_hold() -> None:
    """They put the call on hold in the dialplan, before they were handed over."""
    story = Story(agent="PJSIP/anna")
    story.send(on.CallRequested(Direction.INBOUND), on.GateAllowed(story.campaign))
    assert story.send(on.CalleeAnswered(on_hold=True))[-3:] == [
        do.Note("notice_put_off"), do.SetTimer(Timer.HOLD, HOLD_SECONDS), do.ShowCard(),
    ]  # fmt: skip
    assert story.does(on.HoldEnded()) == [says("identity_inbound")]


def test_a_notice_begins_that_nobody_hears() -> None:
    """The callee put the call on hold while Asterisk listened for a machine."""
    story = Story(answering_machine={}).ring()
    story.send(on.CalleeAnswered(), on.HoldBegan())
    begun = story.send(on.HumanFound())
    assert do.SetTimer(Timer.HOLD, HOLD_SECONDS) in begun
    assert not any(isinstance(each, do.Play) for each in begun)
    assert story.does(on.HoldEnded()) == [says(FIRST)]


@pytest.mark.parametrize("event", [on.HoldBegan(), on.HoldEnded()])
def test_a_hold_disturbs_a_talk(event: Event) -> None:
    story = Story().talk()
    assert story.send(event) == []
    assert story.call.stage is Stage.TALK


WAITED, REPEATED = on.Played("transfer_wait", whole=True), on.Played(SECOND, whole=True)


@pytest.mark.parametrize(
    "events",
    [
        (WAITED, on.HoldBegan(), on.HoldEnded(), REPEATED),
        (on.HoldBegan(), WAITED, on.HoldEnded(), REPEATED),
        (on.HoldBegan(), WAITED, REPEATED),
    ],
    ids=["within", "its beginning", "all of it"],
)
def test_invariant_2_a_repeated_notice_counts_that_was_played_to_a_callee_on_hold(
    events: tuple[Event, ...],
) -> None:
    recording = {"mode": "opt_out", "on_transfer": "repeat"}
    story = Story(recording=recording, transfer="PJSIP/{extension}").talk()
    story.send(on.TransferAsked("1002"), on.RecorderStopped(), *events[:-1])
    assert story.call.playing == SECOND
    story.send(events[-1], on.AgentCreated(), on.AgentAnswered())
    assert "recording_impossible" in story.notes


REGISTERED = "right_registered_access"


def test_the_answer_to_a_right_is_lost_on_a_callee_who_puts_the_talk_on_hold() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"))
    assert story.call.playing == REGISTERED
    waiting = story.call.upcoming
    assert story.send(on.HoldBegan()) == [do.StopPlaying()]
    assert story.send(on.Played(REGISTERED, whole=True)) == []
    assert story.does(on.HoldEnded()) == [says(REGISTERED)]
    assert story.call.upcoming == waiting


def waits_for_an_agent() -> Story:
    """A caller who asks for access, which is being confirmed, while the agent's phone rings."""
    story = Story(agent="PJSIP/anna")
    story.send(on.CallRequested(Direction.INBOUND), on.GateAllowed(story.campaign), on.CalleeAnswered())
    story.send(*(on.Played(prompt, whole=True) for prompt in story.call.notice))
    story.send(on.HeardCommitted(), on.AgentCreated())
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"))
    assert (story.call.stage, story.call.playing) == (Stage.CONNECT, REGISTERED)
    return story


def said_to_nobody(story: Story) -> list[str]:
    """Play all that is said, to its end; gives what that was."""
    said = []
    while story.call.playing is not None:
        said.append(story.call.playing)
        story.send(on.Played(story.call.playing, whole=True))
    return said


def test_the_answer_to_a_right_is_lost_on_a_caller_who_puts_the_wait_for_an_agent_on_hold() -> None:
    story = waits_for_an_agent()
    story.send(on.HoldBegan())
    answer = said_to_nobody(story)
    assert answer[0] == REGISTERED
    assert len(answer) > 1
    assert story.does(on.HoldEnded()) == [says(REGISTERED)]
    assert said_to_nobody(story) == answer
    assert story.does(on.HoldBegan(), on.HoldEnded()) == []


def test_the_answer_to_a_right_is_lost_on_a_caller_who_comes_off_hold_within_it() -> None:
    story = waits_for_an_agent()
    story.send(on.HoldBegan(), on.HoldEnded())
    first, again, *_ = said_to_nobody(story)
    assert (first, again) == (REGISTERED, REGISTERED)


def test_a_reference_is_said_before_the_right_that_it_belongs_to_to_a_caller_who_comes_off_hold_within_it() -> (
    None
):
    """After two rights it would seem to belong to another one."""
    story = waits_for_an_agent()
    story.send(on.HoldBegan(), on.Played(REGISTERED, whole=True))
    reference = story.call.playing
    assert reference == "reference:R-1"
    story.send(on.HoldEnded())
    assert said_to_nobody(story)[:3] == [reference, REGISTERED, reference]


def test_a_caller_who_comes_off_hold_hears_until_when_before_all_rights_are_confirmed() -> None:
    story = waits_for_an_agent()
    story.send(on.HoldBegan())
    first = said_to_nobody(story)
    story.send(on.KeyPressed("7"), on.RightRegistered(Right.ERASURE, "R-2"), on.HoldEnded())
    second = ["right_registered_erasure", "reference:R-2"]
    assert said_to_nobody(story) == [*first[:-1], *second, first[-1], "goodbye"]


def test_the_answer_to_a_right_is_lost_on_a_caller_who_comes_off_hold_in_the_talk() -> None:
    story = waits_for_an_agent()
    story.send(on.HoldBegan())
    answer = said_to_nobody(story)
    story.send(on.AgentAnswered(), on.RecordingTagged(), on.RecorderStarted(), on.Bridged())
    assert story.call.stage is Stage.TALK
    assert story.does(on.HoldEnded()) == [says(REGISTERED)]
    assert said_to_nobody(story) == answer


def test_the_answer_to_a_right_is_lost_on_a_callee_who_puts_the_question_about_the_recording_on_hold() -> (
    None
):
    asked = {"mode": "opt_in", "legal_basis": "consent"}
    story = Story(recording=asked, keys=ALL_KEYS | {"1": "consent_recording"}).heard()
    story.send(on.HeardCommitted(), on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"))
    assert story.call.stage is Stage.AGREEMENT
    story.send(on.HoldBegan())
    answer = said_to_nobody(story)
    assert story.does(on.HoldEnded()) == [says(REGISTERED)]
    assert said_to_nobody(story) == answer
    assert story.commands[-1] == do.SetTimer(Timer.AGREEMENT, AGREEMENT_SECONDS)


def test_a_caller_who_is_hung_up_on_is_answered_as_they_come_off_hold() -> None:
    story = waits_for_an_agent()
    story.send(on.HoldBegan())
    said_to_nobody(story)
    story.send(on.LetGo("shutdown"))
    assert story.call.stage is Stage.CLOSE
    assert story.send(on.HoldEnded()) == []


def test_a_talk_on_hold_ends_because_its_notice_once_was() -> None:
    story = Story().notice()
    story.send(on.HoldBegan(), on.Played(FIRST, whole=False), on.HoldEnded())
    story.send(*(on.Played(prompt, whole=True) for prompt in story.call.notice))
    story.send(on.HeardCommitted(), on.RecordingTagged(), on.RecorderStarted(), on.Bridged(), on.HoldBegan())
    assert story.send(on.TimeRanOut(Timer.HOLD)) == []
    assert story.call.stage is Stage.TALK


def test_a_right_is_confirmed_to_a_callee_who_has_the_talk_on_hold() -> None:
    story = Story().talk()
    story.send(on.HoldBegan())
    assert says(REGISTERED) not in story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"))
    assert story.does(on.HoldEnded()) == [says(REGISTERED)]


def test_the_last_words_are_lost_on_a_callee_who_puts_them_on_hold() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("7"), on.RightRegistered(Right.ERASURE, "R-1"))
    erased = story.call.playing
    assert erased is not None
    assert story.call.stage is Stage.FAREWELL
    waiting = story.call.upcoming
    assert story.send(on.HoldBegan()) == [do.SetTimer(Timer.HOLD, HOLD_SECONDS), do.StopPlaying()]
    story.send(on.Played(erased, whole=False))
    assert story.call.stage is Stage.FAREWELL
    assert story.does(on.HoldEnded()) == [says(erased)]
    assert story.call.upcoming == waiting


def test_last_words_begin_that_nobody_hears_or_wait_for_ever() -> None:
    story = Story().talk()
    story.send(on.HoldBegan(), on.KeyPressed("7"))
    begun = story.send(on.RightRegistered(Right.ERASURE, "R-1"))
    assert not any(isinstance(each, do.Play) for each in begun)
    assert do.SetTimer(Timer.HOLD, HOLD_SECONDS) in begun
    story.send(on.TimeRanOut(Timer.HOLD))
    assert (story.call.stage, story.call.outcome, story.call.reason) == (
        Stage.CLOSE, Outcome.RIGHT_EXERCISED, Right.ERASURE.value,
    )  # fmt: skip


def test_a_callee_who_is_back_for_the_last_words_is_hung_up_on() -> None:
    story = Story().talk()
    story.send(on.HoldBegan(), on.KeyPressed("7"), on.RightRegistered(Right.ERASURE, "R-1"), on.HoldEnded())
    assert story.send(on.TimeRanOut(Timer.HOLD)) == []
