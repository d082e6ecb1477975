"""ARI's endpoints, ``/ari/asterisk/info``, a global variable, the application, the events WebSocket and the requests beside it, with
answers that a test decides.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import orjson
from aiohttp import web

Message = dict[str, Any]

INFO = {
    "system": {"version": "22.10.1", "entity_id": "02:00:00:00:00:01"},
    "status": {"startup_time": "2026-11-25T00:15:20.000+0000"},
}


class AriServer:
    """``answer`` is called with each request; it replies by :meth:`send`, or not at all."""

    def __init__(self) -> None:
        self.url = ""
        self.handshakes: list[web.Request] = []
        self.requests: list[Message] = []
        self.info_status, self.info_body = 200, orjson.dumps(INFO)
        self.events_status = 101
        #: The value of any global variable, and the answers to one question after the other about an application.
        self.variable, self.app_statuses = "", [404]
        #: Answers nothing at all, on the WebSocket or beside it.
        self.mute_info = self.mute_events = False
        self.answers_pings = True
        self.answer: Callable[[Message], Awaitable[None]] = self.agree
        #: The requests beside the WebSocket, and the answers to them when ``is_quiet``.
        self.told: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()
        self.beside_status, self.is_quiet = 204, asyncio.Event()
        self.sockets: list[web.WebSocketResponse] = []
        self._gone = asyncio.Event()

    async def agree(self, request: Message) -> None:
        await self.reply(request)

    async def reply(self, request: Message, status: int = 200, body: object = None) -> None:
        message_body = "" if body is None else orjson.dumps(body).decode()
        await self.send(
            {"type": "RESTResponse", "request_id": request["request_id"], "status_code": status,
             "reason_phrase": "", "message_body": message_body}
        )  # fmt: skip

    async def send(self, message: object) -> None:
        await self.send_text(orjson.dumps(message).decode())

    async def send_text(self, text: str) -> None:
        await self.sockets[-1].send_str(text)

    async def info(self, request: web.Request) -> web.Response:
        self.handshakes.append(request)
        if self.mute_info:
            await self._gone.wait()
        return web.Response(status=self.info_status, body=self.info_body)

    async def variables(self, _: web.Request) -> web.Response:
        return web.json_response({"value": self.variable})

    async def app(self, request: web.Request) -> web.Response:
        self.handshakes.append(request)
        return web.json_response({}, status=self.app_statuses.pop(0) if self.app_statuses else 404)

    async def events(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(request)
        if self.mute_events:
            await self._gone.wait()
        if self.events_status != 101:
            return web.Response(status=self.events_status)
        socket = web.WebSocketResponse(autoping=self.answers_pings)
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            heard = orjson.loads(message.data)
            self.requests.append(heard)
            await self.answer(heard)
        return socket

    async def beside(self, request: web.Request) -> web.Response:
        self.handshakes.append(request)
        self.told.put_nowait((request.match_info["thing"], dict(request.query)))
        await self.is_quiet.wait()
        return web.Response(status=self.beside_status, text='{"message": "Channel not found"}')

    def leave(self) -> None:
        self._gone.set()


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[AriServer]:
    made = AriServer()
    app = web.Application()
    app.router.add_get("/ari/asterisk/info", made.info)
    app.router.add_get("/ari/asterisk/variable", made.variables)
    app.router.add_get("/ari/applications/{app}", made.app)
    app.router.add_get("/ari/events", made.events)
    app.router.add_post("/ari/channels/{thing}/variable", made.beside)
    app.router.add_post("/ari/bridges/{thing}/removeChannel", made.beside)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = site.name
    try:
        yield made
    finally:
        made.leave()
        await runner.cleanup()
