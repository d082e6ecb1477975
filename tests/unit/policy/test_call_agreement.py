"""Recording by agreement (opt_in), and recording that a law requires (mandatory)."""

import pytest

from ccari.policy import notices
from ccari.policy.call import Direction, Event, Outcome, Party, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import AGREEMENT_SECONDS, HOLD_SECONDS, RECORDER_SECONDS, RecorderState, Stage
from ccari.policy.rights import Right
from tests.unit.policy.campaigns import ALL_KEYS
from tests.unit.policy.story import Story

AGENT_GONE, CALLEE_GONE = on.Gone(Party.AGENT), on.Gone(Party.CALLEE)
ASKED = {
    "recording": {"mode": "opt_in", "legal_basis": "consent"},
    "keys": ALL_KEYS | {"1": "consent_recording"},
}
ASKED_OR_END = ASKED | {"recording": {"mode": "opt_in", "legal_basis": "consent", "without": "hang_up"}}
DUTY = {
    "legal_basis": "legal_obligation",
    "recording": {"mode": "mandatory", "legal_basis": "legal_obligation"},
}
REFUSED = on.RightRegistered(Right.REFUSE_RECORDING, "R-1")
WITHDRAWN = on.RightRegistered(Right.WITHDRAW_CONSENT, "R-3")
SAID = on.Played("recording_agreed", whole=True)


def says(prompt: str) -> do.Play:
    return do.Play(Party.CALLEE, prompt)


def waiting(story: Story) -> Story:
    """The whole notice was heard, and nobody has agreed."""
    assert story.heard().send(on.HeardCommitted()) == [do.SetTimer(Timer.AGREEMENT, AGREEMENT_SECONDS)]
    return story


def recorded(story: Story) -> Story:
    """The callee has agreed, and talks."""
    story.heard().send(on.KeyPressed("1"), SAID, on.HeardCommitted(), on.RecordingTagged())
    story.send(on.RecorderStarted(), on.Bridged())
    assert (story.call.stage, story.call.recorder) == (Stage.TALK, RecorderState.RUNNING)
    return story


def test_an_agreement_after_the_notice_is_confirmed_before_the_recording_is_tagged() -> None:
    story = waiting(Story(**ASKED))
    assert story.send(on.KeyPressed("1")) == [
        do.Note("key_pressed", {"key": "1", "action": "consent_recording", "stage": "agreement"}),
        do.Note("recording_agreed", {"key": "1"}),
        says("recording_agreed"),
    ]
    assert story.does(SAID) == [do.TagRecording()]
    assert story.does(on.RecordingTagged()) == [do.StartRecorder()]
    assert story.does(on.RecorderStarted()) == [do.AnswerAgent(), do.Bridge()]


WAIT_FOR_KEY, WAIT_FOR_CALLEE = (
    do.SetTimer(Timer.AGREEMENT, AGREEMENT_SECONDS),
    do.SetTimer(Timer.HOLD, HOLD_SECONDS),
)


def test_a_callee_who_puts_the_question_on_hold_has_not_agreed() -> None:
    """They have another caller on the line, say, and the key's five seconds begin once they are back."""
    story = waiting(Story(**ASKED_OR_END))
    assert story.send(on.HoldBegan()) == [WAIT_FOR_CALLEE]
    assert story.send(on.TimeRanOut(Timer.AGREEMENT)) == []
    assert story.send(on.HoldEnded()) == [WAIT_FOR_KEY]
    assert story.send(on.TimeRanOut(Timer.HOLD)) == []
    assert story.does(on.KeyPressed("1")) == [says("recording_agreed")]


def test_a_hold_while_the_heard_notice_is_kept_takes_the_time_to_agree() -> None:
    story = Story(**ASKED).heard()
    assert story.send(on.HoldBegan()) == []
    assert story.send(on.HeardCommitted()) == [WAIT_FOR_CALLEE]
    assert story.send(on.HoldEnded()) == [WAIT_FOR_KEY]


