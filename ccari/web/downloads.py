"""What is too long to be held whole, sent piece by piece."""

import asyncio
import traceback
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

import structlog
from aiohttp import web

from ccari.web.front import Ask
from ccari.web.pace import Pace
from ccari.web.problems import ALWAYS

#: Who does not read for so long is gone, as is who does not keep their Pace.
WRITE_SECONDS = 30.0
_PIECE_BYTES = 256 * 1024

_log = structlog.get_logger()


async def sent(
    ask: Ask,
    kind: str,
    name: str,
    pieces: AsyncGenerator[bytes, None],
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """All the ``pieces``, as a file of that ``name``; ``headers`` beside those that each answer has.

    What fails before the first is a problem like any other. What fails later ends the connection without the end of the
    message (RFC 9112, 7.1), so that nobody takes a part for the whole.
    """
    async with aclosing(pieces):
        first, pace = await anext(pieces, b""), Pace()
        response = web.StreamResponse(
            headers={**ALWAYS, **named(name), **(headers or {}), "content-type": kind}
        )
        try:
            await response.prepare(ask.request)
            await _write(response, first, pace)
            async for each in pieces:
                await _write(response, each, pace)
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write_eof()
        except (ConnectionError, TimeoutError):
            # whoever asked is gone
            _cut(ask)
        except Exception as error:  # noqa: BLE001 - logged
            where = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("http_failed", error=type(error).__name__, where=[f"{where.filename}:{where.lineno}"])
            _cut(ask)
    return response


async def pieces_of(file: Path) -> AsyncGenerator[bytes, None]:
    opened = await asyncio.to_thread(file.open, "rb")
    try:
        while piece := await asyncio.to_thread(opened.read, _PIECE_BYTES):
            yield piece
    finally:
        opened.close()


def named(name: str) -> dict[str, str]:
    """The header that has a browser keep it as a file. ``name`` is ours, and plain."""
    return {"content-disposition": f'attachment; filename="{name}"'}


async def _write(response: web.StreamResponse, piece: bytes, pace: Pace) -> None:
    async with pace.waiting(WRITE_SECONDS):
        await response.write(piece)
    pace.moved(len(piece))


def _cut(ask: Ask) -> None:
    if ask.request.transport is not None:
        ask.request.transport.abort()
