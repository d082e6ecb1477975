"""The clock by which data are deleted for good. It is not believed within a day of being set far forward."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from ccari.policy.limits import GRACE

#: Limits are in days, so a smaller step does little harm. A larger step cannot be normal every day; a virtual
#: machine paused each night makes smaller ones.
MOST_FORWARD = timedelta(days=1)

_log = structlog.get_logger()

#: Gives the time by which data are deleted; None while the time is in doubt.
Now = Callable[[], datetime | None]


def by_the_clock() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


def _running() -> timedelta:
    """How long this machine has been up, including suspensions, whatever its clock is set to."""
    return timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))


@dataclass(frozen=True, slots=True)
class _Moment:
    """``at``: the machine's clock; ``run``: how long the machine had been up then."""

    at: datetime
    run: timedelta


class DeletionClock:
    """The machine's clock, made safe for deletions. What is deleted while the clock is years ahead cannot be
    restored, and a database on the same machine has the same clock.

    If the clock was set forward by more than :data:`MOST_FORWARD` since the last look, the time is in doubt for
    :data:`ccari.policy.limits.GRACE`, or until it is set back. The clock at the start of the service is trusted.
    """

    def __init__(
        self, clock: Callable[[], datetime] = by_the_clock, running: Callable[[], timedelta] = _running
    ) -> None:
        self._clock = clock
        self._running = running
        self._right = self._look()
        #: By how much the clock has been set forward, and how long the machine had been up when that was found.
        self._forward: tuple[timedelta, timedelta] | None = None

    def _look(self) -> _Moment:
        return _Moment(self._clock(), self._running())

    def now(self) -> datetime | None:
        """The time, aware; None while it is in doubt."""
        seen = self._look()
        by = (seen.at - self._right.at) - (seen.run - self._right.run)
        if by > MOST_FORWARD:
            if self._forward is None or abs(by - self._forward[0]) > MOST_FORWARD:
                self._forward = by, seen.run
                _log.warning("clock_set_forward", by_seconds=round(by.total_seconds()))
            else:
                # smaller steps since are believed at once; follow them, so that they do not add up to a large one
                self._forward = by, self._forward[1]
            if seen.run - self._forward[1] < GRACE:
                return None
        self._right, self._forward = seen, None
        return seen.at
