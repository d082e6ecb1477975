"""A TCP connection through which nothing passes any more, and that nobody closes: a network that drops packets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.lab.ports import free_port

_CHUNK = 65536


class BlackHole:
    """``url``: the target as seen through it. ``swallowed``: what Asterisk sent and nobody received."""

    def __init__(self, target: str) -> None:
        self.port = free_port(socket.SOCK_STREAM, "127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self.swallowed = b""
        self._target = urlsplit(target)
        self._drops = False
        self._lost: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def swallow(self) -> None:
        """Drop all packets of the existing connections, and admit no new ones."""
        self._drops = True
        self._lost |= self._writers

    def let_through(self) -> None:
        """Admit new connections from now on; the lost ones stay lost."""
        self._drops = False

    async def accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        if self._drops:
            self._writers.add(back)
            return
        far, on = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers |= {back, on}
        for source, sink in ((near, on), (far, back)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_CHUNK):
                if sink not in self._lost:
                    sink.write(data)
                    await sink.drain()
                else:
                    self.swallowed += data
        # the end of a connection is a packet too
        if sink not in self._lost:
            sink.close()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def black_hole(target: str) -> AsyncIterator[BlackHole]:
    """A route to the ARI at ``target`` while the context lasts."""
    made = BlackHole(target)
    server = await asyncio.start_server(made.accept, "127.0.0.1", made.port)
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
