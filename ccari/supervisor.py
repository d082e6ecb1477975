"""Tells systemd the state of the service: sd_notify(3), whose whole protocol is a datagram of lines."""

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass

#: Interval between messages if there is no watchdog. Each message says everything, so losing one does no harm.
TELL_SECONDS = 10.0
#: How much time each message asks for while the service stops. The last one must cover everything after the
#: calls, including the end of the embedded PostgreSQL (up to 30 s).
ENDING_SECONDS = 60.0
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Sends messages to systemd. ``address``: its socket, None if it asked for none; ``interval``: seconds
    between messages.
    """

    address: str | None
    interval: float

    @classmethod
    def from_environment(cls) -> "Supervisor":
        """Read NOTIFY_SOCKET and WATCHDOG_USEC, and unset both: they do not concern the processes that we start."""
        address = os.environ.pop("NOTIFY_SOCKET", "")
        watched, whom = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        interval = TELL_SECONDS
        if watched.isdecimal() and whom in {"", str(os.getpid())}:
            # sd_watchdog_enabled(3) recommends half of it; with a third, one message may be lost
            interval = min(interval, int(watched) / _MICRO / 3)
        # a leading @ stands for the zero byte of an abstract address
        return cls(f"\0{address[1:]}" if address.startswith("@") else address or None, interval)

    async def tell(self, stopping: asyncio.Event, connected: asyncio.Event | None) -> None:
        """Send the state at each interval, until cancelled. ``connected``: whether Asterisk is; None if the
        service needs none.

        This runs on the loop that runs the calls: if that hangs, no message is sent, and systemd restarts the service.
        """
        if self.address is None:
            return
        while True:
            self._send(_message(stopping=stopping.is_set(), connected=connected))
            if stopping.is_set():
                await asyncio.sleep(self.interval)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.interval):
                        await stopping.wait()

    def _send(self, message: str) -> None:
        # no call may wait for systemd; if it is away or busy, the next message says the same again
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            datagrams.setblocking(False)
            datagrams.sendto(message.encode(), self.address or "")


def _message(*, stopping: bool, connected: asyncio.Event | None) -> str:
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
