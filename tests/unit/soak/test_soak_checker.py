"""The checker of the soak is code that can be wrong: a planted violation of each kind must be found."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.integration.studio import CONFIRMED, TONES
from tests.lab.callees import AGENT_TONE_HZ
from tests.soak.account import Account, Bar, Invite, Kept, RawFile, Sounding
from tests.soak.checks import violations
from tests.soak.plan import Fault
from tests.unit.soak import lawful
from tests.unit.soak.lawful import (
    AGREED,
    AGREED_RECORDING,
    BEGAN,
    BLOCKED,
    DIGITS,
    ERASED,
    INBOUND,
    OTHERS,
    RECORDING,
    digest,
)

STRAY = "10000000-0000-4000-8000-000000000009"


def test_a_lawful_run_is_accused() -> None:
    assert violations(lawful.account()) == []


def _barred_before(run: Account) -> Account:
    return replace(
        run, bars=(*run.bars, Bar("acme", digest("acme", DIGITS[AGREED]), "", "erasure", BEGAN + 15))
    )


def _barred_while_dialled(run: Account) -> Account:
    """The token was spent in time, but the INVITE came long after."""
    late = replace(run.invites[1], at=BEGAN + 29)
    bars = (*run.bars, Bar("acme", digest("acme", DIGITS[AGREED]), "", "erasure", BEGAN + 22))
    return replace(run, invites=(run.invites[0], late, run.invites[2]), bars=bars)


def _dialled_twice(run: Account) -> Account:
    return replace(run, invites=(*run.invites, Invite(BEGAN + 90, DIGITS[ERASED], "48221110001")))


def _dialled_by_nobody(run: Account) -> Account:
    return replace(run, invites=(*run.invites, Invite(BEGAN + 90, DIGITS[BLOCKED], "48221110001")))


def _recorded_in_the_notice(run: Account) -> Account:
    return lawful.with_call(run, ERASED, heard_at=BEGAN + 7)


def _never_heard(run: Account) -> Account:
    return lawful.without_event(lawful.with_call(run, AGREED, heard_at=None), AGREED, "notice_heard")


def _not_agreed(run: Account) -> Account:
    return lawful.without_event(run, AGREED, "recording_agreed")


def _notice_in_the_file(run: Account) -> Account:
    notice = Sounding(TONES["recording_notice"], 0.0, 0.8)
    return replace(run, kept=(replace(run.kept[0], tones=(notice, *run.kept[0].tones)), *run.kept[1:]))


def _recorded_in_another_mode(run: Account) -> Account:
    return lawful.with_call(run, ERASED, campaign="survey")


def _seen_before_the_notice(run: Account) -> Account:
    return replace(run, raw=(replace(run.raw[0], seen_at=BEGAN + 3.5), run.raw[1]))


def _bridged_first(run: Account) -> Account:
    journal = run.by_id[OTHERS].journal
    at = {each.event: each.seq for each in journal}
    swapped = {"call_bridged": at["notice_heard"], "notice_heard": at["call_bridged"]}
    moved = (replace(each, seq=swapped.get(each.event, each.seq)) for each in journal)
    return lawful.with_call(run, OTHERS, journal=tuple(sorted(moved, key=lambda each: each.seq)))


def _agent_heard_first(run: Account) -> Account:
    early = Sounding(AGENT_TONE_HZ, 0.5, 6.0)
    return lawful.hearing(run, AGREED, early)


def _half_a_notice(run: Account) -> Account:
    half = Sounding(TONES["recording_notice"], 0.8, 1.1)
    whole, talk = Sounding(TONES["identity"], 0.0, 0.8), Sounding(AGENT_TONE_HZ, 1.3, 6.0)
    return lawful.hearing(run, INBOUND, whole, half, talk, Sounding(TONES["continues_unrecorded"], 1.6, 2.4))


def _audio_without_a_tag(run: Account) -> Account:
    return replace(run, raw=(*run.raw, RawFile(STRAY, BEGAN + 30, left=False)))


def _file_without_a_tag(run: Account) -> Account:
    return replace(run, kept=(*run.kept, Kept(STRAY, f"acme/2027-01-15/{STRAY}.flac.age")))


def _tagged_too_late(run: Account) -> Account:
    return lawful.with_recording(run, RECORDING, tagged_at=BEGAN + 5.5)


def _kept_though_discarded(run: Account) -> Account:
    return lawful.with_recording(run, AGREED_RECORDING, state="discarded")


def _tag_unknown(run: Account) -> Account:
    return lawful.without_event(run, AGREED, "recording_tagged")


def _confirmed_only(run: Account) -> Account:
    tones = (*run.heard[1].tones, Sounding(CONFIRMED, 8.0, 8.8))
    return lawful.hearing(run, AGREED, *tones)


def _refusal_confirmed_only(run: Account) -> Account:
    return replace(lawful.without_event(run, INBOUND, "key_pressed"), requests=run.requests[:1])


def _pressed_and_lost(run: Account) -> Account:
    return replace(
        lawful.hearing(run, ERASED, *run.heard[0].tones[:-1]), requests=run.requests[1:], bars=run.bars[:1]
    )


def _registered_twice(run: Account) -> Account:
    again = replace(run.requests[0], reference="ACME-2027-000003")
    return replace(run, requests=(*run.requests, again))


def _no_bar(run: Account) -> Account:
    return replace(run, bars=run.bars[:1])


def _recorded_on(run: Account) -> Account:
    return lawful.with_recording(run, RECORDING, duration_ms=7000)


def _others_list(run: Account) -> Account:
    return lawful.with_call(run, OTHERS, reason="suppressed_do_not_call", outcome="blocked")


def _others_right(run: Account) -> Account:
    return replace(run, requests=(replace(run.requests[0], controller="bravo"), run.requests[1]))


def _others_bar(run: Account) -> Account:
    theirs = Bar("bravo", digest("bravo", DIGITS[ERASED]), "", "erasure", BEGAN + 9.1, call_id=ERASED)
    return replace(run, bars=(*run.bars, theirs))


def _others_call(run: Account) -> Account:
    return lawful.with_call(run, OTHERS, campaign="reminders", controller="acme")


def _number_logged(run: Account) -> Account:
    return lawful.logging(run, '{"event":"call_gated","number":"+48600307401"}')


def _number_in_a_traceback(run: Account) -> Account:
    return lawful.logging(run, "ccari: no such endpoint PJSIP/600 307 401@trunk")


def _secret_logged(run: Account) -> Account:
    return lawful.logging(run, f"key={lawful.SECRET}")


def _edited(run: Account) -> Account:
    return lawful.with_call(run, INBOUND, fault="entry 3 (key_pressed) was changed")


def _request_edited(run: Account) -> Account:
    return replace(run, requests=(replace(run.requests[0], fault="entry 1 is missing"), run.requests[1]))


def _accused(run: Account) -> Account:
    return replace(run, accused=("entry 7 (number_barred)",))


def _open(run: Account) -> Account:
    return lawful.with_call(run, BLOCKED, ended_at=None)


def _channel_left(run: Account) -> Account:
    return replace(run, left=(f"channel ccari-{ERASED}-callee",))


def _recording_open(run: Account) -> Account:
    return lawful.with_recording(run, RECORDING, state="recording")


def _raw_left(run: Account) -> Account:
    return replace(run, raw=(replace(run.raw[0], left=True), run.raw[1]))


def _waits_without_a_reason(run: Account) -> Account:
    return lawful.with_recording(_raw_left(run), RECORDING, state="finished")


def _file_gone(run: Account) -> Account:
    return replace(run, kept=run.kept[1:])


def _plain_audio(run: Account) -> Account:
    return replace(run, at_work=(f"encoding/{RECORDING}.new/{RECORDING}.flac",))


def _failed_inside(run: Account) -> Account:
    return lawful.logging(run, "{}", event="call_failed", call_id=ERASED)


PLANTED: list[tuple[Callable[[Account], Account], int, str]] = [
    (_barred_before, 1, "a token was spent on a suppressed number"),
    (_barred_while_dialled, 1, "a suppressed number was dialled"),
    (_dialled_twice, 1, "an INVITE that no call has a token for"),
    (_dialled_by_nobody, 1, "an INVITE that no call has a token for"),
    (_recorded_in_the_notice, 2, "recorded before the notice was heard"),
    (_never_heard, 2, "recorded before the notice was heard"),
    (_not_agreed, 2, "recorded without the key that agrees"),
    (_notice_in_the_file, 2, "the notice itself was recorded"),
    (_recorded_in_another_mode, 2, "recorded in another mode than was declared"),
    (_seen_before_the_notice, 2, "a recorder ran before the notice was heard"),
    (_bridged_first, 3, "bridged before the notice was heard"),
    (_agent_heard_first, 3, "the callee heard the agent before the notice"),
    (_half_a_notice, 3, "the callee heard the agent before the notice"),
    (_audio_without_a_tag, 4, "audio in the spool that no tag is of"),
    (_file_without_a_tag, 4, "a kept recording that no tag is of"),
    (_tagged_too_late, 4, "the recorder ran before its tag was committed"),
    (_kept_though_discarded, 4, "audio was kept that was done away with"),
    (_tag_unknown, 4, "a recording whose tag the journal does not know"),
    (_confirmed_only, 5, "a right was confirmed that is not on record"),
    (_refusal_confirmed_only, 5, "a refusal was confirmed that is not on record"),
    (_pressed_and_lost, 5, "a right was pressed and lost"),
    (_registered_twice, 5, "one press is several requests"),
    (_no_bar, 6, "a right without its bar"),
    (_recorded_on, 6, "recorded on after a refusal"),
    (_others_list, 7, "a number was barred that its controller has not barred"),
    (_others_right, 7, "a right was registered for another controller"),
    (_others_bar, 7, "a right bars for another controller"),
    (_others_call, 7, "a call was made for another controller"),
    (_number_logged, 8, "a number in a log"),
    (_number_in_a_traceback, 8, "a number in a log"),
    (_secret_logged, 8, "a secret in a log"),
    (_edited, 9, "a call's journal does not fit"),
    (_request_edited, 9, "a request's journal does not fit"),
    (_accused, 9, "it is said that somebody has tampered"),
    (_open, 0, "a call's row was never closed"),
    (_channel_left, 0, "left behind"),
    (_recording_open, 0, "a recording was never closed"),
    (_raw_left, 0, "a raw file was left in the spool without a reason"),
    (_waits_without_a_reason, 0, "a raw file was left in the spool without a reason"),
    (_file_gone, 0, "a stored recording has no file"),
    (_plain_audio, 0, "plain audio left beside the recordings"),
    (_failed_inside, 0, "an error that nobody had thought of"),
]


@pytest.mark.parametrize(
    ("plant", "invariant", "what"), PLANTED, ids=lambda each: getattr(each, "__name__", "")
)
def test_a_planted_violation_goes_unnoticed(
    plant: Callable[[Account], Account], invariant: int, what: str
) -> None:
    found = violations(plant(lawful.account()))
    assert (invariant, what) in {(each.invariant, each.what) for each in found}


def test_an_invite_that_was_under_way_when_something_was_stopped_is_held_against_the_gate() -> None:
    run = _barred_while_dialled(lawful.account())
    assert violations(lawful.broken(run, Fault.STOP_CCARI, 20.5, 28)) == []


def test_a_token_spent_while_a_controller_bars_the_number_is_taken_for_late() -> None:
    run = lawful.account()
    just_before = Bar("acme", digest("acme", DIGITS[AGREED]), "", "erasure", BEGAN + 20.7)
    assert violations(replace(run, bars=(*run.bars, just_before))) == []


def test_a_refusal_whose_key_world_does_not_know_is_timed_by_a_clock_that_was_stepped() -> None:
    run = replace(_recorded_on(lawful.account()), presses=())
    assert [each.invariant for each in violations(run)] == [6]
    assert violations(lawful.broken(run, Fault.STEP_CLOCK, 6, 30)) == []


@pytest.mark.parametrize(
    "differs",
    [
        "the opened_at of the call is 2026-12-01T17:09:43, but 2026-12-01T18:09:43 in the journal",
        "the notice of the call was heard at 2026-12-01T17:09:42, but at 2026-12-01T18:09:42 in the journal",
    ],
    ids=["row", "notice"],
)
def test_a_stepped_clock_passes_for_a_changed_journal_or_a_changed_journal_for_a_stepped_clock(
    differs: str,
) -> None:
    edited = (9, "a call's journal does not fit")
    run = lawful.with_call(lawful.account(), INBOUND, fault=differs)
    assert [(each.invariant, each.what) for each in violations(run)] == [edited]
    stepped = lawful.broken(run, Fault.STEP_CLOCK, 30, 60)
    assert violations(stepped) == []
    assert [(each.invariant, each.what) for each in violations(_edited(stepped))] == [edited]


def test_a_call_that_was_entered_late_with_a_stepped_beginning_passes_for_a_changed_one() -> None:
    run = lawful.with_call(
        lawful.account(),
        BLOCKED,
        opened_at=BEGAN + 45 + 3600,
        ended_at=BEGAN + 50,
        fault="the ended_at of the call is 2026-12-01T21:04:51, but 2026-12-01T22:04:50 in the journal",
    )
    assert [each.what for each in violations(run)] == ["a call's journal does not fit"]
    assert violations(lawful.broken(run, Fault.STEP_CLOCK, 40, 60)) == []


def test_a_bar_that_does_not_reach_a_basis_is_held_against_its_calls() -> None:
    """A law that requires the call takes precedence over erasure (Art 17(3)(b))."""
    run = lawful.with_call(lawful.account(), OTHERS, campaign="orders")
    bar = Bar("bravo", digest("bravo", DIGITS[OTHERS]), "", "erasure", BEGAN)
    mended = replace(run.invites[2], caller="48221110005")
    assert violations(replace(run, bars=(*run.bars, bar), invites=(*run.invites[:2], mended))) == []


def test_a_bar_that_was_entered_again_is_taken_for_one_that_came_after_the_calls_it_barred() -> None:
    """The row tells only when it was last written: the bar may have been there ever since it was entered."""
    run = lawful.account()
    barred = next(each for each in run.calls if each.reason == "suppressed_do_not_call")
    assert barred.ended_at is not None
    bars = [
        replace(each, committed_at=barred.ended_at + 30, entered_at=barred.ended_at - 1)
        if each.digest == barred.digest
        else each
        for each in run.bars
    ]
    assert violations(replace(run, bars=tuple(bars))) == []
    later = [replace(each, entered_at=each.committed_at) for each in bars]
    assert [each.invariant for each in violations(replace(run, bars=tuple(later)))] == [7]


def test_a_press_that_was_answered_with_a_no_is_taken_for_lost() -> None:
    run = _pressed_and_lost(lawful.account())
    journal = tuple(replace(each, event="right_failed") if each.event == "right_registered" else each
                    for each in run.by_id[ERASED].journal)  # fmt: skip
    assert violations(lawful.with_call(run, ERASED, journal=journal)) == []


def test_a_raw_file_that_waits_with_a_reason_is_taken_for_forgotten() -> None:
    run = lawful.with_recording(_raw_left(lawful.account()), RECORDING, state="finished")
    assert violations(lawful.logging(run, "{}", event="recording_delayed", call_id=ERASED)) == []


def test_what_is_open_in_the_middle_of_a_run_is_taken_for_left() -> None:
    run = replace(_recording_open(_channel_left(_open(lawful.account()))), calm=False, heard=())
    assert violations(run) == []


def test_a_call_that_goes_on_is_judged_by_a_row_older_than_its_journal() -> None:
    run = lawful.with_call(lawful.account(), AGREED, heard_at=None, ended_at=None)
    assert violations(replace(run, calm=False)) == []
    assert {each.invariant for each in violations(lawful.with_call(run, AGREED, ended_at=BEGAN + 40))} == {
        2,
        3,
    }
