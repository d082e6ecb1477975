"""A talk that is taken up again; test_call_explored checks that none of all reachable talks is taken up wrongly."""

import json

import pytest

from ccari.policy.call import Call, Command, Direction, Outcome, Party, Stage, decide, resuming
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import RecorderState, replace
from ccari.policy.rights import Right
from tests.unit.policy.story import Story


def again(
    story: Story, *, recording: bool, registered: tuple[on.RightOnRecord, ...] = (), **told: object
) -> Story:
    kept = resuming.to_keep(story.call)
    assert kept is not None
    was, story.call = story.call, Call()
    read = json.loads(json.dumps({**kept, **told}))
    story.send(on.TalkResumed(was.direction, story.campaign, read, recording, registered))
    return story


def words(story: Story, party: Party = Party.CALLEE) -> list[str]:
    """Everything that the party is told from when the talk was taken up, each prompt heard to its end."""
    told: list[str] = []
    while (prompt := story.call.playing if party is Party.CALLEE else story.call.whisper) is not None:
        told.append(prompt)
        story.send(on.Played(prompt, whole=True, party=party))
    return told


def test_a_talk_that_goes_on_is_touched() -> None:
    story = Story().talk()
    before = len(story.commands)
    again(story, recording=True)
    assert story.commands[before:] == [do.Note("talk_resumed", {"recorded": "yes"})]
    assert (story.call.stage, story.call.recorder) == (Stage.TALK, RecorderState.RUNNING)


@pytest.mark.parametrize("direction", list(Direction))
def test_a_talk_is_taken_up_as_somebody_elses_or_with_nobody_on_the_line(direction: Direction) -> None:
    story = Story().talk()
    story.send(on.RightVoiced(Right.ACCESS), on.RightRegistered(Right.ACCESS, "R-1"))
    story.send(on.Played("agent_right_registered", whole=True, party=Party.AGENT))
    story.call = was = replace(story.call, direction=direction)
    assert again(story, recording=True).call == was


@pytest.mark.parametrize("recorder", list(RecorderState))
def test_a_recorder_runs_on_that_was_refused_or_paused_or_is_cut_off_though_it_may_run(
    recorder: RecorderState,
) -> None:
    kept = {"recorder": recorder.value, "refused": False, "paused": False}
    assert resuming.is_recording(kept) is (recorder in {"tagging", "starting", "running"})
    for each in ("refused", "paused"):
        assert not resuming.is_recording(kept | {each: True})


def asked(story: Story) -> list[Command]:
    """What was asked for since the talk was taken up."""
    return story.commands[[getattr(each, "event", "") for each in story.commands].index("talk_resumed") :]


def test_the_dialplan_is_told_while_the_earlier_run_may_still_play_to_its_channel_or_not_at_all() -> None:
    """Asterisk would answer no request until that prompt is over; the next one is queued behind it."""
    assert not again(Story().talk(), recording=True).call.untold
    # the earlier run died during a confirmation; the service that takes the talk up is the first to know of a
    # recorder's end
    confirmed = again(Story().talk(), recording=True, untold=True, reason="access")
    ended = again(Story().talk(), recording=False)
    for story in (confirmed, ended):
        assert not any(isinstance(each, do.TellDialplan) for each in asked(story))
        assert story.call.untold
    (prompt,) = [each.prompt for each in asked(ended) if isinstance(each, do.Play)]
    whispered = on.Played(prompt, whole=True, party=Party.AGENT)
    assert do.TellDialplan(Outcome.BRIDGED, "recording_failed") in ended.send(whispered)


def test_a_talk_that_an_older_ccari_has_kept_is_taken_for_one_that_the_dialplan_knows_all_of() -> None:
    kept = dict(resuming.to_keep(Story().talk().call) or {})
    del kept["untold"]
    call, _ = decide(Call(), on.TalkResumed(Story().call.direction, Story().campaign, kept, recording=True))
    assert call.untold


