"""A callee who is far away: the pbx's media reaches them late, or never."""

import asyncio
import math
import re
from typing import Any

#: The port in an SDP. All ports have five digits, as the kernel's do, so no length changes.
_PORT = re.compile(rb"(?<=\r\nm=audio )\d{5}(?= )")

#: The least between two packets; the pbx sends one each 20 ms. If the machine stood still, what is overdue does not all come at once:
#: the callee's MixMonitor drops what arrives faster than it is heard (``ast_audiohook_write_frame`` in main/audiohook.c).
PACE_SECONDS = 0.018

Address = tuple[str, int]


class _Socket(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    async def open(self) -> int:
        """Begin to listen; returns the port."""
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    def connection_made(self, transport: Any) -> None:
        self.transport = transport


class Distance(_Socket):
    """A relay between the pbx and ``callee``. It passes the pbx's SIP on at once and its media after ``seconds``;
    ``inf``: never.

    The callee's media goes straight to the pbx.
    """

    def __init__(self, callee: Address, seconds: float) -> None:
        self._callee = callee
        self._seconds = seconds
        self._pbx: Address | None = None
        self._ways: list[_Way] = []
        self._answering: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        for each in self._ways:
            each.close()
        self.transport.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if addr != self._callee:
            self._pbx = addr
            self.transport.sendto(data, self._callee)
        elif self._pbx is not None:
            answering = asyncio.create_task(self._answer(data, self._pbx))
            self._answering.add(answering)
            answering.add_done_callback(self._answering.discard)

    async def _answer(self, data: bytes, pbx: Address) -> None:
        """Pass on what the callee says, with our port in place of the one at which they listen for media."""
        if (named := _PORT.search(data)) is not None:
            way = _Way(("127.0.0.1", int(named[0])), self._seconds)
            self._ways.append(way)
            data = _PORT.sub(str(await way.open()).encode(), data)
        self.transport.sendto(data, pbx)


class _Way(_Socket):
    def __init__(self, to: Address, seconds: float) -> None:
        self._to = to
        self._seconds = seconds
        #: What is under way, with the time at which it is due.
        self._under_way = asyncio.Queue[tuple[float, bytes]]()
        self._passing_on = asyncio.create_task(self._pass_on())

    def close(self) -> None:
        self._passing_on.cancel()
        self.transport.close()

    def datagram_received(self, data: bytes, _: Address) -> None:
        if not math.isinf(self._seconds):
            self._under_way.put_nowait((asyncio.get_running_loop().time() + self._seconds, data))

    async def _pass_on(self) -> None:
        while True:
            due, data = await self._under_way.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            self.transport.sendto(data, self._to)
            await asyncio.sleep(PACE_SECONDS)
