"""Whether one more call may be begun: the calls under way go first."""

import asyncio
import math
from collections import deque
from statistics import median
from time import monotonic

import structlog

from ccari.ports.metering import UNMETERED, Meter

_log = structlog.get_logger()

#: Calls that may wait for the gate at once. At 500 calls a second and 2 ms each, one or two do; more means that it is slow.
MOST_AT_GATE = 64
#: An event loop that is later than this cannot keep up: a key press should be answered well within it.
BEHIND_SECONDS = 0.25
#: A look wakes the service even where nothing is to be done: ten of them a second were a thirtieth of what four calls a second take.
_LOOK_SECONDS = 0.2
#: So many last looks count: one second's, or more while the loop is late.
_LOOKS = 5

OVERLOAD = "overload"


class Admission:
    """``at_once``: how many calls may be under way, in whatever stage."""

    def __init__(self, at_once: int, meter: Meter = UNMETERED) -> None:
        self._meter = meter
        self._at_once = at_once
        # full from the start: otherwise the first look of a service that starts, which is late, would be the median
        self._late: deque[float] = deque([0.0] * _LOOKS, maxlen=_LOOKS)
        #: When the next look is due, by the monotonic clock.
        self._due = math.inf
        self._refused = 0

    def refusal(self, under_way: int, at_gate: int) -> str | None:
        """Why no further call may be begun; None if it may."""
        full = under_way >= self._at_once or at_gate >= MOST_AT_GATE or self.late_seconds > BEHIND_SECONDS
        if full:
            self._refused += 1
            return OVERLOAD
        if self._refused:
            _log.info("overload_over", refused=self._refused)
            self._refused = 0
        return None

    @property
    def late_seconds(self) -> float:
        """The median of how late the event loop was at the last looks: a loop that stood still once does not count as late."""
        return median(self._late)

    @property
    def stood_still_seconds(self) -> float:
        """For how long the event loop stood still in the last second, up to now: what it reads now may have waited so long."""
        return max(*self._late, monotonic() - self._due)

    async def watch(self) -> None:
        """See how late the event loop is, until cancelled."""
        while True:
            self._due = monotonic() + _LOOK_SECONDS
            await asyncio.sleep(_LOOK_SECONDS)
            late = monotonic() - self._due
            self._late.append(late)
            self._meter.late(late)
