"""That lists and files move on: whoever sends or reads a byte now and then keeps its turn from everybody else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

#: Until a rate is asked for: a link that stalls for a moment may make up for it.
GRACE_SECONDS = 30.0
#: On the average, from then on.
LEAST_BYTES_PER_SECOND = 64 * 1024


class Pace:
    """Of one list that comes, or one file that goes. Only waiting counts: what we take over a piece is not the other's fault."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._moved = 0

    def moved(self, count: int) -> None:
        self._moved += count

    @contextlib.asynccontextmanager
    async def waiting(self, most_seconds: float) -> AsyncIterator[None]:
        """TimeoutError after so many seconds, or once it has become too slow on the whole."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        left = GRACE_SECONDS + self._moved / LEAST_BYTES_PER_SECOND - self._waited
        try:
            async with asyncio.timeout(min(most_seconds, left)):
                yield
        finally:
            self._waited += loop.time() - began
