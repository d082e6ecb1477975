"""A talk that an agent transfers: to whom, who is told of the recording before they are in it, and what becomes of it."""

import pytest

from ccari.policy.call import Event, Outcome, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import RECORDER_SECONDS, RecorderState
from ccari.policy.rights import Right
from tests.unit.policy.story import Story

TRANSFERS = {"transfer": "PJSIP/{extension}"}
ASKED, WAITED = on.TransferAsked("1002"), on.Played("transfer_wait", whole=True)
BRIEFED = on.Played("agent_call_recorded", whole=True, party=Party.AGENT)
PAUSED = on.Played("agent_recording_paused", whole=True, party=Party.AGENT)
PAUSES = {"*1": "pause_recording", "*2": "resume_recording"}


def says(prompt: str) -> do.Play:
    return do.Play(Party.CALLEE, prompt)


def whispers(prompt: str) -> do.Play:
    return do.Play(Party.AGENT, prompt)


def on_transfer(what: str, mode: str = "opt_out") -> dict[str, object]:
    return TRANSFERS | {"recording": {"mode": mode, "on_transfer": what}}


def handed_over(story: Story) -> Story:
    """The colleague's phone rings, and the callee was asked to wait."""
    story.talk().send(ASKED, on.RecorderStopped(), WAITED, on.AgentCreated())
    return story


def test_the_recording_ends_before_the_callee_is_handed_over_and_the_callee_hears_who_waits() -> None:
    story = Story(**TRANSFERS).talk()
    assert story.does(ASKED) == [do.StopRecorder(keep=True)]
    assert story.does(on.RecorderStopped()) == [
        do.HandOver("1002"),
        do.Ring(Party.CALLEE),
        says("transfer_wait"),
    ]
    assert story.does(WAITED) == [do.Ring(Party.CALLEE)]
    assert story.does(on.AgentCreated()) == [do.DialAgent()]
    assert story.notes[-2:] == ["transfer_asked", "call_handed_over"]


def test_the_colleague_is_told_of_the_recording_before_it_begins_and_joins_then() -> None:
    story = handed_over(Story(**TRANSFERS))
    assert story.does(on.AgentAnswered()) == [do.StopRinging(Party.CALLEE), whispers("agent_call_recorded")]
    assert story.does(BRIEFED) == [do.TagRecording()]
    assert story.does(on.RecordingTagged()) == [do.StartRecorder()]
    assert story.does(on.RecorderStarted()) == [do.Bridge()]
    story.send(on.Bridged())
    assert story.call.stage is Stage.TALK


def test_a_colleague_who_was_not_told_whole_is_not_recorded() -> None:
    story = handed_over(Story(**TRANSFERS))
    story.send(on.AgentAnswered())
    assert story.does(on.Played("agent_call_recorded", whole=False, party=Party.AGENT)) == [do.Bridge()]


def test_where_a_call_must_be_recorded_it_ends_if_the_colleague_cannot_be_told() -> None:
    story = handed_over(Story(**TRANSFERS, recording={"mode": "opt_out", "without": "hang_up"}))
    story.send(on.AgentAnswered(), on.Played("agent_call_recorded", whole=False, party=Party.AGENT))
    assert (story.call.stage, story.call.reason) == (Stage.FAREWELL, "recording_failed")


@pytest.mark.parametrize("must", [False, True])
def test_a_callee_who_has_talked_to_one_ends_as_if_to_nobody_when_no_other_can_be_joined(
    *, must: bool
) -> None:
    recording = {"mode": "opt_out", "without": "hang_up" if must else "continue"}
    story = handed_over(Story(**TRANSFERS, recording=recording))
    story.send(on.AgentAnswered(), on.Played("agent_call_recorded", whole=False, party=Party.AGENT))
    story.send(*([] if must else [on.Failed(do.Bridge())]))
    reason = "recording_failed" if must else "bridge_failed"
    assert (story.call.outcome, story.call.reason) == (Outcome.BRIDGED, reason)


