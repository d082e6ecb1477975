"""``/metrics``, in Prometheus's text format: counts and times, nothing about any person. Like ``/healthz``, it needs no token."""

import asyncio
from collections.abc import Callable
from time import monotonic

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from ccari.ports.metering import Exposition, Meter

PATH = "/metrics"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
#: How long an answer is reused: making one takes some milliseconds of processor time.
ANSWER_SECONDS = 1.0


class Scraped:
    """Answers scrapes."""

    def __init__(self, exposition: Exposition, clock: Callable[[], float] = monotonic) -> None:
        self._exposition = exposition
        self._clock = clock
        self._text = b""
        self._made_at: float | None = None
        self._asking = asyncio.Lock()

    async def answer(self, _: web.Request) -> web.Response:
        async with self._asking:
            now = self._clock()
            if self._made_at is None or now - self._made_at >= ANSWER_SECONDS:
                self._text, self._made_at = await self._exposition.exposed(), now
        return web.Response(body=self._text, headers={hdrs.CONTENT_TYPE: _TEXT})


def timed(meter: Meter) -> Middleware:
    """The middleware that times requests, by the template of their path. Streams are excluded: they last as long as somebody watches."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        began, resource = monotonic(), request.match_info.route.resource
        response = await handler(request)
        if not response.prepared:
            meter.answered(
                resource.canonical if resource else "", request.method, response.status, monotonic() - began
            )
        return response

    return middleware
