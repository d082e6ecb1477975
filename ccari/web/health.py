"""``/healthz``: the process is alive. ``/readyz``: it can take a call, for which it needs Asterisk and the database."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from aiohttp import web

Check = Callable[[], Awaitable[bool]]

#: How long an answer is reused.
ANSWER_SECONDS = 1.0


async def alive(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


class Readiness:
    """Answers ``/readyz``. However many ask, the checks take at most one of the database connections that calls need.

    An answer is reused for :data:`ANSWER_SECONDS`, by ``clock``. Requests that come during the checks wait for their result.
    """

    def __init__(self, checks: Mapping[str, Check], clock: Callable[[], float] = monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._checking: asyncio.Task[dict[str, bool]] | None = None
        self._checked_at = 0.0

    async def answer(self, _: web.Request) -> web.Response:
        checking = self._checking
        if checking is None or (checking.done() and self._clock() - self._checked_at >= ANSWER_SECONDS):
            checking = self._checking = asyncio.create_task(self._check())
        # shielded: a client that goes away must not cancel it for the others
        results = await asyncio.shield(checking)
        answer = {name: "ok" if is_well else "away" for name, is_well in results.items()}
        return web.json_response(answer, status=200 if all(results.values()) else 503)

    async def close(self, _: web.Application) -> None:
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait([self._checking])

    async def _check(self) -> dict[str, bool]:
        try:
            return {name: await check() for name, check in self._checks.items()}
        finally:
            self._checked_at = self._clock()
