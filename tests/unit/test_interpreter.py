"""What the service asks of the interpreter once it has begun."""

import gc
import sys
from collections.abc import Iterator

import pytest

from ccari.app.interpreter import SWITCH_SECONDS, settle


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    seconds = sys.getswitchinterval()
    yield
    sys.setswitchinterval(seconds)
    gc.unfreeze()


def test_a_thread_beside_the_loop_keeps_a_callee_waiting_for_five_milliseconds() -> None:
    settle()
    assert sys.getswitchinterval() < 2 * SWITCH_SECONDS < 0.005


def test_all_modules_are_looked_through_for_garbage_in_the_middle_of_calls() -> None:
    settle()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 10_000
