"""A stream between two programs, over TCP or a Unix socket, that can be cut or stalled."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_CHUNK = 1 << 16
#: SO_LINGER with no time: closing sends a reset.
_RESET = struct.pack("ii", 1, 0)

Address = tuple[str, int] | Path


class Link:
    """``cut``: existing connections are reset, and new ones too; ``stalled``: nothing passes, and nobody is told."""

    def __init__(self, to: Address) -> None:
        self._to = to
        self._cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        self._cut = True
        for writer in list(self._open):
            _reset(writer)

    def stall(self) -> None:
        self._flows.clear()

    def mend(self) -> None:
        self._cut = False
        self._flows.set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._pass(reader, writer)
        except OSError:
            # one end is gone, and the other is told
            _reset(writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        if self._cut:
            _reset(writer)
            return
        far_reader, far_writer = await _connect(self._to)
        self._open.add(far_writer)
        flows = [
            asyncio.create_task(self._flow(reader, far_writer)),
            asyncio.create_task(self._flow(far_reader, writer)),
        ]
        try:
            await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for flow in flows:
                flow.cancel()
            await asyncio.wait(flows)
            self._open.discard(far_writer)
            far_writer.close()

    async def _flow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def link(to: Address, at: Address) -> AsyncIterator[Link]:
    """Pass everything that arrives ``at`` an address on to ``to``, while the context lasts."""
    made = Link(to)
    if isinstance(at, Path):
        server = await asyncio.start_unix_server(made.handle, str(at))
    else:
        server = await asyncio.start_server(made.handle, *at)
    try:
        yield made
    finally:
        server.close()
        made.mend()
        made.cut()


async def _connect(to: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(to, Path):
        return await asyncio.open_unix_connection(str(to))
    return await asyncio.open_connection(*to)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_INET:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
