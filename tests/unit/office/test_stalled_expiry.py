"""A controller whose data cannot expire is named in the log."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from structlog.testing import capture_logs

from ccari.metrics.meter import Metrics
from ccari.office.deletion_clock import by_the_clock
from ccari.office.limits import LimitKeeper
from ccari.policy.declaration import Policy, read
from ccari.policy.limits import Limit
from ccari.policy.retention import Limited
from ccari.ports.limits import PastLimit
from tests.lab.waiting import until
from tests.unit.metrics.scraped import scraped
from tests.unit.store.expiring import with_limit

WITHIN = 10.0
LOST = "version 1 of its secret is missing"
LIMITED = with_limit(Limited.CALLS).partition("[[campaigns]]")[0]


class Past:
    """One call past the limit for each controller."""

    def past(self, limit: Limit, now: datetime) -> AsyncGenerator[PastLimit, None]:
        return self.expire(limit, now, "")

    async def expire(self, limit: Limit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        yield PastLimit(1, 0, {})

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        yield True


class Declared:
    async def since(self, ago: timedelta) -> Sequence[Policy]:
        return [read(LIMITED + LIMITED.replace('"acme"', '"beta"'))]


async def _lost() -> Mapping[str, str]:
    return {"acme": LOST}


async def test_whose_data_do_not_expire_is_left_out_of_the_log() -> None:
    metrics = Metrics()
    with capture_logs() as logged:
        running = asyncio.create_task(LimitKeeper(Past(), Declared(), _lost, by_the_clock, metrics).run())
        try:
            await until(
                lambda: running.done() or scraped(metrics)['ccari_work_failures_total{work="expiry"}'] > 0,
                within=WITHIN,
            )
        finally:
            running.cancel()
            await asyncio.wait([running])
    assert logged == [
        {
            "event": "calls_expired",
            "log_level": "info",
            "controller": "beta",
            "expired": 1,
            "held": 0,
            "calls_days": 365,
        },
        {
            "event": "accesses_expired",
            "log_level": "info",
            "expired": 1,
            "held": 0,
            "accesses_days": 1096,
        },
        {"event": "expiry_stalled", "log_level": "warning", "controller": "acme", "reason": LOST},
    ]
