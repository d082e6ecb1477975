"""The key that changes the language: what begins again in the new language, and that nothing said in the old one proves
anything.
"""

import itertools

import pytest

from ccari.policy.call import Party, Stage
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.rights import Right
from tests.unit.policy.campaigns import ALL_KEYS
from tests.unit.policy.story import Story

KEYS = ALL_KEYS | {"#": "language"}
ENGLISH = {"languages": ["en"], "keys": KEYS}
ASKED = {
    "languages": ["en"],
    "keys": KEYS | {"1": "consent_recording"},
    "recording": {"mode": "opt_in", "legal_basis": "consent"},
}
NOTICE = ("language_offer", "identity", "recording_opt_out", "rights")
CHANGE = on.KeyPressed("#")
ACCESSED = on.RightRegistered(Right.ACCESS, "R-1")


def says(prompt: str) -> do.Play:
    return do.Play(Party.CALLEE, prompt)


def whole(prompt: str) -> on.Played:
    return on.Played(prompt, whole=True)


def cut(prompt: str) -> on.Played:
    return on.Played(prompt, whole=False)


def test_the_notice_offers_the_other_language_first() -> None:
    story = Story(**ENGLISH).ring()
    assert story.does(on.CalleeAnswered()) == [says("language_offer")]


def test_a_change_cuts_the_notice_short_and_begins_it_again() -> None:
    story = Story(**ENGLISH).notice()
    story.send(whole("language_offer"))
    assert story.send(CHANGE) == [
        do.Note("key_pressed", {"key": "#", "action": "language", "stage": "notice"}),
        do.StopPlaying(),
        do.UseLanguage("en"),
    ]
    assert story.does(cut("identity")) == [says("language_offer")]


def test_what_was_heard_in_the_other_language_has_to_be_heard_again() -> None:
    story = Story(**ENGLISH).notice()
    story.send(*map(whole, NOTICE[:3]), CHANGE, cut("rights"))
    for said, next_said in itertools.pairwise(NOTICE):
        assert story.does(whole(said)) == [says(next_said)]
    assert story.does(whole("rights")) == [do.CommitHeard(NOTICE)]


def test_a_last_prompt_that_ends_before_it_could_be_cut_proves_nothing() -> None:
    """It was heard whole, but in the language that the callee has left."""
    story = Story(**ENGLISH).notice()
    story.send(*map(whole, NOTICE[:3]), CHANGE)
    assert story.does(whole("rights")) == [says("language_offer")]
    assert "rights" not in story.call.heard


def test_a_first_prompt_in_the_other_language_is_not_taken_for_the_one_in_the_new() -> None:
    story = Story(**ENGLISH).notice()
    story.send(CHANGE, whole("language_offer"))
    assert story.call.heard == frozenset()
    assert story.call.playing == "language_offer"


@pytest.mark.parametrize("ended", [cut("identity"), on.Failed(says("identity"))])
def test_a_prompt_that_the_change_cut_short_breaks_no_notice(ended: on.Played | on.Failed) -> None:
    story = Story(**ENGLISH).notice()
    story.send(whole("language_offer"), CHANGE, ended)
    assert "notice_broken" not in story.notes
    assert story.call.stage is Stage.NOTICE


def test_a_prompt_that_breaks_in_the_new_language_breaks_the_notice_though_it_was_heard_in_the_other() -> (
    None
):
    story = Story(**ENGLISH).notice()
    story.send(whole("language_offer"), CHANGE, cut("identity"), cut("language_offer"))
    assert story.notes.count("notice_broken") == 1
    assert story.call.stage is Stage.UNHEARD


def test_the_languages_go_round() -> None:
    story = Story(languages=["en", "uk"], keys=KEYS).talk()
    used = story.does(CHANGE, CHANGE, CHANGE, CHANGE)
    assert used == [do.UseLanguage(each) for each in ("en", "uk", "pl", "en")]


def test_a_second_change_before_the_first_was_heard_begins_the_notice_once() -> None:
    story = Story(**ENGLISH).notice()
    story.send(CHANGE, CHANGE)
    assert story.call.language == "pl"
    assert story.does(cut("language_offer")) == [says("language_offer")]
    assert story.call.upcoming == NOTICE[1:]


