"""What the soak's checker makes of a service that ends by itself, or not at all, and of what asyncio writes to the log."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.account import Account, Exit
from tests.soak.checks import violations
from tests.soak.plan import Fault
from tests.soak.watch import Watch
from tests.unit.soak import lawful
from tests.unit.soak.lawful import BEGAN

BY_ITSELF, GOES_ON = (
    "the service ended, and nobody had told it to",
    "the service was told to end, and went on",
)
OF_A_LIBRARY = "a library tells of an error of ours"


def said(run: Account) -> set[str]:
    return {each.what for each in violations(run)}


def ending(status: int, *, served: bool = True, at: float = 60.0, lived: float = 30.0) -> Account:
    run = lawful.account()
    return replace(run, exits=(*run.exits, Exit(BEGAN + at - lived, BEGAN + at, status, served)))


@pytest.mark.parametrize("status", [0, 1, -6, -9, -11, -15])
def test_a_service_that_ended_by_itself_is_brought_back_without_a_word(status: int) -> None:
    assert said(ending(status)) == {BY_ITSELF}


def test_a_service_that_cannot_begin_without_its_database_is_a_violation() -> None:
    begins = ending(1, served=False, lived=2.0)
    assert said(lawful.broken(begins, Fault.STOP_POSTGRES, 50, 59)) == set()
    assert said(lawful.broken(begins, Fault.STOP_POSTGRES, 20, 30)) == {BY_ITSELF}
    # a service that already serves does without the database
    assert said(lawful.broken(ending(1), Fault.STOP_POSTGRES, 50, 59)) == {BY_ITSELF}


def test_a_signal_before_it_is_listened_for_is_a_violation_or_one_in_the_middle_is_none() -> None:
    early = ending(-15, served=False, lived=2.0)
    assert said(lawful.broken(early, Fault.END_CCARI_AT_ONCE, 58, 60.1)) == set()
    assert said(lawful.broken(ending(-15), Fault.END_CCARI_AT_ONCE, 58, 60.1)) == {BY_ITSELF}


def test_a_service_that_ends_with_an_error_when_it_is_told_to_end_is_none() -> None:
    assert said(lawful.broken(ending(1), Fault.END_CCARI, 55, 58)) == {BY_ITSELF}
    assert said(lawful.broken(ending(0), Fault.END_CCARI, 55, 58)) == set()


def test_the_next_service_is_excused_by_what_the_last_one_was_told() -> None:
    run = lawful.account()
    by_itself = Exit(BEGAN + 111, BEGAN + 130, 0)
    assert said(replace(run, exits=(*run.exits, by_itself))) == {BY_ITSELF}


def test_a_service_that_is_killed_by_a_fault_that_goes_on_is_said_to_have_ended_by_itself(
    tmp_path: Path,
) -> None:
    """The checker also looks in the middle of a run."""
    run, watch, began = lawful.account(), Watch(tmp_path, tmp_path / "log"), time.time() - 30.0
    with watch.fault(Fault.KILL_CCARI):
        killed = Exit(began, time.time(), -9)
        assert said(replace(run, windows=(*run.windows, *watch.windows), exits=(*run.exits, killed))) == set()
        assert watch.now == [Fault.KILL_CCARI]
    assert [each.kind for each in watch.windows] == [Fault.KILL_CCARI]
    assert watch.now == []


def test_a_service_that_does_not_end_when_it_is_told_to_goes_on_unnoticed() -> None:
    run = lawful.broken(lawful.account(), Fault.END_CCARI, 10, 12)
    assert said(run) == {GOES_ON}
    assert said(lawful.broken(run, Fault.STOP_CCARI, 13, 30)) == set()


@pytest.mark.parametrize(
    ("told", "failure"),
    [
        ({"logger": "asyncio", "level": "error", "message": "Task exception was never retrieved"}, True),
        ({"logger": "asyncio", "level": "warning", "message": "socket.send() raised exception."}, True),
        ({"logger": "aiohttp.server", "level": "error", "message": "Error handling request"}, True),
        ({"logger": "asyncari", "level": "warning", "message": "Traceback of what is tried again"}, False),
    ],
)
def test_what_asyncio_says_of_a_lost_exception_is_passed_over(*, told: dict[str, str], failure: bool) -> None:
    run = lawful.logging(lawful.account(), str(told), event="library_message", **told)
    assert (OF_A_LIBRARY in said(run)) is failure


def test_half_a_line_of_the_log_is_lost_or_heard_twice(tmp_path: Path) -> None:
    log = tmp_path / "ccari.log"
    watch = Watch(tmp_path, log)
    assert not watch.has_served(0.0)
    log.write_text('{"event":"service_started"}\n{"event":"asterisk_conn')
    assert watch.has_served(0.0)
    with log.open("a") as file:
        file.write('ected"}\nno JSON\n{"event":"call_gated"}\n')
    watch._listen()
    watch._listen()
    assert [each.event for each in watch.signs] == ["service_started", "asterisk_connected"]
