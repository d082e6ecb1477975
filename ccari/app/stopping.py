"""How the service ends: when it is told to, once its calls have come to an end."""

import asyncio
import atexit
import contextlib
import signal
from types import FrameType

from ccari.calls.link import Link
from ccari.calls.switchboard import Switchboard

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def heed_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """SIGTERM or SIGINT sets the first from now on, and one more the second; none ends the process any more.

    They are no handlers of the loop, which would be gone with it: whoever tells it once more must not cut off what is still
    being closed. Nor the interpreter in its last steps: it puts handlers away, but leaves alone what is ignored.
    """
    loop, stop, hurry = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def tell() -> None:
        (hurry if stop.is_set() else stop).set()

    def heed(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # of a loop that is closed
            loop.call_soon_threadsafe(tell)

    for each in _SIGNALS:
        signal.signal(each, heed)
        atexit.register(signal.signal, each, signal.SIG_IGN)
    return stop, hurry


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
