"""A controller's webhook: a real server on its own port, which checks signatures by itself."""

import asyncio
import base64
import contextlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Manner = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def takes(_: web.Request) -> web.Response:
    return web.Response(status=204)


def answers(status: int, **headers: str) -> Manner:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return answer


@dataclass
class Receiver:
    """``manner``: how it answers from now on; ``heard``: what was posted to it, in order."""

    url: str = ""
    manner: Manner = takes
    heard: list["Heard"] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(Heard(request.path_qs, request.headers, await request.read()))
        self.came.set()
        return await self.manner(request)

    @property
    def changes(self) -> list[str]:
        """Which changes of which requests it was told of."""
        return [f"{each.told['reference']}-{each.told['sequence']}" for each in self.heard]

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.heard]


@dataclass(frozen=True)
class Heard:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    def is_signed_with(self, secret: str) -> bool:
        """Check as a receiver does who has only the specification."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        wanted = base64.standard_b64encode(hmac.digest(key, content, "sha256"))
        return self.headers["webhook-signature"].split(" ") == [f"v1,{wanted.decode()}"]


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/rodo"
    try:
        yield receiver
    finally:
        await runner.cleanup()
