"""A minimum rate for uploads and downloads: a client that sends or reads very slowly must not keep a turn from everybody else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

#: How long the rate is not enforced: a link that stalls for a moment may catch up.
GRACE_SECONDS = 30.0
#: The minimum average rate after that.
LEAST_BYTES_PER_SECOND = 64 * 1024


class Pace:
    """The pace of one upload or download. Only time spent waiting for the other side counts, not our own time for a piece."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._moved = 0

    def moved(self, count: int) -> None:
        self._moved += count

    @contextlib.asynccontextmanager
    async def waiting(self, most_seconds: float) -> AsyncIterator[None]:
        """Wait for the other side. Raises TimeoutError after that many seconds, or once it is too slow on average."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        left = GRACE_SECONDS + self._moved / LEAST_BYTES_PER_SECOND - self._waited
        try:
            async with asyncio.timeout(min(most_seconds, left)):
                yield
        finally:
            self._waited += loop.time() - began
