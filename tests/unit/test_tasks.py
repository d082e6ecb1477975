"""Work that must not be left half done."""

import asyncio

import pytest

from ccari.tasks import to_its_end


async def test_a_second_cancellation_leaves_work_to_itself() -> None:
    """It would go on without the locks under which it was begun."""
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    waiting = asyncio.create_task(to_its_end(work()))
    await begun.wait()
    for _ in range(2):
        waiting.cancel()
        done, _ = await asyncio.wait([waiting], timeout=0)
        assert not done
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
