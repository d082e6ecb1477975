"""The connections of the HTTP server: how many there may be, and how long each may be silent, idle or unread."""

import asyncio
import logging
import math
from typing import Any, cast

import structlog
from aiohttp import StreamReader, web

from ccari.log import Flood
from ccari.web.problems import ALWAYS, Refusal

_log = structlog.get_logger()

#: How long a connection may be idle, and how long its first request may take to arrive.
KEEPALIVE_SECONDS = 75.0
FIRST_SECONDS = 15.0
#: How many bytes a client must read within how many seconds, or all that is left, of what is sent to it. A modem is faster.
UNREAD_SECONDS, LEAST_READ_BYTES = 30.0, 64 * 1024
#: The most connections, more than streams and requests together. Each has a file descriptor, and the calls need some too.
MOST_CONNECTIONS = 800


class Connections:
    """Makes the connections of one server, and tells each when it has a request."""

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._turned_away = Flood(
            lambda times: _log.error("http_turned_away", connections=MOST_CONNECTIONS, times=times)
        )
        self._make_request = server.request_factory
        server.request_factory = self._begin

    def __call__(self) -> "Connection":
        return Connection(self._server, self._turned_away)

    def _begin(
        self, message: Any, payload: Any, connection: web.RequestHandler, *rest: Any
    ) -> web.BaseRequest:
        if isinstance(connection, Connection):
            connection.begin()
        return self._make_request(message, payload, connection, *rest)


class Connection(web.RequestHandler):
    """A connection that also answers malformed HTTP with a problem document, because aiohttp's own answer quotes what was sent.

    It is closed if no request comes soon, and cut if answers are not read: aiohttp would wait for either for ever.
    """

    __slots__ = (
        "_body",
        "_first",
        "_has_asked",
        "_idle_since",
        "_is_busy",
        "_server",
        "_turned_away",
        "_turns",
        "_unread",
        "_wire",
        "unread_since",
    )

    def __init__(self, server: web.Server, turned_away: Flood) -> None:
        no_log: dict[str, Any] = {"access_log": None}
        loop = asyncio.get_running_loop()
        # a compressed body is refused: aiohttp would unpack it on the loop, before anybody asks for a token, and a megabyte may be a gigabyte
        super().__init__(
            server,
            loop=loop,
            logger=_errors(),
            keepalive_timeout=KEEPALIVE_SECONDS,
            auto_decompress=False,
            **no_log,
        )
        self._server = server
        self._turned_away = turned_away
        self._has_asked = self._is_busy = False
        #: Of the last request that was answered. aiohttp waits ten seconds for the rest of it.
        self._body: StreamReader | None = None
        #: How many turns of aiohttp's task are to come in which it may find a request.
        self._turns = 0
        self._idle_since = loop.time()
        self._first: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        #: Since when the other end has not taken all that was sent, by the loop's clock; infinite if it has.
        self.unread_since = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # aiohttp forgets the connection on closing it, which does not end it while data remain to be sent
        self._wire = cast("asyncio.Transport", transport)
        # pause writing at the first byte that the other end does not accept
        self._wire.set_write_buffer_limits(high=0)
        super().connection_made(transport)
        if not self._has_room():
            self.force_close()
            return
        self._first = asyncio.get_running_loop().call_later(FIRST_SECONDS, self._close_if_silent)

    def _has_room(self) -> bool:
        """Whether there is room for one more connection, if necessary by closing an idle one, or else the one whose other end has not
        read what is sent for longest.
        """
        if len(self._server.connections) <= MOST_CONNECTIONS:
            return True
        self._turned_away.add()
        others = [
            each for each in self._server.connections if isinstance(each, Connection) and each is not self
        ]
        if idle := [each for each in others if each.is_idle]:
            min(idle, key=Connection.idle_since).force_close()
            return True
        unread = min(others, key=lambda each: each.unread_since)
        return unread.cut_if_unread()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way, none has come, and the last answer was read. It may still owe the rest of one that was answered."""
        is_open = self.connected and not self._wire.is_closing()
        return is_open and not self._is_busy and not self._turns and self.unread_since == math.inf

    def idle_since(self) -> tuple[bool, bool, float]:
        """A sort key, lowest for the connection to close first: those without a request yet, then those idle for longest. Last come those
        that owe the rest of an answered request: if it is on its way, closing may cost them the answer.
        """
        owes = self._body is not None and not self._body.is_eof()
        return owes, self._has_asked, self._idle_since

    def begin(self) -> None:
        """A request has come, even if a malformed one."""
        self._has_asked = self._is_busy = True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._is_busy, self._idle_since = False, asyncio.get_running_loop().time()
            self._body = request.content
            self._leave_a_turn()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._leave_a_turn()

    def _leave_a_turn(self) -> None:
        """Do not count as idle until aiohttp's task has looked for a request: the loop runs it before what is called here, or right after.
        If the connection were closed in between, a request would be carried out and never answered.
        """
        self._turns += 1
        asyncio.get_running_loop().call_soon(self._had_its_turn)

    def _had_its_turn(self) -> None:
        self._turns -= 1

    def connection_lost(self, exc: BaseException | None) -> None:
        for timer in (self._first, self._unread):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.unread_since = asyncio.get_running_loop().time()
        self._watch_reader()

    def resume_writing(self) -> None:
        self.unread_since = math.inf
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def _watch_reader(self) -> None:
        left = self._wire.get_write_buffer_size()
        self._unread = asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._cut_if_too_slow, left)

    def cut_if_unread(self) -> bool:
        """Cut the connection if something is still to be read by its other end; False if nothing is."""
        if self.unread_since == math.inf:
            return False
        self.unread_since = math.inf
        self._wire.abort()
        return True

    def _cut_if_too_slow(self, before: int) -> None:
        if before - self._wire.get_write_buffer_size() < LEAST_READ_BYTES:
            self._wire.abort()
        else:
            self._watch_reader()

    def _close_if_silent(self) -> None:
        if self._turns:
            asyncio.get_running_loop().call_soon(self._close_if_silent)
        elif not self._has_asked:
            self.force_close()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:  # fmt: skip
        answer = super().handle_error(request, status, exc, message)
        response = Refusal(answer.status, "the request cannot be read").response()
        response.headers.update(ALWAYS)
        response.force_close()
        return response


def _errors() -> logging.Logger:
    """The logger for malformed HTTP, without the tracebacks that aiohttp adds: they quote what was sent."""
    logger = logging.getLogger("ccari.web")
    if not logger.filters:
        logger.addFilter(_without_traceback)
    return logger


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
