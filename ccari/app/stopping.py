"""How the service ends: when it is told to, once its calls have come to an end."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator

from ccari.calls.link import Link
from ccari.calls.switchboard import Switchboard


@contextlib.contextmanager
def told_by_signals(stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    """SIGTERM or SIGINT sets ``stop``, and one more ``hurry``; none ends the process while the context lasts."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    for each in signals:
        loop.add_signal_handler(each, lambda: hurry.set() if stop.is_set() else stop.set())
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


async def until(
    stop: asyncio.Event, hurry: asyncio.Event, link: Link, calls: Switchboard, drain_seconds: float
) -> None:
    """Keep the link until told to stop; then let the calls end before the link goes. In a hurry, wait for no talk."""
    running, stopping = asyncio.create_task(link.run()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await _wind_down(calls, drain_seconds, hurry, running)
        calls.detach("shutdown")
        await calls.drain()
        if running.done():
            running.result()
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.wait([running, stopping])


async def _wind_down(
    calls: Switchboard, seconds: float, hurry: asyncio.Event, running: asyncio.Task[None]
) -> None:
    waits = [asyncio.create_task(calls.wind_down(seconds)), asyncio.create_task(hurry.wait())]
    await asyncio.wait([running, *waits], return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
    await asyncio.wait(waits)