def test_a_recorder_that_ended_unwatched_is_begun_again() -> None:
    """Nobody knows why it has ended: it may have been paused for a card's number."""
    story = again(Story().talk(), recording=False)
    assert "recording_impossible" in story.notes
    assert story.does(on.AgentKeyPressed("1")) == []
    assert not any(isinstance(each, do.TagRecording) for each in story.commands[-5:])


def test_who_agreed_in_the_talk_and_is_recorded_since_its_service_died_ends_as_somebody_who_did_not_agree() -> (
    None
):
    story = again(
        Story().talk(), recording=True, recorder=RecorderState.STARTING, reason="recording_not_agreed", agreed=True,
        untold=False,
    )  # fmt: skip
    assert (story.call.reason, story.call.untold) == ("", True)


def test_what_a_recorder_has_heard_that_began_as_its_service_died_is_thrown_away() -> None:
    """The talk was kept while the recorder was starting."""
    story = again(Story().talk(), recording=True, recorder=RecorderState.STARTING, recorded=False)
    assert do.StopRecorder(keep=True, binding=False) in story.send(on.Gone(Party.CALLEE))


@pytest.mark.parametrize("recorder", sorted({*RecorderState} - {RecorderState.IDLE}))
def test_invariant_6_a_pause_that_was_not_kept_is_undone(recorder: RecorderState) -> None:
    """The talk was kept between the agent's code and the recorder's start; then it was paused, and the service died."""
    story = again(Story().talk(), recording=False, recorder=recorder)
    assert not any(isinstance(each, do.TagRecording | do.StartRecorder) for each in story.commands[-5:])
    assert story.call.unrecordable


def test_a_talk_of_which_a_further_recording_is_on_record_is_recorded_anew() -> None:
    """The talk that was kept knows of none, and so not what became of it."""
    none = {"recorder": RecorderState.IDLE.value}
    for told, begun in ((none, True), (resuming.outdated(none), False)):
        story = again(Story().talk(), recording=False, **told)
        assert any(isinstance(each, do.TagRecording) for each in story.commands[-5:]) is begun
        assert story.call.unrecordable is not begun


def test_a_pause_waits_to_be_kept_for_a_database_that_may_be_back() -> None:
    running = resuming.to_keep(Story().talk().call)
    assert running is not None
    for name in ("paused", "refused"):
        assert resuming.is_stricter({**running, name: True}, running)
        assert resuming.is_stricter({**running, name: True}, None)
        assert not resuming.is_stricter({**running, name: True}, {**running, name: True})
    assert not resuming.is_stricter(running, {**running, "paused": True})
    assert not resuming.is_stricter(None, running)


def test_a_call_that_must_be_recorded_goes_on_without() -> None:
    story = Story(recording={"mode": "mandatory"}).talk()
    again(story, recording=False)
    assert (story.call.stage, story.call.outcome) == (Stage.FAREWELL, Outcome.BRIDGED)


def test_invariant_6_a_call_that_must_be_recorded_goes_on_after_a_refusal_that_its_service_died_over() -> (
    None
):
    story = Story(recording={"mode": "opt_out", "without": "hang_up"}).talk()
    again(story, recording=False, refused=True)
    assert (story.call.stage, story.call.outcome) == (Stage.FAREWELL, Outcome.RECORDING_REFUSED)


def test_a_right_that_was_not_durable_cannot_be_pressed_again() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("7"))
    assert story.call.registering == {Right.ERASURE}
    again(story, recording=True)
    assert do.RegisterRight(Right.ERASURE, "7") in story.send(on.KeyPressed("7"))


def test_a_right_that_is_durable_is_registered_twice() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "ACME-2026-000001"))
    again(story, recording=True)
    assert not any(isinstance(each, do.RegisterRight) for each in story.send(on.KeyPressed("8")))


REGISTERED = on.RightRegistered(Right.ACCESS, "ACME-2026-000001")
CONFIRMED = ["right_registered_access", "reference:ACME-2026-000001", "answer_within_month"]


@pytest.mark.parametrize("heard", range(4))
def test_invariant_5_a_right_whose_confirmation_was_cut_off_is_never_confirmed(heard: int) -> None:
    """What was heard whole is not said again."""
    story = Story().talk()
    story.send(on.KeyPressed("8"), REGISTERED)
    story.send(*(on.Played(each, whole=True) for each in CONFIRMED[:heard]))
    again(story, recording=True)
    assert words(story) == CONFIRMED[heard:]


