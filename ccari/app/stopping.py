"""How the service ends: on a signal, once its calls have ended."""

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
from ccari.tasks import started

#: SIGHUP of a terminal that closes, or of somebody who would have the settings read anew.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: For all that comes after the talks: the ends of the calls (20 s), requests over HTTP (5 s), the last seal (5 s), the embedded
#: PostgreSQL. It is cut then, whatever hangs: within the minute that systemd is asked for (ccari.supervisor), and, with the
#: talks' own time, within TimeoutStopSec of docs/ccari.service.
ENDING_SECONDS = 45.0
#: For threads that are still at work when all else has ended. Nobody waits for what they do any more.
THREADS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ending:
    """What the service knows of its end."""

    #: Ends the process if something hangs.
    deadline: Deadline
    #: A signal has come: stop.
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    #: A second signal has come: do not wait for talks.
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    #: The service has begun to serve: there may be calls, which must end before it does.
    serves: asyncio.Event = field(default_factory=asyncio.Event)


def heed_signals(drain_seconds: float) -> Ending:
    """From now on one of :data:`SIGNALS` sets ``stop``, and a further one ``hurry``; none ends the process, but the deadline that they
    set does. A SIGHUP that is ignored already stays ignored: after nohup the terminal may close.

    The handlers are not the event loop's own, which would go with the loop: a further signal must not cut off what is still
    being closed. For the same reason the signals are ignored at exit, when the interpreter removes its handlers.
    """
    loop, ending = asyncio.get_running_loop(), Ending(Deadline())

    def tell() -> None:
        (ending.hurry if ending.stop.is_set() else ending.stop).set()

    def heed(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and ending.stop.is_set():
            # a terminal that closes tells us, and its shell does so again: nobody is in a hurry for that
            return
        # from here, for the loop itself may hang
        ending.deadline.within(ENDING_SECONDS + (0 if ending.stop.is_set() else drain_seconds))
        with contextlib.suppress(RuntimeError):  # of a loop that is closed
            loop.call_soon_threadsafe(tell)

    for each in SIGNALS:
        if each is signal.SIGHUP and signal.getsignal(each) is signal.SIG_IGN:
            continue
        signal.signal(each, heed)
        atexit.register(signal.signal, each, signal.SIG_IGN)
    return ending


async def run_unless_stopped(ending: Ending, service: Coroutine[Any, Any, None]) -> None:
    """Run the service to its end. If it is to stop before it serves, cancel it, so that it closes what it has opened.

    Raises what the service raises.
    """
    async with started(service, ending.stop.wait()) as (running, stopping):
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        if ending.serves.is_set():
            await asyncio.wait([running])
    if not running.cancelled():
        running.result()


async def serve_until_stopped(
    ending: Ending, link: Link | None, calls: Switchboard, drain_seconds: float
) -> None:
    """Keep the link to Asterisk, if there is one, until the service is to stop; then let the calls end, talks for up to
    ``drain_seconds``.

    Raises what :meth:`Link.run` raises.
    """
    ending.serves.set()
    for_ever = asyncio.Event().wait
    async with started(link.run() if link is not None else for_ever(), ending.stop.wait()) as (
        running,
        stopping,
    ):
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            async with started(calls.wind_down(drain_seconds), ending.hurry.wait()) as waits:
                await asyncio.wait([running, *waits], return_when=asyncio.FIRST_COMPLETED)
        ending.deadline.within(ENDING_SECONDS)
        calls.detach("shutdown")
        await calls.drain()
        if running.done():
            running.result()
