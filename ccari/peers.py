"""Connections to other people's HTTP servers, such as a controller's webhook: whatever those send, no call waits for it."""

import contextlib
import os
import ssl
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest

from ccari.names import Names

#: How much of what has come is read before it is looked at.
_PIECE_BYTES = 16 * 1024
#: Answers that may wait to be read, with those that only say that the answer is still to come (1xx).
_MOST_WAITING = 16


class Connector(aiohttp.TCPConnector):
    """aiohttp's, with names looked up by :class:`Names`, with a limit on what a server can have read in one go, and trusting the
    certificates that the system trusts when it connects.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(resolver=Names(), **options)
        # aiohttp has no setting for the class of its connections; a test fails if this private name changes
        self._factory = cast("partial[ResponseHandler]", partial(_Connection, loop=self._loop))
        self._trust = _Trust()

    def _get_ssl_context(self, req: ClientRequest) -> ssl.SSLContext | None:
        # another private name that a test watches: aiohttp's own context has what was trusted when aiohttp was loaded
        return self._trust.context() if req.is_ssl() else None


async def whole(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes | None:
    """The body of an answer; None if it has more bytes than that, of which no more are read."""
    received = bytearray()
    async for each in answer.content.iter_any():
        received += each
        if len(received) > most_bytes:
            return None
    return bytes(received)


class _Trust:
    """The certificates that the system trusts. OpenSSL goes on with those that it has read: a new one of an authority whose name it knows
    would be refused until the service is restarted, and one that was taken away trusted.
    """

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None
        self._read: tuple[object, ...] = ()

    def context(self) -> ssl.SSLContext:
        """For the next connection. Read anew, which takes some milliseconds, if the system's certificates were changed."""
        there = tuple(map(_version, ssl.get_default_verify_paths()[:2]))
        if self._context is None or there != self._read:
            self._context, self._read = ssl.create_default_context(), there
            self._context.set_alpn_protocols(("http/1.1",))
        return self._context


def _version(path: str | None) -> list[tuple[int, int] | None]:
    """Tells a file, or a folder with what its files are or lead to, from what it was before. It takes a millisecond for those of a system.

    By the time of the last change of any kind: a folder does not change when a file in it is written over, and ``cp -p`` sets the
    time of the last writing back.
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
    """Gives up a server that sends one answer after the other to one request. aiohttp would read all of them, for as long as the
    request may take: with uvloop that is ten seconds in which nothing else is done.
    """

    def data_received(self, data: bytes) -> None:
        # without any, aiohttp goes on with what it has
        for start in range(0, len(data), _PIECE_BYTES) or (0,):
            super().data_received(data[start : start + _PIECE_BYTES])
            if len(self._buffer) > _MOST_WAITING:
                self.abort()
                return