def test_a_right_that_asterisk_did_not_answer_about_before_the_connection_was_known_to_be_lost_is_never_confirmed() -> (
    None
):
    for said in range(4):
        story = Story().talk()
        story.send(
            on.KeyPressed("8"), REGISTERED, *(on.Played(each, whole=True) for each in CONFIRMED[:said])
        )
        story.send(*(on.Failed(do.Play(Party.CALLEE, each)) for each in CONFIRMED[said:]))
        again(story, recording=True)
        assert words(story) == CONFIRMED[said:]


def test_a_confirmation_that_asterisk_was_slow_to_play_keeps_the_rest_of_it_from_being_said() -> None:
    """Only a lost connection ends what is being said."""
    story = Story().talk()
    story.send(on.KeyPressed("8"), REGISTERED, on.Failed(do.Play(Party.CALLEE, CONFIRMED[0])))
    assert words(story) == CONFIRMED[1:]
    # the service that takes the talk up says what may not have been heard, once
    assert words(again(story, recording=True)) == CONFIRMED[:1]
    assert words(again(story, recording=True)) == []


def test_a_confirmation_that_asterisk_refuses_to_play_is_asked_for_without_end() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("8"), REGISTERED)
    for prompt in CONFIRMED:
        story.send(on.Failed(do.Play(Party.CALLEE, prompt), refused=True))
    assert (story.call.playing, story.call.upcoming) == (None, ())
    again(story, recording=True)
    assert words(story) == []


def test_what_is_no_answer_to_a_right_is_said_again_after_the_talk_was_taken_up() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("9"))
    assert story.call.playing == "source_asked"
    assert words(again(story, recording=True)) == []


def on_record(right: Right = Right.ACCESS, **changes: object) -> on.RightOnRecord:
    return on.RightOnRecord(**{"right": right, "reference": "ACME-2026-000001", **changes})  # type: ignore[arg-type]


def test_invariant_5_a_right_that_was_registered_as_its_service_died_is_never_confirmed_or_twice() -> None:
    """The talk as it was kept does not have it."""
    story = again(Story().talk(), recording=True, registered=(on_record(),))
    assert "right_registered" in story.notes
    assert words(story) == CONFIRMED
    assert not any(isinstance(each, do.RegisterRight) for each in story.send(on.KeyPressed("8")))
    assert words(again(story, recording=True, registered=(on_record(),))) == []


def test_a_right_whose_registration_is_in_the_journal_is_there_twice() -> None:
    """It was on the node's disk, and the one that moved it into the database has recorded that."""
    story = again(Story().talk(), recording=True, registered=(on_record(noted=True),))
    assert "right_registered" not in story.notes
    assert words(story) == CONFIRMED


def test_a_right_that_an_agent_entered_as_the_service_died_is_confirmed_to_the_callee_or_to_nobody() -> None:
    story = again(Story().talk(), recording=True, registered=(on_record(by_agent=True),))
    assert words(story) == []
    assert words(story, Party.AGENT) == ["agent_right_registered"]
    # and if it was known, and the whisper was cut off
    story = Story(agent_keys={"*8": "access"}).talk()
    story.send(*map(on.AgentKeyPressed, "*8"), REGISTERED)
    assert story.call.whisper == "agent_right_registered"
    again(story, recording=True)
    assert words(story, Party.AGENT) == ["agent_right_registered"]


def test_invariant_6_a_refusal_that_was_registered_as_its_service_died_does_not_keep_the_talk_from_being_recorded() -> (
    None
):
    """Nothing was being recorded then, because the agent had paused it, so no recording shows the refusal."""
    story = Story(agent_keys={"*1": "pause_recording", "*2": "resume_recording"}).talk()
    story.send(*map(on.AgentKeyPressed, "*1"), on.RecorderStopped())
    refused = on_record(Right.REFUSE_RECORDING)
    again(story, recording=False, registered=(refused,))
    assert story.call.refused
    assert words(story) == ["recording_stopped"]
    story.send(*map(on.AgentKeyPressed, "*2"))
    assert not any(isinstance(each, do.TagRecording | do.StartRecorder) for each in asked(story))


