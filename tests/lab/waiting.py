"""Waiting for what sends no notification: a port that opens, a file that another process closes."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

POLL_SECONDS = 0.02


async def until(ready: Callable[[], bool | Awaitable[bool]], *, within: float) -> None:
    """Poll until it is ready; TimeoutError if that takes longer than ``within`` seconds."""
    async with asyncio.timeout(within):
        while True:
            answer = ready()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(POLL_SECONDS)