def test_a_repeated_notice_is_over_before_the_recording_begins() -> None:
    story = Story(**on_transfer("repeat")).talk()
    story.send(ASKED, on.RecorderStopped(), on.AgentCreated(), on.AgentAnswered(), BRIEFED)
    assert story.does(WAITED) == [says("recording_opt_out")]
    assert story.does(on.Played("recording_opt_out", whole=True)) == [do.TagRecording()]


def test_a_refusal_of_the_repeated_notice_leaves_the_colleague_unrecorded_and_untold() -> None:
    story = Story(**on_transfer("repeat")).talk()
    story.send(ASKED, on.RecorderStopped(), WAITED, on.KeyPressed("2"), on.AgentCreated())
    assert story.does(on.AgentAnswered()) == [do.StopRinging(Party.CALLEE)]
    assert story.call.stage is Stage.BRIEFING


def test_a_recording_that_ends_with_the_transfer_does_not_begin_again_or_never_began() -> None:
    story = Story(**on_transfer("stop", "notice")).talk()
    assert do.StartRecorder() in story.commands
    story.send(ASKED, on.RecorderStopped(), WAITED, on.AgentCreated())
    assert story.does(on.AgentAnswered()) == [do.StopRinging(Party.CALLEE), do.Bridge()]


def test_who_has_agreed_is_not_asked_again() -> None:
    story = Story(**on_transfer("repeat", "opt_in"), keys={"1": "consent_recording", "7": "erasure"})
    story.heard().send(on.KeyPressed("1"), on.HeardCommitted(), on.Played("recording_agreed", whole=True))
    story.send(on.RecordingTagged(), on.RecorderStarted(), on.Bridged(), ASKED)
    assert story.does(on.RecorderStopped())[-1] == says("transfer_wait")
    assert story.does(WAITED) == [do.Ring(Party.CALLEE)]


@pytest.mark.parametrize("to", [None, "+48600100001", "48600100001", "1002&PJSIP/x", "1002@trunk", ""])
def test_a_call_goes_to_no_other_call_no_number_and_no_two_places(to: str | None) -> None:
    story = Story(**TRANSFERS).talk()
    assert story.does(on.TransferAsked(to)) == [do.RefuseTransfer(), whispers("agent_transfer_failed")]
    assert story.call.stage is Stage.TALK


def test_a_campaign_without_transfers_refuses_them() -> None:
    assert Story().talk().does(ASKED) == [do.RefuseTransfer(), whispers("agent_transfer_failed")]


@pytest.mark.parametrize(
    ("story", "to", "reason"),
    [
        (Story().talk(), "1002", "no_transfers"),
        (Story(**TRANSFERS).talk(), None, "attended"),
        (Story(**TRANSFERS).talk(), "+48600100001", "no_extension"),
        (Story(**TRANSFERS).notice(), "1002", "not_now"),
    ],
    ids=["no-transfers", "attended", "no-extension", "not-now"],
)
def test_whoever_runs_the_pbx_is_not_told_why_a_transfer_was_refused(
    story: Story, to: str | None, reason: str
) -> None:
    noted = [each.fields for each in story.send(on.TransferAsked(to)) if isinstance(each, do.Note)]
    assert [each["reason"] for each in noted] == [reason]


def test_a_callee_who_is_still_being_told_is_not_handed_over() -> None:
    assert Story(**TRANSFERS).notice().does(ASKED) == [do.RefuseTransfer()]


def test_a_phone_that_hangs_up_once_it_has_asked_does_not_end_the_call() -> None:
    story = Story(**TRANSFERS).talk()
    story.send(ASKED, on.Gone(Party.AGENT))
    assert do.HandOver("1002") in story.does(on.RecorderStopped())


@pytest.mark.parametrize(
    "event", [on.TimeRanOut(Timer.CONNECT), on.Gone(Party.AGENT, 17)], ids=["no answer", "busy"]
)
def test_a_callee_whom_no_colleague_takes_gets_an_apology_and_is_not_counted_as_abandoned(
    event: Event,
) -> None:
    story = handed_over(Story(**TRANSFERS))
    assert says("transfer_failed") in story.does(event)
    assert "call_abandoned" not in story.notes
    assert (story.call.outcome, story.call.reason) == ("bridged", "transfer_failed")


