"""How late ccari's event loop was between two readings of its own metric, and how late an idle process beside it was."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf

import aiohttp

NAME = "ccari_event_loop_late_seconds"
_BUCKET = re.compile(rf'^{NAME}_bucket{{le="([^"]+)"}} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Buckets:
    """``counts`` up to each bound in seconds, cumulative as in Prometheus."""

    counts: Mapping[float, float]

    def __sub__(self, before: "Buckets") -> "Buckets":
        """What was counted since ``before``."""
        return Buckets({bound: count - before.counts[bound] for bound, count in self.counts.items()})

    @property
    def all(self) -> float:
        return self.counts[inf]

    def within(self, part: float) -> tuple[float, float] | None:
        """The bounds, in seconds, of the bucket that holds this quantile; None if nothing was counted.

        Only the bucket is known: any figure within it would be made up.
        """
        if not self.all:
            return None
        below = 0.0
        for bound in sorted(self.counts):
            if self.counts[bound] >= part * self.all:
                return below, bound
            below = bound
        return below, inf


def read(exposed: str) -> Buckets:
    """Parse Prometheus's text format. Raises LookupError if the metric is not in it."""
    counts = {float(bound): float(count) for bound, count in _BUCKET.findall(exposed)}
    if inf not in counts:
        raise LookupError(f"no {NAME} there")
    return Buckets(counts)


async def scrape(listen: str) -> Buckets:
    """Read the metric of the service that listens at ``host:port``."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{listen}/metrics") as answer:
        answer.raise_for_status()
        return read(await answer.text())


#: As often as ccari checks its own loop.
_SLEEPER = """
import time
while True:
    due = time.monotonic() + 0.1
    time.sleep(0.1)
    print(time.monotonic() - due, flush=True)
"""


@asynccontextmanager
async def sleeper() -> AsyncIterator[list[float]]:
    """How late a process that only sleeps woke each time, in seconds: the delay that a busy machine causes to any process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SLEEPER, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    told: list[float] = []

    async def read(lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            told.append(float(line))

    reading = asyncio.create_task(read(process.stdout))
    try:
        yield told
    finally:
        process.kill()
        await process.wait()
        await reading
