"""How the service ends: when it is told to, once its calls have come to an end."""

import asyncio
import atexit
import contextlib
import signal
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from ccari.app.deadline import Deadline
from ccari.calls.link import Link
from ccari.calls.switchboard import Switchboard

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: For all that comes after the talks: the ends of the calls (15 s), requests over HTTP (5 s), the last seal (5 s), the embedded
#: PostgreSQL. It is cut then, whatever hangs: within the minute that systemd is asked for (ccari.supervisor), and, with the
#: talks' own time, within TimeoutStopSec of docs/ccari.service.
ENDING_SECONDS = 45.0
#: For threads that are still at work when all else has ended. Nobody waits for what they do any more.
THREADS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ending:
    """``stop``: the service is told to; ``hurry``: once more. ``serves``: there may be calls by now, which end before it.
    ``deadline``: when it is over whatever hangs.
    """

    deadline: Deadline
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    serves: asyncio.Event = field(default_factory=asyncio.Event)


def heed_signals(drain_seconds: float) -> Ending:
    """SIGTERM or SIGINT sets ``stop`` from now on, and one more ``hurry``; none ends the process any more, but by the deadline.

    They are no handlers of the loop, which would be gone with it: whoever tells it once more must not cut off what is still
    being closed. Nor the interpreter in its last steps: it puts handlers away, but leaves alone what is ignored.
    """
    loop, ending = asyncio.get_running_loop(), Ending(Deadline())

    def tell() -> None:
        (ending.hurry if ending.stop.is_set() else ending.stop).set()

    def heed(_number: int, _frame: FrameType | None) -> None:
        # from here, for the loop itself may hang
        ending.deadline.within(ENDING_SECONDS + (0 if ending.stop.is_set() else drain_seconds))
        with contextlib.suppress(RuntimeError):  # of a loop that is closed
            loop.call_soon_threadsafe(tell)

    for each in _SIGNALS:
        signal.signal(each, heed)
        atexit.register(signal.signal, each, signal.SIG_IGN)
    return ending


async def unless_told(ending: Ending, service: Coroutine[Any, Any, None]) -> None:
    """Run the service. Told to stop before it serves, it is cancelled, and closes what it has opened by then.

    Raises what the service raises.
    """
    running, stopping = asyncio.create_task(service), asyncio.create_task(ending.stop.wait())
    try:
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        if ending.serves.is_set():
            await asyncio.wait([running])
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.wait([running, stopping])
    if not running.cancelled():
        running.result()


async def until(ending: Ending, link: Link | None, calls: Switchboard, drain_seconds: float) -> None:
    """Keep the link, if there is one, until told to stop; then let the calls end before it goes. In a hurry, wait for no talk."""
    ending.serves.set()
    running = asyncio.create_task(link.run() if link is not None else _for_ever())
    stopping = asyncio.create_task(ending.stop.wait())
    try:
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await _wind_down(calls, drain_seconds, ending.hurry, running)
        ending.deadline.within(ENDING_SECONDS)
        calls.detach("shutdown")
        await calls.drain()
        if running.done():
            running.result()
    finally:
        for task in (running, stopping):
            task.cancel()
        await asyncio.wait([running, stopping])


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _wind_down(
    calls: Switchboard, seconds: float, hurry: asyncio.Event, running: asyncio.Task[None]
) -> None:
    waits = [asyncio.create_task(calls.wind_down(seconds)), asyncio.create_task(hurry.wait())]
    await asyncio.wait([running, *waits], return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
    await asyncio.wait(waits)