def test_a_right_pressed_on_the_way_is_registered_and_lets_the_colleague_go() -> None:
    story = handed_over(Story(**TRANSFERS))
    assert story.does(on.KeyPressed("7")) == [do.CutRecording(), do.RegisterRight(Right.ERASURE, "7")]
    assert do.HangUp(Party.AGENT) in story.does(on.RightRegistered(Right.ERASURE, "R-1"))


def test_a_second_refer_of_an_impatient_phone_refuses_the_first() -> None:
    """Asterisk answers all REFERs of a channel with the answer to one: the answer to the transfer goes to both."""
    story = Story(**TRANSFERS).talk()
    story.send(ASKED)
    assert story.does(on.TransferAsked("1003")) == []
    assert do.HandOver("1002") in story.does(on.RecorderStopped())


def paused(story: Story) -> Story:
    """The agent has paused the recording, and transfers the callee."""
    story.talk().send(on.AgentKeyPressed("*"), on.AgentKeyPressed("1"), on.RecorderStopped(), PAUSED)
    story.send(ASKED, WAITED, on.AgentCreated())
    return story


def test_a_callee_is_handed_over_beside_a_recorder_that_is_still_to_stop_or_about_to_begin() -> None:
    story = Story(**TRANSFERS, agent_keys=PAUSES).talk()
    story.send(on.AgentKeyPressed("*"), on.AgentKeyPressed("1"))
    paused = story.call
    assert story.does(ASKED) == []
    assert do.HandOver("1002") in story.does(on.RecorderStopped())
    story.call = paused
    story.send(on.RecorderStopped(), PAUSED, on.AgentKeyPressed("*"), on.AgentKeyPressed("2"))
    for event in (on.RecordingTagged(), on.RecorderStarted()):
        assert do.RefuseTransfer() in story.does(ASKED)
        story.send(event)


def test_who_has_refused_the_recording_is_told_again_that_there_is_one() -> None:
    story = Story(**on_transfer("repeat")).talk()
    story.send(on.KeyPressed("2"), on.RecorderStopped(), ASKED)
    assert story.call.upcoming == ()
    assert story.does(WAITED) == [do.Ring(Party.CALLEE)]


def test_a_recording_in_which_the_callee_and_the_colleague_have_not_talked_yet_is_kept() -> None:
    story = handed_over(Story(**TRANSFERS))
    story.send(on.AgentAnswered(), BRIEFED, on.RecordingTagged(), on.RecorderStarted())
    assert do.StopRecorder(keep=False) in story.does(on.KeyPressed("2"))


def test_a_colleague_who_has_heard_another_whisper_is_recorded_untold() -> None:
    keys = {"1": "consent_recording", "7": "erasure"}
    story = Story(**on_transfer("continue", "opt_in"), keys=keys).heard()
    story.send(on.HeardCommitted(), on.TimeRanOut(Timer.AGREEMENT), on.Bridged(), ASKED, WAITED)
    story.send(on.AgentCreated(), on.AgentAnswered(), on.Bridged(), on.TransferAsked(None))
    story.send(on.Played("agent_transfer_failed", whole=True, party=Party.AGENT), on.KeyPressed("1"))
    assert story.does(on.Played("recording_agreed", whole=True)) == [whispers("agent_call_recorded")]
    assert story.does(BRIEFED) == [do.TagRecording()]


def test_a_callee_is_handed_over_who_has_refused_the_recording_that_the_call_must_have() -> None:
    story = Story(**TRANSFERS, recording={"mode": "opt_out", "without": "hang_up"}).talk()
    story.send(on.KeyPressed("2"))
    assert story.does(ASKED, on.RecorderStopped()) == []


def test_a_transfer_ends_a_pause() -> None:
    story = paused(Story(**TRANSFERS, agent_keys=PAUSES))
    assert story.does(on.AgentAnswered()) == [do.StopRinging(Party.CALLEE), whispers("agent_call_recorded")]
    assert story.does(BRIEFED) == [whispers("agent_recording_paused")]
    assert story.does(PAUSED) == [do.Bridge()]
    story.send(on.Bridged(), on.AgentKeyPressed("*"))
    assert story.does(on.AgentKeyPressed("2")) == [do.TagRecording()]


