"""The clock by which data are deleted for good: one that was set far forward is believed only once it has stood so for a day."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from ccari.policy.limits import GRACE

#: Limits are in days, so that less does little harm; and more cannot come every day, as where a virtual machine is paused each night.
MOST_FORWARD = timedelta(days=1)

_log = structlog.get_logger()

#: Gives the time, for what is deleted by it; None while nobody can tell what has passed its limit.
Now = Callable[[], datetime | None]


def by_the_clock() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


def _running() -> timedelta:
    """How long this machine has run, suspended or not, whatever its clock is set to."""
    return timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))


@dataclass(frozen=True, slots=True)
class _Moment:
    """``at`` by the machine's clock, when it had run for ``run``."""

    at: datetime
    run: timedelta


class DeletionClock:
    """The machine's clock, as a running service may delete by it. Nothing brings back what was deleted while it was years ahead, and where
    the database is on the same machine its clock is no second witness.

    If it was set forward by more than :data:`MOST_FORWARD` since the last look, nobody can tell the time for
    :data:`ccari.policy.limits.GRACE`, or until it is set back. The clock as it is at the service's start is taken for right.
    """

    def __init__(
        self, clock: Callable[[], datetime] = by_the_clock, running: Callable[[], timedelta] = _running
    ) -> None:
        self._clock = clock
        self._running = running
        self._right = self._look()
        #: By how much it has been set forward, and how long the machine had run when that was found.
        self._forward: tuple[timedelta, timedelta] | None = None

    def _look(self) -> _Moment:
        return _Moment(self._clock(), self._running())

    def now(self) -> datetime | None:
        """The time, aware; None while nobody can tell it."""
        seen = self._look()
        by = (seen.at - self._right.at) - (seen.run - self._right.run)
        if by > MOST_FORWARD:
            if self._forward is None or abs(by - self._forward[0]) > MOST_FORWARD:
                self._forward = by, seen.run
                _log.warning("clock_set_forward", by_seconds=round(by.total_seconds()))
            else:
                # smaller ones since, which are believed at once, must not add up to another that is not
                self._forward = by, self._forward[1]
            if seen.run - self._forward[1] < GRACE:
                return None
        self._right, self._forward = seen, None
        return seen.at