@pytest.mark.parametrize("without", ["continue", "hang_up"])
def test_invariant_6_a_recorder_that_runs_although_the_recording_was_refused_runs_on(without: str) -> None:
    """The service that registered the refusal died before it stopped the recorder. The recorder ends before anything is
    said about it.
    """
    story = Story(recording={"mode": "opt_out", "without": without}).talk()
    again(story, recording=True, registered=(on_record(Right.REFUSE_RECORDING),))
    (stop,) = [each for each in asked(story) if isinstance(each, do.StopRecorder)]
    spoken = [each for each in asked(story) if isinstance(each, do.Play)]
    assert stop == do.StopRecorder(keep=True)
    assert asked(story).index(stop) < asked(story).index(spoken[0])
    assert (story.call.refused, story.call.recorder) == (True, RecorderState.STOPPING)


def test_a_call_that_ends_with_a_right_goes_on_if_its_service_died_over_it() -> None:
    story = Story().talk()
    again(story, recording=True, registered=(on_record(Right.ERASURE),))
    assert (story.call.stage, story.call.outcome) == (Stage.FAREWELL, Outcome.RIGHT_EXERCISED)
    assert words(story)[0] == "right_registered_erasure"


def test_a_call_that_must_be_recorded_ends_without_a_word_on_the_refusal_that_its_service_died_over() -> None:
    story = Story(recording={"mode": "opt_out", "without": "hang_up"}).talk()
    again(story, recording=False, registered=(on_record(Right.REFUSE_RECORDING),))
    assert (story.call.stage, story.call.outcome) == (Stage.FAREWELL, Outcome.RECORDING_REFUSED)
    assert words(story) == ["recording_stopped", "goodbye"]


def test_the_dialplan_is_told_of_a_right_while_the_earlier_run_may_still_play_to_its_channel() -> None:
    story = again(Story().talk(), recording=True, registered=(on_record(by_agent=True),))
    assert not any(isinstance(each, do.TellDialplan) for each in asked(story))
    assert (story.call.untold, story.call.reason) == (True, "access")


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("back", [False, True])
def test_invariant_2_a_repeated_notice_counts_that_was_played_to_a_callee_who_held_the_talk_before(
    times: int, *, back: bool
) -> None:
    """The service that takes the talk up transfers it: nobody has told it that the callee has put the call on hold."""
    story = Story(recording={"mode": "opt_out", "on_transfer": "repeat"}, transfer="PJSIP/{extension}").talk()
    story.send(on.HoldBegan())
    for _ in range(times):
        again(story, recording=True)
    story.send(*([on.HoldEnded()] if back else []), on.TransferAsked("1002"), on.RecorderStopped())
    assert words(story) == ["transfer_wait", "recording_opt_out"]
    story.send(on.AgentCreated(), on.AgentAnswered())
    assert ("recording_impossible" in story.notes) is not back


def test_a_confirmation_waits_for_a_callee_who_held_the_talk_before_and_may_be_back() -> None:
    story = again(Story().talk(), recording=True, on_hold=True)
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"))
    assert story.call.playing == "right_registered_access"


def test_what_is_no_talk_is_kept_as_one() -> None:
    for story in (Story().ring(), Story().notice(), Story().heard(), Story().recorder()):
        assert resuming.to_keep(story.call) is None


def test_a_call_before_its_talk_is_left_by_a_lost_connection() -> None:
    story = Story().heard()
    assert do.LeaveTalk() not in story.send(on.LetGo("asterisk_lost"))
    assert story.call.stage is Stage.CLOSE


def test_a_talk_is_resumed_in_the_middle_of_a_call() -> None:
    story = Story().talk()
    kept = resuming.to_keep(story.call)
    assert kept is not None
    event = on.TalkResumed(story.call.direction, story.campaign, kept, recording=True)
    assert decide(story.call, event) == (story.call, [])