def test_an_agent_waits_for_ever_for_a_callee_who_has_put_the_question_on_hold() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.HoldBegan(), on.TimeRanOut(Timer.AGREEMENT))
    assert story.send(on.TimeRanOut(Timer.HOLD)) == [
        do.Note("recording_not_agreed"), do.AnswerAgent(), do.Bridge()
    ]  # fmt: skip


def test_a_hold_while_something_is_said_begins_the_wait_before_its_end() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.KeyPressed("9"))
    assert story.call.playing == notices.SOURCE_ASKED
    assert story.send(on.HoldBegan(), on.HoldEnded()) == []
    assert story.send(on.TimeRanOut(Timer.AGREEMENT)) == []
    assert story.send(on.Played(notices.SOURCE_ASKED, whole=True)) == [WAIT_FOR_KEY]


def test_an_agreement_in_the_notice_does_not_cut_the_notice_short() -> None:
    story = Story(**ASKED).notice()
    story.send(on.Played("identity", whole=True))
    assert story.does(on.KeyPressed("1")) == []
    for said, next_said in (("recording_opt_in", "recording_agreed"), ("recording_agreed", "rights")):
        assert story.does(on.Played(said, whole=True)) == [says(next_said)]
    assert isinstance(story.does(on.Played("rights", whole=True))[0], do.CommitHeard)
    assert story.does(on.HeardCommitted()) == [do.TagRecording()]


def test_a_key_before_the_question_agrees_to_nothing() -> None:
    """Article 4(11): nobody consents to what they have not been told."""
    story = Story(**ASKED).notice()
    story.send(on.KeyPressed("1"))
    assert not story.call.agreed
    story.send(on.Played("identity", whole=True), on.KeyPressed("1"))
    assert story.call.agreed


def test_a_question_of_which_the_beginning_was_missed_is_agreed_to_or_one_that_was_heard_is_not() -> None:
    story = Story(**ASKED).notice()
    story.send(on.Played("identity", whole=True), on.HoldBegan(), on.HoldEnded(), on.KeyPressed("1"))
    assert (story.call.playing, story.call.agreed) == ("recording_opt_in", False)
    story.send(on.Played("recording_opt_in", whole=True), on.Played("recording_opt_in", whole=True))
    assert story.call.playing == "rights"
    story.send(on.KeyPressed("1"))
    assert story.call.agreed


def test_who_withdraws_their_consent_in_the_talk_is_recorded_on() -> None:
    """Article 7(3): also the consent to be recorded, whatever else was consented to."""
    story = recorded(Story(**ASKED))
    assert story.does(on.KeyPressed("6")) == [
        do.StopRecorder(keep=True),
        do.RegisterRight(Right.WITHDRAW_CONSENT, "6"),
    ]
    story.send(on.RecorderStopped())
    assert story.does(WITHDRAWN) == [says("right_registered_withdraw_consent")]
    assert story.does(on.Played("right_registered_withdraw_consent", whole=True)) == [
        says("recording_stopped")
    ]
    assert story.does(on.Played("recording_stopped", whole=True)) == []
    assert (story.call.stage, story.call.recorder) == (Stage.TALK, RecorderState.DONE)


@pytest.mark.parametrize(("key", "right"), [("6", Right.WITHDRAW_CONSENT), ("2", Right.REFUSE_RECORDING)])
def test_what_was_agreed_to_goes_on_after_it_is_withdrawn_where_another_basis_is_declared(
    key: str, right: Right
) -> None:
    """Article 7(3): whoever was asked may take the agreement back, whatever the recording is said to rest on."""
    interest = {"mode": "opt_in", "legal_basis": "legitimate_interest"}
    story = recorded(Story(**ASKED | {"recording": interest}))
    assert story.does(on.KeyPressed(key)) == [do.StopRecorder(keep=True), do.RegisterRight(right, key)]
    story = waiting(Story(**ASKED | {"recording": interest}))
    story.send(on.KeyPressed("1"), on.KeyPressed(key))
    assert story.does(SAID) == [do.AnswerAgent(), do.Bridge()]


