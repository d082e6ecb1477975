"""What is done beside the calls: begun, begun again when it fails, and ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import structlog

_log = structlog.get_logger()

#: Until what has ended is begun again that is done beside the calls.
TASK_AGAIN_SECONDS = 1.0


@contextlib.asynccontextmanager
async def beside(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Have work done while the context lasts. At its end it is cancelled, and waited for."""
    working = asyncio.create_task(_though_it_fails(work))
    try:
        yield
    finally:
        working.cancel()
        await asyncio.wait([working])


async def _though_it_fails(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Begin the work again when it fails: no call is cut for a fault in what is done beside the calls, and none of it is
    left undone in silence. All of it is such as a service that was killed leaves, too.
    """
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - logged
            _log.exception("task_failed")
            await asyncio.sleep(TASK_AGAIN_SECONDS)
        else:
            return
