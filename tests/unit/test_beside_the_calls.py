"""What is done beside the calls, for as long as the service runs."""

import asyncio

import pytest
from structlog.testing import capture_logs

from ccari import tasks

SECONDS = 30.0


async def test_work_that_fails_is_left_undone_until_the_service_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody would be called any more, or no recording deleted, and no line of the log would say why."""
    monkeypatch.setattr(tasks, "TASK_AGAIN_SECONDS", 0.01)
    begun, third, left = 0, asyncio.Event(), asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise OSError("unforeseen")
        third.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    with capture_logs() as logged:
        async with tasks.beside(work), asyncio.timeout(SECONDS):
            await third.wait()
    assert [(line["event"], line["log_level"]) for line in logged] == [("task_failed", "error")] * 2
    assert left.is_set()


async def test_a_second_cancellation_leaves_work_to_nobody() -> None:
    """It would go on beside whatever comes next, such as a second look at the same host."""
    begun, closing, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            closing.set()
            # what an ending takes, such as the last words to a server
            for _ in range(10):
                await asyncio.sleep(0)
            closed.set()

    async def owner() -> None:
        async with tasks.started(work()):
            await asyncio.Event().wait()

    owned = asyncio.create_task(owner())
    async with asyncio.timeout(SECONDS):
        for at in (begun, closing):
            await at.wait()
            owned.cancel()
        with pytest.raises(asyncio.CancelledError):
            await owned
    assert closed.is_set()
