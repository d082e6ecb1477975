"""Sending files that are too long to be held in memory, piece by piece."""

import asyncio
import io
import socket
import struct
import traceback
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

import structlog
from aiohttp import web

from ccari.web.front import Ask, Ports
from ccari.web.pace import Pace
from ccari.web.problems import ALWAYS

#: The media type of a pack, and of what is given to a person.
ZIP = "application/zip"
#: How long a client may take to read one piece. It must also keep up the minimum average rate: see :class:`Pace`.
WRITE_SECONDS = 30.0
_PIECE_BYTES = 256 * 1024
#: As SO_LINGER: closing the connection sends a reset, however it comes to be closed; or ends it in order.
_RESET, _IN_ORDER = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)

_log = structlog.get_logger()


async def sent(
    ask: Ask[Ports],
    kind: str,
    name: str,
    pieces: AsyncGenerator[bytes, None],
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Send ``pieces`` as a file with that ``name``. ``headers``: added to those of every answer.

    If the first piece fails, the answer is a problem document. If a later one fails, the connection is cut without the end of the message
    (RFC 9112, 7.1), so that nobody mistakes a part for the whole file. Over HTTP/1.0, which nginx speaks to us unless told otherwise, a
    message ends where the connection does: so until the end it can only be reset, even if the service is killed.
    """
    async with aclosing(pieces):
        first = await anext(pieces, b"")
        response = web.StreamResponse(
            headers={**ALWAYS, **as_attachment(name), **(headers or {}), "content-type": kind}
        )
        await send(ask, response, first, pieces)
    return response


async def send(
    ask: Ask[Ports], response: web.StreamResponse, first: bytes, rest: AsyncGenerator[bytes, None]
) -> None:
    """Send a response piece by piece. If that fails, cut the connection, as described for :func:`sent`."""
    pace = Pace()
    try:
        _close_by(_RESET, ask)
        await response.prepare(ask.request)
        await _write(response, first, pace)
        async for piece in rest:
            await _write(response, piece, pace)
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write_eof()
        _close_by(_IN_ORDER, ask)
    except (ConnectionError, TimeoutError):
        # the client has gone, or is too slow
        _cut(ask)
    except Exception as error:  # noqa: BLE001 - logged
        where = traceback.extract_tb(error.__traceback__)[-1]
        _log.error("http_failed", error=type(error).__name__, where=[f"{where.filename}:{where.lineno}"])
        _cut(ask)


async def pieces_of(file: Path) -> AsyncGenerator[bytes, None]:
    """The content of a file, read in threads."""
    opened = await asyncio.to_thread(file.open, "rb")
    try:
        while piece := await asyncio.to_thread(opened.read, _PIECE_BYTES):
            yield piece
    finally:
        opened.close()


async def pieces_held(content: io.BytesIO) -> AsyncGenerator[bytes, None]:
    """What was written, from its beginning."""
    content.seek(0)
    while piece := content.read(_PIECE_BYTES):
        yield piece


def as_attachment(name: str) -> dict[str, str]:
    """The header that makes a browser save the answer as a file. ``name`` is ours, and needs no quoting."""
    return {"content-disposition": f'attachment; filename="{name}"'}


async def _write(response: web.StreamResponse, piece: bytes, pace: Pace) -> None:
    async with pace.waiting(WRITE_SECONDS):
        await response.write(piece)
    pace.moved(len(piece))


def _close_by(linger: bytes, ask: Ask[Ports]) -> None:
    wire = ask.request.transport
    if wire is not None and (connection := wire.get_extra_info("socket")) is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _cut(ask: Ask[Ports]) -> None:
    if ask.request.transport is not None:
        ask.request.transport.abort()
