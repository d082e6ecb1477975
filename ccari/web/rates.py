"""How often one token may look up numbers: without a limit, trying one number after another would reveal who is barred."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from math import ceil
from time import monotonic

import structlog

from ccari.web.problems import Refusal

#: How many tokens' look-ups are counted. The oldest are forgotten and start anew, but nobody has as many tokens.
_MOST = 10_000
_MINUTE = 60.0

_log = structlog.get_logger()


class LookUp(StrEnum):
    """``GATE``: asking the gate, as a dialler does before each call. ``CHECK``: asking why a number is barred, as a person
    does.
    """

    GATE = "gate"
    CHECK = "check"


#: A dialler for 200 agents asks about some 15 numbers a second, a person about a few a minute.
A_MINUTE: Mapping[LookUp, int] = {LookUp.GATE: 3000, LookUp.CHECK: 60}


class Rates:
    """Limits the look-ups ``a_minute`` of each token, by kind. A whole minute's worth may come at once (a token bucket)."""

    def __init__(
        self, a_minute: Mapping[LookUp, int] = A_MINUTE, clock: Callable[[], float] = monotonic
    ) -> None:
        self._a_minute = a_minute
        self._clock = clock
        self._left: OrderedDict[tuple[LookUp, str], tuple[float, float]] = OrderedDict()

    def take(self, kind: LookUp, bearer: str) -> None:
        """Count one look-up of the token of that name. Raises Refusal (429), which says when to try again."""
        most, now, key = self._a_minute[kind], self._clock(), (kind, bearer)
        left, at = self._left.pop(key, (float(most), now))
        left = min(float(most), left + (now - at) * most / _MINUTE)
        refused = left < 1
        self._left[key] = (left if refused else left - 1, now)
        while len(self._left) > _MOST:
            self._left.popitem(last=False)
        if not refused:
            if left < 2:  # noqa: PLR2004 - this one was the last
                _log.warning("lookups_at_limit", token=bearer, kind=kind, a_minute=most)
            return
        raise Refusal(
            HTTPStatus.TOO_MANY_REQUESTS, f"a token may look up at most {most} numbers a minute",
            headers={"retry-after": str(max(1, ceil((1 - left) * _MINUTE / most)))},
        )  # fmt: skip
