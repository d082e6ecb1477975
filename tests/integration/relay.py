"""A relay between ccari and a real Asterisk, which sees every message and can lose, repeat or hold one."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from tests.lab.ports import free_port

Message = dict[str, Any]
#: What to pass on in place of a message: nothing, the message itself, or several.
Hook = Callable[[Message], Awaitable[list[Message]]]


async def _as_it_is(message: Message) -> list[Message]:
    return [message]


class Relay:
    """``url``: ARI as ccari sees it; ``requests`` and ``events``: what was passed on, in order."""

    def __init__(self, target: str) -> None:
        self.port = free_port(socket.SOCK_STREAM, "127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: list[Message] = []
        self.events: list[Message] = []
        self.handshakes: list[web.BaseRequest] = []
        self.on_request: Hook = _as_it_is
        self.on_reply: Hook = _as_it_is
        #: While it is set, every new connection is cut off.
        self.away = False
        self._target = target
        self._open: list[web.BaseRequest] = []

    def cut(self) -> None:
        """Reset every connection, as a failing network does."""
        for request in self._open:
            if request.transport is not None:
                request.transport.abort()

    def kinds(self, since: int = 0) -> list[str]:
        """The requests that were passed on: method and resource."""
        return [f"{each['method']} {each['uri']}" for each in self.requests[since:]]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._open.append(request)
        self.handshakes.append(request)
        try:
            if self.away:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            async with aiohttp.ClientSession(auto_decompress=False) as session:
                if request.headers.get("Upgrade", "").lower() == "websocket":
                    return await self._websocket(request, session)
                return await self._plain(request, session)
        finally:
            self._open.remove(request)

    async def _plain(self, request: web.BaseRequest, session: aiohttp.ClientSession) -> web.Response:
        headers = {"Authorization": request.headers.get("Authorization", "")}
        async with session.request(
            request.method, f"{self._target}{request.path_qs}", headers=headers
        ) as reply:
            return web.Response(status=reply.status, body=await reply.read())

    async def _websocket(
        self, request: web.BaseRequest, session: aiohttp.ClientSession
    ) -> web.StreamResponse:
        headers = {"Authorization": request.headers.get("Authorization", "")}
        try:
            far = await session.ws_connect(f"{self._target}{request.path_qs}", headers=headers)
        except aiohttp.WSServerHandshakeError as refused:
            return web.Response(status=refused.status)
        near = web.WebSocketResponse()
        await near.prepare(request)
        with contextlib.suppress(ConnectionError):
            await _first_of(self._requests(near, far), self._replies(far, near))
        await far.close()
        await near.close()
        return near

    async def _requests(self, near: web.WebSocketResponse, far: aiohttp.ClientWebSocketResponse) -> None:
        async for each in near:
            message = orjson.loads(each.data)
            self.requests.append(message)
            for passed in await self.on_request(message):
                await far.send_str(orjson.dumps(passed).decode())

    async def _replies(self, far: aiohttp.ClientWebSocketResponse, near: web.WebSocketResponse) -> None:
        async for each in far:
            message = orjson.loads(each.data)
            if message["type"] != "RESTResponse":
                self.events.append(message)
            for passed in await self.on_reply(message):
                await near.send_str(orjson.dumps(passed).decode())


async def _first_of(*flows: Any) -> None:
    tasks = [asyncio.ensure_future(flow) for flow in flows]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@contextlib.asynccontextmanager
async def relay(target: str) -> AsyncIterator[Relay]:
    """Relay to the ARI at ``target`` while the context lasts."""
    made = Relay(target)
    runner = web.ServerRunner(web.Server(made.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    try:
        yield made
    finally:
        made.cut()
        await runner.cleanup()
