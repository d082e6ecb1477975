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
