"""Connections to other people's HTTP servers, such as a controller's webhook: whatever those send, no call waits for it."""

import asyncio
import contextlib
import os
import ssl
from functools import partial
from typing import Any, Self, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

from ccari import __version__
from ccari.names import Names

#: How much of the received data is parsed at a time.
_PIECE_BYTES = 16 * 1024
#: How many answers may wait to be read, including interim ones (1xx).
_MOST_WAITING = 16


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector, with three changes: :class:`Names` looks up names, the data that a server can have parsed at
    once are limited, and the certificates trusted are those that the system trusts at the time of connecting.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(resolver=Names(), ssl=_Trust(), **options)
        # aiohttp has no setting for the class of its connections; a test fails if this private name changes
        self._factory = cast(
            "partial[ResponseHandler]", partial(_Connection, loop=asyncio.get_running_loop())
        )


def client(connector: Connector | None = None) -> aiohttp.ClientSession:
    """A client of such servers, to be used as a context. It keeps no cookies, and unpacks no answer: a short one could fill the memory, or
    take seconds in which no call goes on.
    """
    return aiohttp.ClientSession(
        connector=connector or Connector(),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"user-agent": f"ccari/{__version__}", "accept-encoding": "identity"},
    )


async def whole(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes | None:
    """The body of an answer; None, without reading on, if it has more than ``most_bytes``."""
    received = bytearray()
    async for each in answer.content.iter_any():
        received += each
        if len(received) > most_bytes:
            return None
    return bytes(received)


class _Trust(ssl.SSLContext):
    """The certificates that the system trusts. OpenSSL keeps those it has read: until a restart, it would
    refuse a renewed certificate of an authority whose name it knows, and trust one that was removed. So each
    connection is made in a context that has read what there is.
    """

    _context: ssl.SSLContext | None = None
    _read: tuple[object, ...] = ()

    def __new__(cls) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def wrap_bio(self, *ends: Any, **named: Any) -> ssl.SSLObject:
        """Begin one connection, as asyncio and uvloop ask for it."""
        return self._newest().wrap_bio(*ends, **named)

    def _newest(self) -> ssl.SSLContext:
        """The context for the next connection. Read again, in some milliseconds, if the system's certificates have changed."""
        there = tuple(map(_version, ssl.get_default_verify_paths()[:2]))
        if self._context is None or there != self._read:
            self._context, self._read = ssl.create_default_context(), there
            self._context.set_alpn_protocols(("http/1.1",))
        return self._context


def _version(path: str | None) -> list[tuple[int, int] | None]:
    """The version of a file, or of a folder with its files and the targets of its links. For a system's
    certificates this takes a millisecond.

    Uses the time of the last change of any kind (ctime): a folder's own times do not change when a file in it
    is overwritten, and ``cp -p`` resets mtime.
    """
    looked_at = [path or ""]
    with contextlib.suppress(OSError), os.scandir(path or "") as files:
        looked_at += sorted(each.path for each in files)
    return list(map(_state, looked_at))


def _state(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - as quick as can be
    except OSError:
        return None
    return status.st_ino, status.st_ctime_ns


class _Connection(ResponseHandler):
    """Drops a server that sends answer after answer to one request. aiohttp would read them all for as long
    as the request may take: with uvloop, ten seconds in which nothing else runs.
    """

    def data_received(self, data: bytes) -> None:
        # without data, aiohttp goes on with what it has
        for start in range(0, len(data), _PIECE_BYTES) or (0,):
            super().data_received(data[start : start + _PIECE_BYTES])
            if len(self) > _MOST_WAITING:
                self.abort()
                return