def test_who_withdraws_their_consent_before_the_talk_is_recorded_in_it() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.KeyPressed("1"), on.KeyPressed("6"))
    assert story.does(SAID) == [do.AnswerAgent(), do.Bridge()]
    story.send(WITHDRAWN)
    assert story.does(on.Bridged()) == [says("right_registered_withdraw_consent")]
    assert story.does(on.Played("right_registered_withdraw_consent", whole=True)) == []
    assert do.TagRecording() not in story.commands


def test_a_consent_that_is_withdrawn_ends_no_call_that_is_never_made_unrecorded() -> None:
    story = recorded(Story(**ASKED_OR_END))
    story.send(on.KeyPressed("6"), on.RecorderStopped(), WITHDRAWN)
    for prompt in ("right_registered_withdraw_consent", "recording_stopped", "goodbye"):
        story.send(on.Played(prompt, whole=True))
    story.send(CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("recording_refused", "withdraw_consent")


def test_an_agreement_while_the_notice_is_proven_is_confirmed_before_the_tag() -> None:
    story = Story(**ASKED).heard()
    assert story.does(on.KeyPressed("1")) == [says("recording_agreed")]
    assert story.does(on.HeardCommitted()) == []
    assert story.does(SAID) == [do.TagRecording()]


def test_an_agreement_whose_confirmation_cannot_be_played_is_one_all_the_same() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.KeyPressed("1"))
    assert story.does(on.Failed(says("recording_agreed"))) == [do.TagRecording()]


def test_who_does_not_agree_in_time_is_not_recorded() -> None:
    story = waiting(Story(**ASKED))
    assert story.send(on.TimeRanOut(Timer.AGREEMENT)) == [
        do.Note("recording_not_agreed"),
        do.AnswerAgent(),
        do.Bridge(),
    ]
    assert story.send(on.Bridged()) == [
        do.Note("call_bridged", {"recorded": "no"}),
        do.TellDialplan(Outcome.BRIDGED, "recording_not_agreed"),
    ]


def test_who_does_not_agree_in_time_is_bid_farewell_where_the_campaign_says_so() -> None:
    story = waiting(Story(**ASKED_OR_END))
    assert story.does(on.TimeRanOut(Timer.AGREEMENT)) == [says("goodbye")]
    story.send(on.Played("goodbye", whole=True), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("recording_refused", "recording_not_agreed")


def test_the_time_to_agree_begins_after_the_last_word_is_said() -> None:
    story = waiting(Story(**ASKED))
    assert story.does(on.KeyPressed("9")) == [says("source_asked")]
    assert story.send(on.TimeRanOut(Timer.AGREEMENT)) == []
    assert story.send(on.Played("source_asked", whole=True)) == [
        do.SetTimer(Timer.AGREEMENT, AGREEMENT_SECONDS)
    ]


def test_an_agreement_cannot_run_out_of_time_while_it_is_confirmed() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.KeyPressed("1"))
    assert story.send(on.TimeRanOut(Timer.AGREEMENT)) == []
    assert story.does(SAID) == [do.TagRecording()]


def test_a_refusal_ends_the_wait_with_its_confirmation() -> None:
    story = waiting(Story(**ASKED))
    assert story.does(on.KeyPressed("2")) == [do.RegisterRight(Right.REFUSE_RECORDING, "2")]
    assert story.does(REFUSED) == [says("continues_unrecorded")]
    assert story.does(on.Played("continues_unrecorded", whole=True)) == [do.AnswerAgent(), do.Bridge()]


def test_a_refusal_that_is_slow_to_be_registered_does_not_prolong_the_wait() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.KeyPressed("2"))
    assert story.does(on.TimeRanOut(Timer.AGREEMENT)) == [do.AnswerAgent(), do.Bridge()]


def test_a_refusal_ends_the_call_that_goes_on_only_recorded() -> None:
    story = waiting(Story(**ASKED_OR_END))
    story.send(on.KeyPressed("2"))
    assert story.does(on.TimeRanOut(Timer.AGREEMENT)) == []
    assert story.does(REFUSED) == [says("continues_unrecorded")]
    story.send(
        on.Played("continues_unrecorded", whole=True),
        on.Played("goodbye", whole=True),
        CALLEE_GONE,
        AGENT_GONE,
    )
    assert story.ending == ("recording_refused", "recording_refused")


