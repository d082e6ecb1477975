"""How the service stops: on a signal, after its calls have ended."""

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

#: SIGHUP comes from a terminal that closes, or from somebody who wants the settings read again.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: Time-out for everything after the talks: the ends of the calls (20 s), HTTP requests (5 s), the last seal (5 s), the
#: embedded PostgreSQL. Then the process is cut off, whatever hangs. That is within the minute asked of systemd
#: (ccari.supervisor) and, with the talks' own time, within TimeoutStopSec of docs/ccari.service.
ENDING_SECONDS = 45.0
#: Time-out for threads still running when everything else has ended; their results are no longer needed.
THREADS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ending:
    """The state of the service's shutdown."""

    #: Ends the process if something hangs.
    deadline: Deadline
    #: A signal has come: stop.
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    #: A second signal has come: do not wait for talks.
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    #: The service is serving: there may be calls, which must end before it does.
    serves: asyncio.Event = field(default_factory=asyncio.Event)


def heed_signals(drain_seconds: float) -> Ending:
    """From now on the first of :data:`SIGNALS` sets ``stop``, and the second ``hurry``. No signal ends the process, but
    the deadline that they set does. A SIGHUP that is already ignored stays ignored: after nohup the terminal may close.

    These are not the event loop's handlers, which would end with the loop: a further signal must not interrupt what is
    still closing. For the same reason the signals are ignored at exit, when the interpreter removes its handlers.
    """
    loop, ending = asyncio.get_running_loop(), Ending(Deadline())

    def tell() -> None:
        (ending.hurry if ending.stop.is_set() else ending.stop).set()

    def heed(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and ending.stop.is_set():
            # a closing terminal sends SIGHUP, and its shell sends another: that is no request to hurry
            return
        # set here, since the loop may hang
        ending.deadline.within(ENDING_SECONDS + (0 if ending.stop.is_set() else drain_seconds))
        with contextlib.suppress(RuntimeError):  # the loop may be closed
            loop.call_soon_threadsafe(tell)

    for each in SIGNALS:
        if each is signal.SIGHUP and signal.getsignal(each) is signal.SIG_IGN:
            continue
        signal.signal(each, heed)
        atexit.register(signal.signal, each, signal.SIG_IGN)
    return ending


async def run_unless_stopped(ending: Ending, service: Coroutine[Any, Any, None]) -> None:
    """Run the service to its end. If it is told to stop before it serves, cancel it, so that it closes what it opened.

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
    """Keep the link to Asterisk, if there is one, until the service is told to stop. Then let the calls end,
    talks for up to ``drain_seconds``.

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
