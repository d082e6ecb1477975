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
        #: What is left, when it was counted, and whether the log says that it has come to its end.
        self._left: OrderedDict[tuple[LookUp, str], tuple[float, float, bool]] = OrderedDict()

    def take(self, kind: LookUp, bearer: str) -> None:
        """Count one look-up of the token of that name. Raises Refusal (429), which says when to try again."""
        most, now, key = self._a_minute[kind], self._clock(), (kind, bearer)
        left, at, logged = self._left.pop(key, (float(most), now, False))
        left = min(float(most), left + (now - at) * most / _MINUTE)
        refused, is_last = left < 1, left < 2  # noqa: PLR2004
        # once for as long as it goes on: at the limit, each look-up is the last for a moment
        is_news, logged = is_last and not logged, is_last or (logged and left < most / 2)
        self._left[key] = (left if refused else left - 1, now, logged)
        while len(self._left) > _MOST:
            self._left.popitem(last=False)
        if is_news:
            _log.warning("lookups_at_limit", token=bearer, kind=kind, a_minute=most)
        if not refused:
            return
        raise Refusal(
            HTTPStatus.TOO_MANY_REQUESTS, f"a token may look up at most {most} numbers a minute",
            headers={"retry-after": str(max(1, ceil((1 - left) * _MINUTE / most)))},
        )  # fmt: skip
