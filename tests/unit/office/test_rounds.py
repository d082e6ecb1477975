"""Work that is done again and again goes on whatever happens to it, and reports a failure once."""

import asyncio
from collections.abc import Iterator

import pytest

from ccari.errors import StoreError
from ccari.metrics.meter import Metrics
from ccari.office.rounds import again_and_again
from ccari.ports.metering import Work

WITHIN = 10.0
AWAY, FULL = StoreError("the database is away"), StoreError("the disk is full")


async def test_a_round_that_fails_is_the_last_or_is_told_of_each_time() -> None:
    rounds: Iterator[Exception | None] = iter([AWAY, AWAY, ZeroDivisionError(), AWAY, FULL, None, FULL])
    stalled, failed, done = list[str](), list[None](), asyncio.Event()

    async def work() -> None:
        try:
            outcome = next(rounds)
        except StopIteration:
            done.set()
            await asyncio.Event().wait()
        else:
            if outcome is not None:
                raise outcome

    metrics = Metrics()
    running = asyncio.create_task(
        again_and_again(
            work,
            0.0,
            Work.EXPIRY,
            metrics,
            stalled=lambda error: stalled.append(str(error)),
            failed=lambda: failed.append(None),
        )
    )
    try:
        async with asyncio.timeout(WITHIN):
            await done.wait()
    finally:
        running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stalled == [str(AWAY), str(FULL), str(FULL)]
    assert failed == [None]
