"""Tasks: started, restarted when they fail, and ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from typing import Any, TypeVar

import structlog

_log = structlog.get_logger()
_T = TypeVar("_T")

#: Pause before failed background work is restarted.
TASK_AGAIN_SECONDS = 1.0


@contextlib.asynccontextmanager
async def beside(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run ``work`` while the context lasts; then cancel it and wait for its end."""
    async with started(_again_if_it_fails(work)):
        yield


@contextlib.asynccontextmanager
async def started(*work: Coroutine[Any, Any, Any]) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Start a task for each; when the context ends, cancel those still running and wait for them.

    Unlike in a task group, a failed task ends nothing: the caller checks it if needed.
    """
    tasks = list(map(asyncio.create_task, work))
    try:
        yield tasks
    finally:
        for each in tasks:
            each.cancel()
        await _ended(tasks)


async def to_its_end(work: Awaitable[_T]) -> _T:
    """Wait for ``work`` to finish. If the waiting is cancelled meanwhile, the cancellation takes effect afterwards."""
    working = asyncio.ensure_future(work)
    await _ended([working])
    return working.result()


async def _ended(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Wait until all have ended, even if the waiting itself is cancelled, as a task group does: no task is orphaned."""
    cancelled: asyncio.CancelledError | None = None
    while not all(each.done() for each in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def _again_if_it_fails(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Restart the work when it fails: a fault in it must not cut calls, or silently leave work undone.

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
