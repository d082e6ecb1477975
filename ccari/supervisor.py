"""What systemd is told of the service: sd_notify(3), whose whole protocol is one datagram of lines."""

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass

#: From one word to the next where nobody watches; each says all there is to say, so that a lost one costs no more.
TELL_SECONDS = 10.0
#: What the service asks for at each word while it winds down: the last one is for all that comes after the calls,
#: which ends with the embedded PostgreSQL (up to 30 s).
ENDING_SECONDS = 60.0
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Supervisor:
    """``address`` is systemd's socket, None where nobody asked to be told; ``interval``: seconds between two words."""

    address: str | None
    interval: float

    @classmethod
    def from_environment(cls) -> "Supervisor":
        """As NOTIFY_SOCKET and WATCHDOG_USEC say; they are forgotten, for nothing that we start has to do with them."""
        address = os.environ.pop("NOTIFY_SOCKET", "")
        watched, whom = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        interval = TELL_SECONDS
        if watched.isdecimal() and whom in {"", str(os.getpid())}:
            # sd_watchdog_enabled(3) recommends half of it; a third forgives a word that was lost
            interval = min(interval, int(watched) / _MICRO / 3)
        # a leading @ stands for the zero byte of an abstract address
        return cls(f"\0{address[1:]}" if address.startswith("@") else address or None, interval)

    async def tell(self, stopping: asyncio.Event, connected: asyncio.Event | None) -> None:
        """Say how it stands, over and over, until cancelled. It comes from the loop that calls run on: when that hangs,
        the words stay away, and systemd puts another service in its place. ``connected`` None: there is to be no Asterisk.
        """
        if self.address is None:
            return
        while True:
            self._say(_words(stopping=stopping.is_set(), connected=connected))
            if stopping.is_set():
                await asyncio.sleep(self.interval)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.interval):
                        await stopping.wait()

    def _say(self, words: str) -> None:
        # systemd that is away or busy is no reason to let a caller wait: the next word says it again
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
            mouth.setblocking(False)
            mouth.sendto(words.encode(), self.address or "")


def _words(*, stopping: bool, connected: asyncio.Event | None) -> str:
    if stopping:
        extended = f"EXTEND_TIMEOUT_USEC={int(ENDING_SECONDS * _MICRO)}"
        lines = ["STOPPING=1", "STATUS=stopping: talks come to their end", extended]
    else:
        lines = ["READY=1", f"STATUS={_status(connected)}"]
    return "\n".join([*lines, "WATCHDOG=1"])


def _status(connected: asyncio.Event | None) -> str:
    if connected is None:
        return "without Asterisk, as [asterisk] url says"
    return "connected to Asterisk" if connected.is_set() else "Asterisk is away: it tries again by itself"
