"""Background work, wherever it is needed: started, started again when it fails, and ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import Any

import structlog

_log = structlog.get_logger()

#: From a failure of background work to its next start.
TASK_AGAIN_SECONDS = 1.0


@contextlib.asynccontextmanager
async def beside(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run ``work`` while the context lasts; then it is cancelled, and waited for."""
    async with started(_again_if_it_fails(work)):
        yield


@contextlib.asynccontextmanager
async def started(*work: Coroutine[Any, Any, Any]) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """A task for each; when the context ends, those that are still at work are cancelled, and waited for.

    Unlike a task group's, one that fails ends nothing: whoever wants to know looks at it.
    """
    tasks = list(map(asyncio.create_task, work))
    try:
        yield tasks
    finally:
        for each in tasks:
            each.cancel()
        await _ended(tasks)


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait until all have ended, however often the waiting is cancelled, as a task group does: none is left to nobody."""
    cancelled: asyncio.CancelledError | None = None
    while not all(each.done() for each in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def _again_if_it_fails(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Start the work again when it fails: a fault in it cuts no call, and nothing is left undone in silence.

    What it leaves half done is no worse than what a killed service leaves.
    """
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - logged
            _log.exception("task_failed")
            await asyncio.sleep(TASK_AGAIN_SECONDS)
        else:
            return
