"""Connections to other people's HTTP servers, such as a controller's webhook: whatever those send, no call waits for it."""

from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

from ccari.names import Names

#: How much of what has come is read before it is looked at.
_PIECE_BYTES = 16 * 1024
#: Answers that may wait to be read, with those that only say that the answer is still to come (1xx).
_MOST_WAITING = 16


class Connector(aiohttp.TCPConnector):
    """aiohttp's, with names looked up by :class:`Names`, and with a limit on what a server can have read in one go."""

    def __init__(self, **options: Any) -> None:
        super().__init__(resolver=Names(), **options)
        # aiohttp has no setting for the class of its connections; a test fails if this private name changes
        self._factory = cast("partial[ResponseHandler]", partial(_Connection, loop=self._loop))


async def whole(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes | None:
    """The body of an answer; None if it has more bytes than that, of which no more are read."""
    received = bytearray()
    async for each in answer.content.iter_any():
        received += each
        if len(received) > most_bytes:
            return None
    return bytes(received)


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
