"""Calls for which no agent may be free: how the share of callees who found nobody slows them down."""

from datetime import UTC, datetime, timedelta

import pytest

from ccari.policy.campaign import Abandoned
from ccari.policy.pacing import SLOW_SECONDS, Lately, may_dial

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
CAP = Abandoned(max_percent=3)


def lately(heard: int, abandoned: int, seconds_ago: float) -> Lately:
    return Lately(heard, abandoned, NOW - timedelta(seconds=seconds_ago))


def test_the_first_call_of_a_day_is_held_up() -> None:
    assert may_dial(CAP, Lately(), NOW)


@pytest.mark.parametrize(("heard", "abandoned"), [(0, 0), (50, 0), (100, 3)])
def test_a_share_within_the_cap_slows_anybody(heard: int, abandoned: int) -> None:
    assert may_dial(CAP, lately(heard, abandoned, 0), NOW)


def test_a_share_over_the_cap_slows_nobody() -> None:
    assert not may_dial(CAP, lately(100, 4, SLOW_SECONDS), NOW)


def test_calls_stop_for_good_because_the_share_cannot_fall_without_calls() -> None:
    assert may_dial(CAP, lately(100, 4, SLOW_SECONDS * 4 / 3 + 0.01), NOW)
    assert may_dial(CAP, lately(1, 1, SLOW_SECONDS * 100 / 3 + 0.01), NOW)


def test_the_further_the_cap_is_exceeded_the_less_it_slows() -> None:
    assert may_dial(CAP, lately(100, 6, 2 * SLOW_SECONDS + 1), NOW)
    assert not may_dial(CAP, lately(100, 12, 2 * SLOW_SECONDS + 1), NOW)
