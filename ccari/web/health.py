"""``/healthz``: the process lives. ``/readyz``: it can take a call, which needs Asterisk and the database."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from aiohttp import web

Check = Callable[[], Awaitable[bool]]

#: So long an answer is good for whoever asks next.
ANSWER_SECONDS = 1.0


async def alive(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


class Readiness:
    """Whoever asks, as often as they like, takes no more than one connection of those that calls need.

    What has been found is told for :data:`ANSWER_SECONDS`, by ``clock``; who asks while it is being found out waits for it.
    """

    def __init__(self, checks: Mapping[str, Check], clock: Callable[[], float] = monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._finding: asyncio.Task[dict[str, bool]] | None = None
        self._found_at = 0.0

    async def answer(self, _: web.Request) -> web.Response:
        finding = self._finding
        if finding is None or (finding.done() and self._clock() - self._found_at >= ANSWER_SECONDS):
            finding = self._finding = asyncio.create_task(self._find())
        # who leaves takes the answer from nobody else
        found = await asyncio.shield(finding)
        told = {name: "ok" if well else "away" for name, well in found.items()}
        return web.json_response(told, status=200 if all(found.values()) else 503)

    async def close(self, _: web.Application) -> None:
        if self._finding is not None:
            self._finding.cancel()
            await asyncio.wait([self._finding])

    async def _find(self) -> dict[str, bool]:
        try:
            return {name: await check() for name, check in self._checks.items()}
        finally:
            self._found_at = self._clock()
