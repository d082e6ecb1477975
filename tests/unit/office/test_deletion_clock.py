"""Nothing is deleted by a clock that is wrong for a while, nor kept for ever by one that was wrong before."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from ccari.office.deletion_clock import MOST_FORWARD, DeletionClock
from ccari.policy.limits import GRACE

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


@dataclass
class Clock:
    """A machine's clock, with how long the machine has run."""

    at: datetime = NOON
    run: timedelta = timedelta(hours=20)

    def pass_by(self, time: timedelta) -> None:
        self.at += time
        self.run += time

    def trusted(self) -> DeletionClock:
        return DeletionClock(lambda: self.at, lambda: self.run)


@pytest.mark.parametrize("by", [2 * DAY, 20 * YEAR])
def test_a_clock_that_was_set_forward_is_believed_at_once(by: timedelta) -> None:
    clock = Clock()
    trusted = clock.trusted()
    clock.pass_by(HOUR)
    clock.at += by
    with capture_logs() as logged:
        assert trusted.now() is None
        clock.pass_by(GRACE - HOUR)
        assert trusted.now() is None
    # once, not at each look
    assert logged == [
        {"event": "clock_set_forward", "by_seconds": round(by.total_seconds()), "log_level": "warning"}
    ]


@pytest.mark.parametrize("by", [2 * DAY, 20 * YEAR])
def test_after_a_clock_was_put_right_nothing_is_ever_deleted(by: timedelta) -> None:
    """For example if it was slow when the service began."""
    clock = Clock()
    trusted = clock.trusted()
    clock.at += by
    trusted.now()
    clock.pass_by(GRACE)
    assert trusted.now() == clock.at
    clock.pass_by(HOUR)
    assert trusted.now() == clock.at


def test_a_clock_that_is_set_back_again_is_not_believed_or_the_next_jump_is() -> None:
    clock = Clock()
    trusted = clock.trusted()
    clock.at += YEAR
    trusted.now()
    clock.pass_by(GRACE - HOUR)
    clock.at -= YEAR
    assert trusted.now() == clock.at
    clock.pass_by(2 * HOUR)
    clock.at += YEAR
    assert trusted.now() is None


def test_a_clock_that_goes_on_jumping_is_believed_by_the_day_of_its_first_jump() -> None:
    clock = Clock()
    trusted = clock.trusted()
    clock.at += 2 * DAY
    trusted.now()
    clock.pass_by(GRACE - HOUR)
    clock.at += YEAR
    assert trusted.now() is None
    clock.pass_by(2 * HOUR)
    assert trusted.now() is None


def test_where_a_virtual_machine_is_paused_each_night_no_longer_pause_is_ever_believed() -> None:
    """For example over a weekend: the nights after it must not count as if the clock had jumped again."""
    clock = Clock()
    trusted = clock.trusted()
    clock.at += 62 * HOUR
    believed = []
    for _ in range(5):
        believed.append(trusted.now() is not None)
        clock.pass_by(10 * HOUR)
        clock.at += 14 * HOUR
    assert believed == [False, False, False, True, True]


def test_where_a_virtual_machine_is_paused_each_night_nothing_is_ever_deleted() -> None:
    """It knows nothing about that time, and its clock is then corrected."""
    clock = Clock()
    trusted = clock.trusted()
    for _ in range(3):
        clock.pass_by(10 * HOUR)
        clock.at += 14 * HOUR
        assert trusted.now() == clock.at


def test_a_clock_that_is_slewed_or_set_back_tells_another_time_than_the_machine() -> None:
    clock = Clock()
    trusted = clock.trusted()
    with capture_logs() as logged:
        for by in (MOST_FORWARD, MOST_FORWARD, -YEAR, MOST_FORWARD):
            clock.pass_by(HOUR)
            clock.at += by
            assert trusted.now() == clock.at
    assert logged == []
