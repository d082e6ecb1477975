"""Whether one more call may be begun: what is under way goes first."""

import asyncio
from collections import deque
from statistics import median

import structlog

from ccari.ports.metering import UNMETERED, Meter

_log = structlog.get_logger()

#: Calls that wait for the gate. Each has an answer within seconds or none; at 500 a second and 2 ms each it is one or two.
MOST_AT_GATE = 64
#: What a loop is late by that cannot keep up any more; a key press should be answered well within it.
LATE_SECONDS = 0.25
_LOOK_SECONDS = 0.1
#: Looks that count: of one second, and of more while they are late.
_LOOKS = 10

OVERLOAD = "overload"


class Admission:
    """``at_once``: calls that may be under way, whatever each is at."""

    def __init__(self, at_once: int, meter: Meter = UNMETERED) -> None:
        self._meter = meter
        self._at_once = at_once
        # full from the start: else the first look of a service that begins, which is late, would be the median
        self._late: deque[float] = deque([0.0] * _LOOKS, maxlen=_LOOKS)
        self._refused = 0

    def refusal(self, under_way: int, at_gate: int) -> str | None:
        """Why no further call may be begun; None if it may."""
        full = under_way >= self._at_once or at_gate >= MOST_AT_GATE or self.late_seconds > LATE_SECONDS
        if full:
            self._refused += 1
            return OVERLOAD
        if self._refused:
            _log.info("overload_over", refused=self._refused)
            self._refused = 0
        return None

    @property
    def late_seconds(self) -> float:
        """What the event loop was late by at half of the last looks or more: one that stood still once keeps up."""
        return median(self._late)

    async def watch(self) -> None:
        """See how late the event loop is, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOK_SECONDS
            await asyncio.sleep(_LOOK_SECONDS)
            late = loop.time() - due
            self._late.append(late)
            self._meter.late(late)
