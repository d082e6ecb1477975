"""What each key of the callee does, from the notice to the last word."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from ccari.policy import confirmations
from ccari.policy.call import Outcome, Party, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.keys import pressed
from ccari.policy.call.state import RECORDER_SECONDS, Stage
from ccari.policy.rights import Right
from tests.unit.policy.story import Story

AGENT_GONE, CALLEE_GONE = on.Gone(Party.AGENT), on.Gone(Party.CALLEE)
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
OFFER = {"legal_basis": "consent", "marketing": True}
MUST = {"recording": {"mode": "opt_out", "without": "hang_up"}}
REFUSED = on.RightRegistered(Right.REFUSE_RECORDING, "R-1")
ERASED = on.RightRegistered(Right.ERASURE, "R-2")


def says(prompt: str) -> do.Play:
    return do.Play(Party.CALLEE, prompt)


@pytest.mark.parametrize(
    ("key", "right", "stops"),
    [
        ("0", Right.HUMAN_REVIEW, False),
        ("1", Right.OBJECTION, True),
        ("2", Right.REFUSE_RECORDING, True),
        ("3", Right.RESTRICTION, False),
        ("4", Right.RECTIFICATION, False),
        ("5", Right.OBJECTION_MARKETING, False),
        ("6", Right.WITHDRAW_CONSENT, False),
        ("7", Right.ERASURE, True),
        ("8", Right.ACCESS, False),
        ("#", Right.PORTABILITY, False),
    ],
)
def test_a_right_in_the_talk_is_registered_and_stops_what_it_has_to_stop(
    key: str,
    right: Right,
    *,
    stops: bool,
) -> None:
    story = Story().talk()
    stop = [do.StopRecorder(keep=True)] if stops else []
    assert story.does(on.KeyPressed(key)) == [*stop, do.RegisterRight(right, key)]


@pytest.mark.parametrize(
    ("key", "right", "words"),
    [
        ("1", Right.OBJECTION, ("right_registered_objection", "reference:R-1", "answer_within_month")),
        ("3", Right.RESTRICTION, ("right_registered_restriction", "reference:R-1", "answer_within_month")),
        ("5", Right.OBJECTION_MARKETING, ("right_registered_objection_marketing",)),
        ("6", Right.WITHDRAW_CONSENT, ("right_registered_withdraw_consent",)),
        ("7", Right.ERASURE, ("right_registered_erasure", "reference:R-1", "answer_within_month")),
    ],
)
def test_a_right_that_bars_the_call_ends_it_with_its_confirmation(
    key: str, right: Right, words: tuple[str, ...]
) -> None:
    story = Story(**OFFER).notice()
    story.send(on.KeyPressed(key))
    assert story.does(on.RightRegistered(right, "R-1")) == [do.StopPlaying()]
    said = "identity"
    for prompt in (*words, "goodbye"):
        assert story.does(on.Played(said, whole=said != "identity")) == [says(prompt)]
        said = prompt
    assert story.does(on.Played("goodbye", whole=True)) == [
        do.HangUp(Party.CALLEE),
        do.GiveBack(Outcome.RIGHT_EXERCISED, right.value),
    ]
    story.send(CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("right_exercised", right.value)


@pytest.mark.parametrize(
    ("key", "right", "words"),
    [
        ("0", Right.HUMAN_REVIEW, ("right_registered_human_review", "reference:R-1", "answer_within_month")),
        ("1", Right.OBJECTION, ("right_registered_objection", "reference:R-1", "answer_within_month")),
        ("2", Right.REFUSE_RECORDING, ("recording_stopped",)),
        (
            "4",
            Right.RECTIFICATION,
            ("right_registered_rectification", "reference:R-1", "answer_within_month"),
        ),
        ("5", Right.OBJECTION_MARKETING, ("right_registered_objection_marketing",)),
        ("6", Right.WITHDRAW_CONSENT, ("right_registered_withdraw_consent",)),
        ("8", Right.ACCESS, ("right_registered_access", "reference:R-1", "answer_within_month")),
        ("#", Right.PORTABILITY, ("right_registered_portability", "reference:R-1", "answer_within_month")),
    ],
)
def test_a_right_that_bars_nothing_is_confirmed_and_the_talk_goes_on(
    key: str, right: Right, words: tuple[str, ...]
) -> None:
    story = Story().talk()
    story.send(on.KeyPressed(key))
    answered = story.does(on.RightRegistered(right, "R-1"))
    for prompt in words:
        assert answered == [says(prompt)]
        answered = story.does(on.Played(prompt, whole=True))
    assert answered == []
    assert story.call.stage is Stage.TALK


def test_who_takes_back_the_consent_that_the_call_needs_beside_its_contract_is_talked_to_all_the_same() -> (
    None
):
    story = Story(consent_required=True).notice()
    story.send(on.KeyPressed("6"), on.RightRegistered(Right.WITHDRAW_CONSENT, "R-1"))
    assert (story.call.stage, story.call.outcome) == (Stage.FAREWELL, Outcome.RIGHT_EXERCISED)
    assert story.does(on.Played("identity", whole=False)) == [says("right_registered_withdraw_consent")]


def test_a_call_that_needs_a_consent_ends_with_a_right_that_leaves_it() -> None:
    story = Story(**OFFER).notice()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"))
    assert (story.call.stage, story.call.outcome) == (Stage.NOTICE, None)


def test_when_the_answers_come_is_told_once_however_many_were_asked_for() -> None:
    story = Story().notice()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"))
    story.send(on.KeyPressed("4"), on.RightRegistered(Right.RECTIFICATION, "R-2"))
    assert story.call.upcoming[:5] == (
        "right_registered_rectification",
        "reference:R-2",
        "right_registered_access",
        "reference:R-1",
        "answer_within_month",
    )
    assert story.call.upcoming.count("answer_within_month") == 1


def test_a_right_is_not_confirmed_before_it_is_durable() -> None:
    story = Story().talk()
    assert not any(isinstance(each, do.Play) for each in story.send(on.KeyPressed("8")))


def test_the_journal_tells_the_key_then_the_right() -> None:
    story = Story().notice()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"))
    assert story.commands[-3:] == [
        do.Note("key_pressed", {"key": "8", "action": "access", "stage": "notice"}),
        do.RegisterRight(Right.ACCESS, "8"),
        do.Note("right_registered", {"right": "access", "reference": "R-1"}),
    ]


def test_a_right_pressed_twice_is_registered_once() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("8"))
    assert story.does(on.KeyPressed("8")) == []
    story.send(on.KeyPressed("4"))
    assert story.does(on.KeyPressed("8")) == []


def test_a_right_that_could_not_be_registered_is_told_and_may_be_pressed_again() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("8"))
    assert story.send(on.Failed(do.RegisterRight(Right.ACCESS, "8"))) == [
        do.Note("right_failed", {"right": "access"}),
        says("right_failed"),
    ]
    assert story.does(on.KeyPressed("8")) == [do.RegisterRight(Right.ACCESS, "8")]


def test_a_card_number_that_a_callee_types_is_in_the_log_and_in_the_journal() -> None:
    story = Story(keys={"2": "continue_unrecorded"}).talk()
    for digit in "40137":
        assert story.send(on.KeyPressed(digit)) == [
            do.Note("key_pressed", {"key": "other", "action": "none", "stage": "talk"})
        ]


def test_a_key_before_the_gate_is_nobodys() -> None:
    assert Story().send(on.KeyPressed("7")) == []


def test_a_right_pressed_as_the_callee_hangs_up_is_registered_before_the_call_ends() -> None:
    story = Story(recording={"mode": "off"}).heard()
    story.send(on.HeardCommitted(), on.Bridged())
    assert story.does(CALLEE_GONE, on.KeyPressed("7")) == [
        do.GiveBack(Outcome.BRIDGED, ""),
        do.RegisterRight(Right.ERASURE, "7"),
    ]
    assert story.does(AGENT_GONE) == []
    assert story.does(ERASED)[-1] == do.CloseCall(Outcome.BRIDGED, "")
    assert story.notes[-2:] == ["right_registered", "call_ended"]


@pytest.mark.parametrize("known", [True, False])
def test_invariant_6_a_refusal_cuts_nothing_while_the_recorder_is_stopped_for_another_reason(
    *, known: bool
) -> None:
    """Of a caller without a number nothing is registered, and it cut nothing either."""
    story = Story().talk()
    story.call = replace(story.call, known=known)
    story.send(AGENT_GONE)
    assert do.CutRecording(NOON) not in story.does(on.KeyPressed("8", NOON))
    cut, *registered = story.does(on.KeyPressed("2", NOON))
    assert cut == do.CutRecording(NOON)
    assert registered == ([do.RegisterRight(Right.REFUSE_RECORDING, "2", at=NOON)] if known else [])


@pytest.mark.parametrize("known", [True, False])
def test_invariant_6_a_refusal_that_a_call_fails_on_cuts_nothing(*, known: bool) -> None:
    call = replace(Story().talk().call, known=known)
    cut, *registered = pressed(call, on.KeyPressed("2", NOON))
    assert cut == do.CutRecording(NOON)
    assert registered == ([do.RegisterRight(Right.REFUSE_RECORDING, "2", at=NOON)] if known else [])
    assert do.CutRecording(NOON) not in pressed(call, on.KeyPressed("8", NOON))


def test_a_refusal_in_the_notice_leaves_the_call_unrecorded_from_the_start() -> None:
    story = Story().notice()
    story.send(on.KeyPressed("2"), REFUSED)
    for prompt in ("identity", "continues_unrecorded", "recording_opt_out", "rights"):
        story.send(on.Played(prompt, whole=True))
    assert story.does(on.HeardCommitted()) == [do.AnswerAgent(), do.Bridge()]
    assert story.send(on.Bridged()) == [
        do.Note("call_bridged", {"recorded": "no"}),
        do.TellDialplan(Outcome.BRIDGED, "recording_refused"),
    ]


def test_a_refusal_while_the_tag_is_written_starts_no_recorder() -> None:
    story = Story().heard()
    story.send(on.HeardCommitted(), on.KeyPressed("2"))
    assert story.does(on.RecordingTagged()) == [do.AnswerAgent(), do.Bridge()]


def test_the_two_are_brought_together_after_a_refusal_of_what_must_be_recorded() -> None:
    story = Story(**MUST).heard()
    story.send(on.HeardCommitted(), on.KeyPressed("2"))
    assert story.does(on.RecordingTagged()) == []
    assert story.does(REFUSED) == [says("continues_unrecorded")]


def test_who_presses_a_key_that_does_nothing_in_the_notice_waits_for_what_it_does() -> None:
    story = Story(keys={"2": "continue_unrecorded"}).notice()
    story.send(on.KeyPressed("5"))
    assert story.does(on.Played("identity", whole=True)) == [says("key_unknown")]
    none = Story(recording={"mode": "notice"}, keys={}).notice()
    assert none.does(on.KeyPressed("5"), on.Played("identity", whole=True)) == [says("recording_notice")]


def test_a_refusal_while_the_recorder_starts_throws_its_file_away_before_the_bridge() -> None:
    story = Story().recorder()
    assert story.does(on.KeyPressed("2")) == [do.RegisterRight(Right.REFUSE_RECORDING, "2")]
    assert story.send(on.RecorderStarted()) == [
        do.SetTimer(Timer.STOP, RECORDER_SECONDS),
        do.StopRecorder(keep=False),
    ]
    assert story.does(on.RecorderStopped()) == [do.AnswerAgent(), do.Bridge()]


def test_a_refused_recorder_that_does_not_stop_in_time_ends_the_call_unbridged() -> None:
    story = Story().recorder()
    story.send(on.KeyPressed("2"), on.RecorderStarted(), REFUSED)
    story.send(on.TimeRanOut(Timer.STOP), CALLEE_GONE, AGENT_GONE, on.RecorderStopped())
    assert story.ending == ("failed", "discard_timeout")
    assert do.Bridge() not in story.commands


def test_a_refused_recorder_that_cannot_be_stopped_ends_the_call_unbridged() -> None:
    story = Story().recorder()
    story.send(on.KeyPressed("2"), on.RecorderStarted(), REFUSED)
    story.send(on.Failed(do.StopRecorder(keep=False)), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("failed", "recorder_not_stopped")
    assert do.Bridge() not in story.commands


def test_a_refused_recorder_that_cannot_be_stopped_ends_the_talk() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("2"))
    assert story.does(on.Failed(do.StopRecorder(keep=True))) == [
        do.HangUp(Party.CALLEE),
        do.GiveBack(Outcome.BRIDGED, "recorder_not_stopped"),
    ]


def test_a_refusal_that_is_not_registered_is_a_refusal_all_the_same() -> None:
    story = Story().notice()
    story.send(on.KeyPressed("2"), on.Failed(do.RegisterRight(Right.REFUSE_RECORDING, "2")))
    for prompt in ("identity", "right_failed", "recording_opt_out", "rights"):
        story.send(on.Played(prompt, whole=True))
    assert story.does(on.HeardCommitted()) == [do.AnswerAgent(), do.Bridge()]


def test_a_refusal_ends_a_call_that_must_be_recorded() -> None:
    story = Story(**MUST).talk()
    story.send(on.KeyPressed("2"))
    assert story.does(REFUSED) == [do.Part(), says("recording_stopped")]
    story.send(on.Played("recording_stopped", whole=True), on.Played("goodbye", whole=True))
    story.send(on.RecorderStopped(), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("recording_refused", "recording_refused")


def test_a_refusal_ends_a_call_that_must_be_recorded_even_if_it_is_not_registered() -> None:
    story = Story(**MUST).notice()
    story.send(on.KeyPressed("2"), on.Failed(do.RegisterRight(Right.REFUSE_RECORDING, "2")))
    assert story.call.stage is Stage.FAREWELL
    assert story.does(on.Played("identity", whole=False)) == [says("right_failed")]


def test_a_call_that_must_be_recorded_is_not_bridged_while_its_refusal_is_registered() -> None:
    story = Story(**MUST).heard()
    story.send(on.KeyPressed("2"))
    assert story.does(on.HeardCommitted()) == []
    assert story.does(REFUSED) == [says("continues_unrecorded")]


def test_an_erasure_that_bars_nothing_still_ends_a_call_that_must_be_recorded() -> None:
    story = Story(**MUST, legal_basis="legal_obligation").talk()
    story.send(on.KeyPressed("7"))
    assert story.does(ERASED) == [do.Part(), says("right_registered_erasure")]
    assert story.call.outcome is Outcome.RECORDING_REFUSED


def test_a_refusal_where_nothing_is_recorded_ends_nothing() -> None:
    story = Story(recording={"mode": "off", "without": "hang_up"}).notice()
    story.send(on.KeyPressed("2"), REFUSED)
    assert story.call.stage is Stage.NOTICE


def test_an_erasure_in_the_talk_stops_the_recorder_before_the_database_is_asked() -> None:
    story = Story().talk()
    assert story.does(on.KeyPressed("7")) == [
        do.StopRecorder(keep=True),
        do.RegisterRight(Right.ERASURE, "7"),
    ]
    assert story.does(ERASED) == [do.Part(), says("right_registered_erasure")]
    story.send(on.RecorderStopped())
    for prompt in ("right_registered_erasure", "reference:R-2", "answer_within_month"):
        story.send(on.Played(prompt, whole=True))
    assert story.does(on.Played("goodbye", whole=True))[0] == do.HangUp(Party.CALLEE)
    story.send(CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("right_exercised", "erasure")


def test_last_words_part_the_two_once_and_behind_the_prompt_that_they_cut() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("9"))
    assert story.call.playing == "source_asked"
    story.send(on.KeyPressed("7"))
    assert story.does(ERASED) == [do.StopPlaying(), do.Part()]
    assert story.does(on.Played("source_asked", whole=False)) == [says("right_registered_erasure")]
    story.send(on.KeyPressed("1"))
    assert do.Part() not in story.send(on.RightRegistered(Right.OBJECTION, "R-3"))
    assert story.call.stage is Stage.FAREWELL


def test_a_right_that_is_registered_as_the_two_are_brought_together_parts_them_again() -> None:
    story = Story().recorder()
    story.send(on.RecorderStarted(), on.KeyPressed("7"))
    assert story.call.stage is Stage.BRIDGE
    assert story.does(ERASED) == [do.Part(), says("right_registered_erasure")]


@pytest.mark.parametrize("command", [do.CommitHeard(()), do.AnswerAgent(), do.Bridge()])
def test_a_failure_that_comes_in_the_last_words_does_not_cut_them(
    command: do.CommitHeard | do.AnswerAgent | do.Bridge,
) -> None:
    story = Story().heard()
    story.send(on.KeyPressed("7"), ERASED)
    assert story.does(on.Failed(command)) == []


def test_an_agent_who_leaves_does_not_cut_the_last_words_to_the_callee() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("7"), ERASED)
    assert story.does(AGENT_GONE) == []


def test_a_callee_who_leaves_in_the_last_words_has_exercised_the_right() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("7"), ERASED, on.RecorderStopped(), CALLEE_GONE, AGENT_GONE)
    assert story.ending == ("right_exercised", "erasure")


def test_a_second_right_in_the_farewell_does_not_cut_the_first_confirmation_short() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("7"), ERASED, on.KeyPressed("8"))
    assert story.does(on.RightRegistered(Right.ACCESS, "R-3")) == []
    assert story.does(on.Played("right_registered_erasure", whole=True)) == [says("reference:R-2")]
    assert story.does(on.Played("reference:R-2", whole=True)) == [says("right_registered_access")]


def test_a_second_right_that_bars_the_call_does_not_cut_the_first_confirmation_short() -> None:
    story = Story(**OFFER).talk()
    story.send(on.KeyPressed("7"), ERASED, on.KeyPressed("5"))
    assert story.does(on.RightRegistered(Right.OBJECTION_MARKETING, "R-3")) == []
    assert story.does(on.Played("right_registered_erasure", whole=True)) == [says("reference:R-2")]
    assert story.does(on.Played("reference:R-2", whole=True)) == [
        says("right_registered_objection_marketing")
    ]


def test_where_the_number_comes_from_is_told_between_a_confirmation_and_its_reference() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-3"), on.KeyPressed("9"))
    assert story.does(on.Played("right_registered_access", whole=True)) == [says("reference:R-3")]


@pytest.mark.parametrize(
    ("second", "answer"),
    [
        (on.RightRegistered(Right.RECTIFICATION, "R-4"), ("right_registered_rectification", "reference:R-4")),
        (on.Failed(do.RegisterRight(Right.RECTIFICATION, "4")), ("right_failed",)),
    ],
)
def test_a_reference_is_read_out_behind_the_answer_to_another_key(
    second: on.RightRegistered | on.Failed, answer: tuple[str, ...]
) -> None:
    story = Story().talk()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-3"), on.KeyPressed("4"), second)
    said = "right_registered_access"
    for prompt in ("reference:R-3", *answer, "answer_within_month"):
        assert story.does(on.Played(said, whole=True)) == [says(prompt)]
        said = prompt


def test_a_confirmation_that_waited_is_said_before_the_goodbye() -> None:
    story = Story().notice()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"), on.KeyPressed("7"), ERASED)
    said = "identity"
    for prompt in (
        "right_registered_erasure",
        "reference:R-2",
        "right_registered_access",
        "reference:R-1",
        "answer_within_month",
        "goodbye",
    ):
        assert story.does(on.Played(said, whole=said != "identity")) == [says(prompt)]
        said = prompt


def test_until_when_there_will_be_an_answer_is_told_once_as_a_date_behind_all() -> None:
    story, due = Story().notice(), date(2026, 12, 28)
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "ACME-2026-000012", due))
    story.send(on.KeyPressed("4"), on.RightRegistered(Right.RECTIFICATION, "ACME-2026-000013", due))
    told = story.call.upcoming[:5]
    assert [each.partition(":")[0] for each in told] == [
        "right_registered_rectification", "reference", "right_registered_access", "reference", "due",
    ]  # fmt: skip
    assert confirmations.spelt_out(told[-1]) == ("answer_by", "day_28", "month_12", "year_2026")
    assert confirmations.spelt_out(told[1]) == ("reference_is", *(f"digit_{digit}" for digit in "202613"))


def test_invariant_5_a_right_that_waits_on_this_node_is_not_confirmed_or_with_a_reference_that_it_has_not() -> (
    None
):
    story, due = Story().notice(), date(2026, 12, 28)
    story.send(on.KeyPressed("7"))
    done = story.send(on.RightSpooled(Right.ERASURE, due))
    assert do.Note("right_spooled", {"right": "erasure"}) in done
    assert [each for each in done if isinstance(each, do.Note)] == [
        do.Note("right_spooled", {"right": "erasure"})
    ]
    told = [each.partition(":")[0] for each in story.call.upcoming]
    assert told == ["right_registered_erasure", "due", "goodbye"]
    assert (story.call.stage, story.call.outcome) == (Stage.FAREWELL, Outcome.RIGHT_EXERCISED)
    # nor is it asked for again
    assert not any(isinstance(each, do.RegisterRight) for each in story.send(on.KeyPressed("7")))


def test_a_year_that_cannot_be_spoken_silences_the_confirmation() -> None:
    words = confirmations.confirmation(Right.ACCESS, recorded=False, due=date(2041, 1, 2))
    assert words[-1] == "answer_within_month"


def test_the_data_source_is_told_next_and_once_however_often_it_is_asked_for() -> None:
    story = Story().notice()
    story.send(*[on.KeyPressed("9")] * 5)
    assert story.does(on.Played("identity", whole=True)) == [says("source_asked")]
    assert story.does(on.Played("source_asked", whole=True)) == [says("recording_opt_out")]


def test_the_notice_is_repeated_from_its_start() -> None:
    story = Story().notice()
    story.send(on.Played("identity", whole=True), on.KeyPressed("*"))
    assert story.does(on.Played("recording_opt_out", whole=True)) == [says("identity")]


def informed() -> Story:
    """A call in its notice, to a number that has heard before who calls."""
    story = Story(notice={"prompts": ["identity", "recording", "rights"], "information": "first_contact"})
    story.send(
        on.CallRequested(), on.GateAllowed(story.campaign, informed=True), on.CalleeCreated(), on.TokenSpent()
    )
    assert story.does(on.CalleeAnswered()) == [says("recording_opt_out")]
    return story


def test_a_number_that_knows_who_calls_need_not_hear_it_again_for_the_call_to_go_on() -> None:
    assert informed().does(on.Played("recording_opt_out", whole=True)) == [
        do.CommitHeard(("recording_opt_out",))
    ]


def test_the_repeated_notice_is_the_whole_one_for_a_number_that_was_spared_it() -> None:
    story = informed()
    story.send(on.KeyPressed("*"))
    for said, next_said in (("recording_opt_out", "identity"), ("identity", "recording_opt_out")):
        assert story.does(on.Played(said, whole=True)) == [says(next_said)]
    assert story.does(on.Played("recording_opt_out", whole=True)) == [says("rights")]


def test_a_repeated_notice_still_has_to_end_before_it_is_proven() -> None:
    story = Story().notice()
    story.send(
        on.Played("identity", whole=True), on.Played("recording_opt_out", whole=True), on.KeyPressed("*")
    )
    assert story.does(on.Played("rights", whole=True)) == [says("identity")]


def test_a_repeated_notice_does_not_swallow_a_confirmation() -> None:
    story = Story().notice()
    story.send(on.KeyPressed("8"), on.RightRegistered(Right.ACCESS, "R-1"), on.KeyPressed("*"))
    assert story.does(on.Played("identity", whole=True)) == [says("right_registered_access")]


def test_a_key_that_steers_is_only_noted_once_the_last_words_are_said() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("7"), ERASED)
    assert story.does(on.KeyPressed("9"), on.KeyPressed("*")) == []


def test_a_tone_in_early_media_bars_the_number_or_ends_the_call_while_it_rings() -> None:
    """Nobody has answered: Asterisk may take a melody for a key. Whoever answers may still press it."""
    story = Story().ring()
    pressed = do.Note("key_pressed", {"key": "7", "action": "erasure", "stage": "ring"})
    assert story.send(on.KeyPressed("7")) == [pressed]
    story.send(on.CalleeAnswered())
    assert story.does(on.KeyPressed("7")) == [do.RegisterRight(Right.ERASURE, "7")]


def test_a_tone_that_comes_as_the_ringing_ends_bars_the_number() -> None:
    story = Story().ring()
    story.send(on.TimeRanOut(Timer.RING), on.KeyPressed("7"))
    assert not any(isinstance(each, do.RegisterRight) for each in story.commands)


def test_an_agent_who_leaves_in_the_last_words_leaves_the_dialplan_without_what_was_exercised() -> None:
    story = Story().talk()
    story.send(on.KeyPressed("7"))
    assert do.TellDialplan(Outcome.RIGHT_EXERCISED, "erasure") in story.send(ERASED)