def test_a_pause_of_what_must_be_recorded_ends_the_call_at_a_transfer() -> None:
    recording = {"mode": "opt_out", "without": "hang_up"}
    story = paused(Story(**TRANSFERS, agent_keys=PAUSES, recording=recording))
    assert story.does(on.AgentAnswered(), BRIEFED, PAUSED)[-1] == do.Bridge()


@pytest.mark.parametrize("must", [False, True])
def test_a_repeated_notice_that_was_not_heard_whole_is_followed_by_a_recording(*, must: bool) -> None:
    recording = {"mode": "notice", "on_transfer": "repeat", "without": "hang_up" if must else "continue"}
    story = Story(**TRANSFERS, recording=recording).talk()
    story.send(
        ASKED, on.RecorderStopped(), WAITED, on.Played("recording_notice", whole=False), on.AgentCreated()
    )
    last = do.Play(Party.CALLEE, "goodbye") if must else do.Bridge()
    assert story.does(on.AgentAnswered()) == [do.StopRinging(Party.CALLEE), last]
    assert story.call.reason == "recording_failed"


def test_a_repeated_notice_that_breaks_as_the_colleague_is_told_is_followed_by_a_recording() -> None:
    story = Story(**on_transfer("repeat")).talk()
    story.send(ASKED, on.RecorderStopped(), WAITED, on.AgentCreated(), on.AgentAnswered(), BRIEFED)
    assert story.does(on.Played("recording_opt_out", whole=False)) == [do.Bridge()]


def test_a_callee_who_hangs_up_in_the_repeated_notice_ends_the_call_as_one_that_failed() -> None:
    """Their playback breaks first; that they are gone is reported a moment later."""
    story = Story(**on_transfer("repeat", "mandatory"), keys={}).talk()
    story.send(ASKED, on.RecorderStopped(), WAITED, on.Played("recording_mandatory", whole=False))
    story.send(on.Gone(Party.CALLEE, 16))
    assert (story.call.outcome, story.call.reason) == ("bridged", "")


def test_a_key_cuts_a_repeated_notice_short() -> None:
    barged = {"prompts": ["identity", "recording"], "barge_in": ["recording"]}
    story = Story(**on_transfer("repeat"), notice=barged).talk()
    story.send(ASKED, on.RecorderStopped(), WAITED)
    assert story.does(on.KeyPressed("9")) == []
    assert story.does(on.Played("recording_opt_out", whole=True)) == [says("source_asked")]


def test_a_notice_that_the_callee_asked_to_hear_again_does_not_count_as_repeated() -> None:
    story = Story(**on_transfer("repeat"), notice={"prompts": ["identity", "recording"]}).talk()
    story.send(ASKED, on.RecorderStopped(), on.KeyPressed("*"), WAITED, on.AgentCreated(), on.AgentAnswered())
    story.send(on.Played("identity", whole=True), on.Played("recording_opt_out", whole=True))
    assert story.does(BRIEFED) == [do.TagRecording()]


def talking_unasked(on_transfer: str) -> Story:
    """The callee has not agreed to be recorded, and talks to the colleague."""
    recording = {"mode": "opt_in", "on_transfer": on_transfer}
    story = Story(**TRANSFERS, recording=recording, keys={"1": "consent_recording", "7": "erasure"}).heard()
    story.send(on.HeardCommitted(), on.TimeRanOut(Timer.AGREEMENT), on.Bridged())
    story.send(ASKED, WAITED, on.AgentCreated(), on.AgentAnswered(), on.Bridged())
    assert (story.call.stage, story.call.handed_over) == (Stage.TALK, True)
    return story


def test_a_colleague_is_recorded_before_they_are_told() -> None:
    story = talking_unasked("continue")
    assert story.does(on.KeyPressed("1")) == [says("recording_agreed")]
    assert story.does(on.Played("recording_agreed", whole=True)) == [whispers("agent_call_recorded")]
    assert story.does(on.KeyPressed("0")) == []
    assert story.does(BRIEFED) == [do.TagRecording()]