def test_an_agreement_that_is_taken_back_is_not_confirmed_any_more() -> None:
    story = Story(**ASKED).notice()
    story.send(on.KeyPressed("1"), on.KeyPressed("2"), REFUSED)
    assert "recording_agreed" not in story.call.upcoming
    for prompt in ("identity", "continues_unrecorded", "recording_opt_in", "rights"):
        story.send(on.Played(prompt, whole=True))
    assert story.does(on.HeardCommitted()) == [do.AnswerAgent(), do.Bridge()]


def test_a_refusal_is_not_undone_by_the_key_that_agrees() -> None:
    story = Story(**ASKED).notice()
    story.send(on.KeyPressed("2"), REFUSED, on.KeyPressed("1"))
    assert not story.call.agreed
    assert story.notes.count("recording_agreed") == 0


def test_an_agreement_is_not_announced_to_whoever_is_bid_farewell() -> None:
    story = Story(**ASKED, legal_basis="consent", marketing=True).notice()
    story.send(on.KeyPressed("1"), on.KeyPressed("5"), on.RightRegistered(Right.OBJECTION_MARKETING, "R-2"))
    assert story.call.upcoming == ("right_registered_objection_marketing", "goodbye")


@pytest.mark.parametrize("event", [CALLEE_GONE, AGENT_GONE])
def test_who_leaves_in_the_wait_is_neither_bridged_nor_recorded(event: Event) -> None:
    story = waiting(Story(**ASKED))
    story.send(event, CALLEE_GONE, AGENT_GONE, on.KeyPressed("1"), on.TimeRanOut(Timer.AGREEMENT))
    assert story.ending in {("callee_hangup", ""), ("agent_hangup", "")}
    assert not any(isinstance(each, do.Bridge | do.TagRecording) for each in story.commands)


def test_an_agreement_before_the_answer_is_none() -> None:
    """A key in early media is pressed by whatever hears it: a machine, or the caller's own network."""
    story = Story(**ASKED).ring()
    story.send(on.KeyPressed("1"))
    assert not story.call.agreed


@pytest.mark.parametrize("pressed", [1, 2])
def test_an_agreement_in_the_talk_is_confirmed_before_the_recorder_starts(pressed: int) -> None:
    story = waiting(Story(**ASKED))
    story.send(on.TimeRanOut(Timer.AGREEMENT), on.Bridged())
    assert story.does(*[on.KeyPressed("1")] * pressed) == [says("recording_agreed")]
    assert story.does(SAID) == [do.TagRecording()]
    assert story.does(on.RecordingTagged()) == [do.StartRecorder()]
    assert story.does(on.RecorderStarted()) == [do.Play(Party.AGENT, "agent_recording_started")]
    # what was recorded until then was agreed to, Art 7(3)
    assert do.StopRecorder(keep=True) in story.does(on.KeyPressed("2"))


def test_who_agrees_in_the_talk_and_is_recorded_ends_as_somebody_who_did_not_agree() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.TimeRanOut(Timer.AGREEMENT), on.Bridged(), on.KeyPressed("1"), SAID, on.RecordingTagged())
    assert story.send(on.RecorderStarted()) == [
        do.Note("recording_started"),
        do.TellDialplan(Outcome.BRIDGED, ""),
        do.Play(Party.AGENT, "agent_recording_started"),
    ]
    story.send(CALLEE_GONE, on.RecorderStopped(), AGENT_GONE)
    assert story.ending == ("bridged", "")


def test_who_agrees_while_an_agent_is_called_and_is_recorded_ends_as_somebody_who_did_not() -> None:
    story = Story(**ASKED, agent="PJSIP/anna")
    story.send(on.CallRequested(Direction.INBOUND), on.GateAllowed(story.campaign), on.CalleeAnswered())
    story.send(*(on.Played(prompt, whole=True) for prompt in story.call.notice), on.HeardCommitted())
    story.send(
        on.TimeRanOut(Timer.AGREEMENT), on.KeyPressed("1"), SAID, on.AgentCreated(), on.AgentAnswered()
    )
    story.send(on.RecordingTagged(), on.RecorderStarted())
    assert do.TellDialplan(Outcome.BRIDGED, "") in story.send(on.Bridged())
    assert story.call.recorder is RecorderState.RUNNING


