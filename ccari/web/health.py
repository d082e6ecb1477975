"""``/healthz``: the process lives. ``/readyz``: it can take a call, which needs Asterisk and the database."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

Check = Callable[[], Awaitable[bool]]


async def alive(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


class Readiness:
    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    async def answer(self, _: web.Request) -> web.Response:
        found = {name: await check() for name, check in self._checks.items()}
        told = {name: "ok" if well else "away" for name, well in found.items()}
        return web.json_response(told, status=200 if all(found.values()) else 503)