def test_a_colleague_who_is_not_told_whole_in_the_talk_is_recorded() -> None:
    story = talking_unasked("continue")
    story.send(on.KeyPressed("1"), on.Played("recording_agreed", whole=True))
    broken = on.Played("agent_call_recorded", whole=False, party=Party.AGENT)
    assert story.does(broken) == [whispers("agent_recording_stopped")]
    assert story.call.reason == "recording_failed"


def test_a_late_word_of_the_whisper_stops_the_recording() -> None:
    story = talking_unasked("continue")
    story.send(on.KeyPressed("1"), on.Played("recording_agreed", whole=True), BRIEFED, on.RecordingTagged())
    assert story.does(on.Played("agent_call_recorded", whole=False, party=Party.AGENT)) == []
    assert not story.call.unrecordable


def test_an_agreement_is_confirmed_that_no_recording_follows() -> None:
    story = talking_unasked("stop")
    assert story.does(on.KeyPressed("1")) == []
    assert "recording_agreed" not in story.notes


def test_an_agreement_that_waits_to_be_confirmed_is_confirmed_after_the_transfer_that_ends_the_recording() -> (
    None
):
    recording = {"mode": "opt_in", "on_transfer": "stop"}
    story = Story(
        **TRANSFERS, recording=recording, keys={"1": "consent_recording", "9": "data_source"}
    ).heard()
    story.send(on.HeardCommitted(), on.TimeRanOut(Timer.AGREEMENT), on.Bridged(), on.KeyPressed("9"), ASKED)
    assert story.does(on.KeyPressed("1")) == []
    assert story.does(on.Played("source_asked", whole=False))[-1] == says("transfer_wait")


@pytest.mark.parametrize("command", [do.HandOver("1002"), do.DialAgent()])
def test_a_colleague_who_could_not_be_called_is_on_record_as_called(
    command: do.HandOver | do.DialAgent,
) -> None:
    story = Story(**TRANSFERS).talk()
    story.send(ASKED, on.RecorderStopped(), *([on.AgentCreated()] if command == do.DialAgent() else []))
    failed = on.Failed(command, refused=True)
    assert story.send(failed)[0] == do.Note("dial_failed", {"party": "agent", "reason": "refused"})


def unrecordable() -> Story:
    """The recorder has not reported that it runs, and the two talk without it."""
    story = Story(**TRANSFERS).recorder()
    story.send(on.TimeRanOut(Timer.RECORDER), on.Bridged())
    assert (story.call.stage, story.call.recorder) == (Stage.TALK, RecorderState.LOST)
    return story


def test_an_agent_whose_recorder_could_not_be_started_can_transfer_nobody() -> None:
    story = unrecordable()
    assert do.HandOver("1002") in story.does(
        ASKED, on.Played("agent_recording_stopped", whole=True, party=Party.AGENT)
    )
    story.send(WAITED, on.AgentCreated())
    assert story.does(on.AgentAnswered()) == [do.StopRinging(Party.CALLEE), do.Bridge()]


def test_a_recorder_that_runs_after_all_hears_the_talk_with_the_colleague() -> None:
    story = unrecordable()
    story.send(ASKED, on.Played("agent_recording_stopped", whole=True, party=Party.AGENT), WAITED)
    assert story.send(on.RecorderStarted()) == [
        do.SetTimer(Timer.STOP, RECORDER_SECONDS),
        do.StopRecorder(keep=False),
    ]
    assert story.does(on.AgentCreated(), on.AgentAnswered()) == [do.DialAgent(), do.StopRinging(Party.CALLEE)]
    assert story.does(on.RecorderStopped()) == [do.Bridge()]


@pytest.mark.parametrize("answered", [False, True])
def test_a_recorder_that_will_not_stop_keeps_the_callee_waiting_or_ends_the_call_as_one_that_failed(
    *, answered: bool
) -> None:
    story = unrecordable()
    story.send(ASKED, on.Played("agent_recording_stopped", whole=True, party=Party.AGENT), WAITED)
    story.send(on.RecorderStarted(), on.AgentCreated(), *([on.AgentAnswered()] if answered else []))
    story.send(on.TimeRanOut(Timer.STOP), on.Gone(Party.AGENT), on.Gone(Party.CALLEE))
    assert story.call.stage is Stage.CLOSED
    assert story.call.outcome is Outcome.BRIDGED