def test_what_else_has_happened_in_the_call_is_forgotten_as_it_is_recorded() -> None:
    story = Story(**ASKED).heard()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-4"), on.HeardCommitted())
    story.send(*(on.Played(each, whole=True) for each in story.call.upcoming), on.TimeRanOut(Timer.AGREEMENT))
    story.send(on.Bridged(), on.KeyPressed("1"), SAID, on.RecordingTagged(), on.RecorderStarted())
    assert story.call.reason == "access"


def test_an_agreement_in_the_talk_that_was_refused_before_starts_nothing() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.KeyPressed("2"), REFUSED, on.Played("continues_unrecorded", whole=True), on.Bridged())
    assert story.does(on.KeyPressed("1")) == []


def test_an_agreement_that_is_taken_back_while_it_is_confirmed_starts_nothing() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.TimeRanOut(Timer.AGREEMENT), on.Bridged(), on.KeyPressed("1"), on.KeyPressed("2"), REFUSED)
    assert story.does(SAID) == [says("continues_unrecorded")]


def test_an_agreement_as_the_two_are_bridged_is_not_lost() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.TimeRanOut(Timer.AGREEMENT))
    assert story.does(on.KeyPressed("1"), on.Bridged()) == [says("recording_agreed")]
    assert story.does(SAID) == [do.TagRecording()]


def test_an_agreement_pressed_again_changes_nothing() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.KeyPressed("1"))
    assert story.does(on.KeyPressed("1")) == []
    assert story.notes.count("recording_agreed") == 1


def test_an_agreement_is_withdrawn_in_the_talk_by_one_key() -> None:
    story = waiting(Story(**ASKED))
    story.send(on.KeyPressed("1"), SAID, on.RecordingTagged(), on.RecorderStarted(), on.Bridged())
    assert story.does(on.KeyPressed("2")) == [
        do.StopRecorder(keep=True),
        do.RegisterRight(Right.REFUSE_RECORDING, "2"),
    ]
    assert story.does(REFUSED) == [says("recording_stopped")]


def test_the_repeated_notice_does_not_swallow_an_agreement() -> None:
    story = Story(**ASKED).notice()
    story.send(on.Played("identity", whole=True), on.KeyPressed("1"), on.KeyPressed("*"))
    assert story.call.upcoming == ("recording_agreed", "identity", "recording_opt_in", "rights")


@pytest.mark.parametrize(
    "event", [on.Failed(do.TagRecording()), on.Failed(do.StartRecorder()), on.TimeRanOut(Timer.RECORDER)]
)
def test_a_call_whose_recording_a_law_demands_is_not_held_without_it(event: Event) -> None:
    story = Story(**DUTY).heard()
    story.send(on.HeardCommitted())
    if event != on.Failed(do.TagRecording()):
        story.send(on.RecordingTagged())
    assert story.does(event) == [says("goodbye")]
    story.send(on.Played("goodbye", whole=True), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("failed", "recording_failed")
    assert do.Bridge() not in story.commands


@pytest.mark.parametrize("event", [on.KeyPressed("2"), on.RecorderStopped()])
def test_a_talk_whose_recording_a_law_demands_ends_with_its_recording(event: Event) -> None:
    story = Story(**DUTY).talk()
    story.send(event, REFUSED)
    assert story.call.stage is Stage.FAREWELL


def test_a_recorder_that_was_told_to_stop_and_says_nothing_ends_the_talk() -> None:
    story = Story().talk()
    assert story.send(on.KeyPressed("2"))[1:3] == [
        do.SetTimer(Timer.STOP, RECORDER_SECONDS),
        do.StopRecorder(keep=True),
    ]
    story.send(REFUSED, on.TimeRanOut(Timer.STOP), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("bridged", "recorder_not_stopped")


def test_a_recorder_that_stopped_in_time_lets_the_talk_go_on() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("2"), REFUSED, on.RecorderStopped())
    assert story.send(on.TimeRanOut(Timer.STOP)) == []
