"""What the soak's checker makes of the keys that world has sent, and of when they could be heard."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.soak.account import Account, Exit, Kept, Press, Sign
from tests.soak.checks import violations
from tests.soak.gather import _presses
from tests.soak.plan import Fault
from tests.unit.soak import lawful
from tests.unit.soak.lawful import AGREED, AGREED_RECORDING, BEGAN, CHANNEL, ERASED, INBOUND, RECORDING

LOST, CODE_LOST = "a key was sent, and nobody knows of it", "an agent's code was sent, and nobody knows of it"
SECOND = "10000000-0000-4000-8000-000000000003"
IN_A_PAUSE, RECORDED_ON = "recorded in a pause", "recorded on after a refusal"


def said(run: Account) -> set[str]:
    return {each.what for each in violations(run)}


def unheard(run: Account) -> Account:
    """The erasure key left no trace."""
    run = lawful.without_event(lawful.without_event(run, ERASED, "key_pressed"), ERASED, "right_registered")
    run = lawful.hearing(run, ERASED, *run.heard[0].tones[:-1])
    run = replace(run, requests=run.requests[1:], bars=run.bars[:1])
    return replace(run, heard=(replace(run.heard[0], channel=CHANNEL), *run.heard[1:]))


def cut(run: Account) -> Account:
    return lawful.away(lawful.broken(run, Fault.CUT_ASTERISK, 8, 11), 8.1, 11.4)


def stalled(run: Account) -> Account:
    """It became known long after it began."""
    return lawful.away(lawful.broken(run, Fault.STALL_ASTERISK, 3, 14), 14.0, 15.0)


def lost_twice(run: Account) -> Account:
    return lawful.away(lawful.away(run, 2.0, 8.5), 8.9, 9.5)


def restarted(run: Account) -> Account:
    return lawful.broken(run, Fault.KILL_ASTERISK, 8.8, 9.2)


def killed(run: Account) -> Account:
    """Killed before it was recorded, and back long after."""
    run = lawful.broken(run, Fault.KILL_CCARI, 12.0, 14.0)
    return replace(run, exits=(*run.exits, Exit(BEGAN - 60, BEGAN + 12.0, -9)))


def killed_as_it_was_held_up(run: Account) -> Account:
    run = lawful.broken(lawful.broken(run, Fault.STALL_ASTERISK, 8.0, 30.0), Fault.KILL_CCARI, 29.0, 30.0)
    return replace(run, exits=(*run.exits, Exit(BEGAN - 60, BEGAN + 29.0, -9)))


def at_the_end(run: Account) -> Account:
    return lawful.with_call(run, ERASED, ended_at=BEGAN + 9.5)


def refused(run: Account) -> Account:
    return lawful.adding(run, ERASED, "right_failed", right="erasure")


def ended_by_the_service(run: Account) -> Account:
    """The next service closed its row: PostgreSQL was away."""
    return replace(run, signs=(*run.signs, Sign(BEGAN + 8.0, "call_ended", ERASED)))


def refused_in_the_log(run: Account) -> Account:
    return lawful.logging(run, "{}", event="right_failed", call_id=ERASED, right="erasure")


def test_a_key_that_left_no_trace_is_not_missed() -> None:
    assert said(unheard(lawful.account())) == {LOST}


@pytest.mark.parametrize(
    "why",
    [
        cut,
        stalled,
        lost_twice,
        restarted,
        killed,
        killed_as_it_was_held_up,
        at_the_end,
        ended_by_the_service,
        refused,
        refused_in_the_log,
    ],
    ids=lambda each: each.__name__,
)
def test_a_key_that_nobody_could_hear_or_that_was_refused_is_held_against_the_service(
    why: Callable[[Account], Account],
) -> None:
    assert said(why(unheard(lawful.account()))) == set()


def other_right(run: Account) -> Account:
    return lawful.adding(run, ERASED, "right_failed", right="access")


def other_time(run: Account) -> Account:
    return lawful.away(lawful.broken(run, Fault.CUT_ASTERISK, 2, 4), 2.1, 6.0)


def late_only(run: Account) -> Account:
    """It was delayed, but nothing of it was lost."""
    return lawful.broken(run, Fault.STALL_ASTERISK, 8, 11)


def other_call(run: Account) -> Account:
    run = replace(run, signs=(*run.signs, Sign(BEGAN + 8.0, "call_ended", AGREED)))
    return lawful.logging(run, "{}", event="right_failed", call_id=AGREED, right="erasure")


def killed_later(run: Account) -> Account:
    run = lawful.broken(lawful.broken(run, Fault.STOP_CCARI, 7, 9.5), Fault.KILL_CCARI, 17.0, 19.0)
    return replace(run, exits=(*run.exits, Exit(BEGAN - 60, BEGAN + 17.0, -9)))


def database(run: Account) -> Account:
    return lawful.broken(run, Fault.KILL_POSTGRES, 8, 11)


@pytest.mark.parametrize(
    "why",
    [other_right, other_time, late_only, other_call, killed_later, database],
    ids=lambda each: each.__name__,
)
def test_a_lost_key_is_excused_by_what_has_nothing_to_do_with_it(why: Callable[[Account], Account]) -> None:
    assert LOST in said(why(unheard(lawful.account())))


def test_all_rights_of_a_call_are_excused_by_one_that_failed() -> None:
    run = lawful.without_event(unheard(lawful.account()), ERASED, "notice_read_out")
    run = lawful.adding(run, ERASED, "key_pressed", action="erasure", key="7")
    run = lawful.adding(run, ERASED, "right_failed", right="access")
    assert "a right was pressed and lost" in said(run)


def test_a_right_on_record_in_a_call_whose_service_died_is_excused_by_its_death() -> None:
    run = lawful.adding(unheard(lawful.account()), ERASED, "key_pressed", action="erasure", key="7")
    assert "a right was pressed and lost" in said(lawful.with_call(run, ERASED, reason="service_died"))


def withheld(run: Account) -> Account:
    """The caller withholds their number: no request can be theirs."""
    run = replace(lawful.with_call(run, INBOUND, digest=b""), requests=run.requests[:1])
    return lawful.without_event(run, INBOUND, "right_registered")


def test_who_withholds_their_number_is_told_that_they_are_not_recorded_and_no_request_is_missed() -> None:
    run = withheld(lawful.account())
    assert said(lawful.adding(run, INBOUND, "right_unregistrable", right="refuse_recording")) == set()
    assert LOST in said(run)
    assert "a refusal was confirmed that is not on record" in said(run)


def test_a_code_that_left_no_trace_is_not_missed() -> None:
    run = lawful.without_event(lawful.account(), AGREED, "agent_code_entered")
    assert said(run) == {CODE_LOST}
    assert said(lawful.adding(run, AGREED, "transfer_asked")) == set()


def test_a_recording_that_a_pause_did_not_stop_is_kept_unnoticed() -> None:
    run = lawful.with_recording(lawful.account(), AGREED_RECORDING, duration_ms=8000)
    assert said(run) == {IN_A_PAUSE}


@pytest.mark.parametrize(("began", "found"), [(31.2, {IN_A_PAUSE}), (32.9, set())])
def test_what_is_recorded_after_a_pause_is_held_against_it_or_what_is_recorded_in_it_is_not(
    began: float, found: set[str]
) -> None:
    """The agent ends the pause 1.7 s after it began."""
    run = lawful.account()
    again = Press(BEGAN + 32.5, BEGAN + 32.8, lawful.PAUSING_CALL, "*2", lawful.PAUSING_CALL)
    run = lawful.adding(replace(run, presses=(*run.presses, again)), AGREED, "agent_code_entered", code="*2")
    second = replace(run.recordings[1], id=SECOND, started_at=BEGAN + began, tagged_at=BEGAN + began)
    run = lawful.adding(run, AGREED, "recording_tagged", recording=SECOND)
    kept = Kept(SECOND, f"acme/2027-01-15/{SECOND}.flac.age")
    assert said(replace(run, recordings=(*run.recordings, second), kept=(*run.kept, kept))) == found


def late_by_itself(run: Account) -> Account:
    """It heard the key three seconds after it was pressed, and stopped at once."""
    late = replace(run.requests[0], received_at=BEGAN + 12.0)
    run = replace(run, requests=(late, *run.requests[1:]))
    return lawful.with_recording(run, RECORDING, duration_ms=7000)


@pytest.mark.parametrize("fault", [Fault.STOP_CCARI, Fault.STALL_ASTERISK])
def test_a_service_that_was_late_is_let_keep_what_was_said_after_the_key(fault: Fault) -> None:
    """Asterisk was not late, and says when the key was pressed."""
    run = lawful.broken(late_by_itself(lawful.account()), fault, 8.5, 11.9)
    assert said(run) == {RECORDED_ON}


def test_the_time_of_a_recording_is_told_by_a_clock_that_was_stepped() -> None:
    """The file was seen when it began; the row says that it began an hour earlier."""
    run = lawful.with_recording(lawful.account(), RECORDING, started_at=BEGAN - 3595, duration_ms=7000)
    assert said(lawful.broken(run, Fault.STEP_CLOCK, 3, 12)) == {RECORDED_ON}


def test_a_press_in_worlds_log_is_misread() -> None:
    log = (
        "[2026-11-25 20:00:00.123] NOTICE[71][C-00000004]: Ext. s:5 @ press: "
        "LAB-KEY 48600307401||world-1800000000.1|7|1800000008.700|1800000009.000\n"
        "[2026-11-25 20:00:01.123] NOTICE[71][C-00000005]: Ext. s:5 @ press: "
        f"LAB-KEY |{lawful.PAUSING_CALL}|{lawful.PAUSING_CALL}|*1|1800000030.200|1800000030.800\n"
    )
    assert tuple(_presses(log)) == (lawful.account().presses[0], lawful.account().presses[2])
