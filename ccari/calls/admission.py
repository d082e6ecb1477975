"""Decide whether one more call may begin; calls under way have priority."""

import asyncio
import math
from collections import deque
from statistics import median
from time import monotonic

import structlog

from ccari.ports.metering import UNMETERED, Meter

_log = structlog.get_logger()

#: Calls that may wait for the gate at once. At 500 calls a second and 2 ms each, one or two wait; more means
#: that the gate is slow.
MOST_AT_GATE = 64
#: An event loop later than this cannot keep up: a key press should be answered well within it.
BEHIND_SECONDS = 0.25
#: How often the event loop is looked at. Each look wakes an idle service: ten a second cost a thirtieth of what four calls a second cost.
_LOOK_SECONDS = 0.2
#: How many of the last looks count: those of one second, or of longer while the loop is late.
_LOOKS = 5

OVERLOAD = "overload"


class Admission:
    """``at_once``: how many calls may be under way, in any stage."""

    def __init__(self, at_once: int, meter: Meter = UNMETERED) -> None:
        self._meter = meter
        self._at_once = at_once
        # filled with zeros: otherwise the first look of a starting service, which is late, would be the median
        self._late: deque[float] = deque([0.0] * _LOOKS, maxlen=_LOOKS)
        #: When the next look is due, by the monotonic clock.
        self._due = math.inf
        self._refused = 0

    def refusal(self, under_way: int, at_gate: int) -> str | None:
        """Why no further call may begin; None if one may."""
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
        """The median lateness of the event loop at the last looks: a single stall does not count as late."""
        return median(self._late)

    @property
    def stood_still_seconds(self) -> float:
        """The longest stall of the event loop in the last second, up to now. An event read now may have waited that long."""
        return max(*self._late, monotonic() - self._due)

    async def watch(self) -> None:
        """Measure how late the event loop is, until cancelled."""
        while True:
            self._due = monotonic() + _LOOK_SECONDS
            await asyncio.sleep(_LOOK_SECONDS)
            late = monotonic() - self._due
            self._late.append(late)
            self._meter.late(late)