def test_a_change_while_the_notice_is_proven_says_nothing_again() -> None:
    story = Story(**ENGLISH).heard()
    assert story.does(CHANGE) == [do.UseLanguage("en")]
    assert story.does(on.HeardCommitted()) == [do.TagRecording()]


def test_a_change_in_the_talk_is_for_the_words_that_follow() -> None:
    story = Story(**ENGLISH).talk()
    assert story.does(CHANGE) == [do.UseLanguage("en")]
    assert story.does(on.KeyPressed("8"), ACCESSED)[-1] == says("right_registered_access")


def test_an_answer_that_is_being_said_is_not_cut_by_a_change() -> None:
    story = Story(**ENGLISH).notice()
    story.send(on.KeyPressed("8"), ACCESSED, whole("language_offer"))
    assert story.does(CHANGE) == [do.UseLanguage("en")]
    assert story.call.playing == "right_registered_access"


def test_an_answer_that_waits_is_said_before_the_notice_begins_again() -> None:
    story = Story(**ENGLISH).notice()
    story.send(on.KeyPressed("8"), ACCESSED, CHANGE)
    assert story.does(cut("language_offer")) == [says("right_registered_access")]
    assert story.call.upcoming == ("reference:R-1", "answer_within_month", *NOTICE)


def test_a_refusal_stands_in_every_language() -> None:
    story = Story(**ENGLISH).notice()
    story.send(on.KeyPressed("2"), on.RightRegistered(Right.REFUSE_RECORDING, "R-1"), CHANGE)
    story.send(cut("language_offer"), whole("continues_unrecorded"), *map(whole, NOTICE))
    assert story.does(on.HeardCommitted()) == [do.AnswerAgent(), do.Bridge()]


def test_an_agreement_to_what_was_said_in_another_language_does_not_stand() -> None:
    """The notice begins again, and with it the question."""
    story = Story(**ASKED).notice()
    story.send(*(whole(prompt) for prompt in story.call.notice[:-1]))
    story.send(on.KeyPressed("1"), CHANGE)
    assert not story.call.agreed
    assert "recording_agreed" not in story.call.upcoming
    story.send(
        cut(story.call.playing or ""), *(whole(prompt) for prompt in story.call.notice), on.HeardCommitted()
    )
    assert story.call.stage is Stage.AGREEMENT


def test_a_waiting_answer_is_said_in_the_new_language_and_not_lost() -> None:
    story = Story(**ENGLISH).notice()
    story.send(on.KeyPressed("9"), CHANGE)
    assert story.does(cut("language_offer")) == [says("source_asked")]


def test_a_number_that_knows_who_calls_hears_no_more_than_before_in_the_new_language() -> None:
    prompts = {"prompts": ["identity", "recording", "rights"], "information": "first_contact"}
    story = Story(**ENGLISH, notice=prompts)
    story.send(
        on.CallRequested(), on.GateAllowed(story.campaign, informed=True), on.CalleeCreated(), on.TokenSpent()
    )
    story.send(on.CalleeAnswered(), CHANGE, cut("language_offer"), whole("language_offer"))
    assert story.does(whole("recording_opt_out")) == [do.CommitHeard(("language_offer", "recording_opt_out"))]


def test_a_change_before_the_answer_or_in_the_last_words_is_only_noted() -> None:
    assert Story(**ENGLISH).ring().does(CHANGE) == []
    story = Story(**ENGLISH).talk()
    story.send(on.KeyPressed("7"), on.RightRegistered(Right.ERASURE, "R-1"))
    assert story.does(CHANGE) == []


def test_a_change_while_the_callee_may_still_agree_leaves_the_wait_as_it_is() -> None:
    story = Story(**ASKED).heard()
    story.send(on.HeardCommitted())
    assert not any(isinstance(each, do.SetTimer) for each in story.send(CHANGE))
    assert story.does(on.KeyPressed("1")) == [says("recording_agreed")]
