"""``/healthz``: the process lives. ``/readyz``: it can take a call, which needs Asterisk and the database."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from aiohttp import web

from ccari.errors import ConfigError, why

Check = Callable[[], Awaitable[bool]]


@contextlib.asynccontextmanager
async def serve_health(listen: str, checks: Mapping[str, Check]) -> AsyncIterator[None]:
    """Answer on ``listen`` (``HOST:PORT``) while the context lasts.

    Raises
    ------
    ConfigError
        If the port is taken or may not be used.
    """
    app = web.Application()
    app.router.add_get("/healthz", _alive)
    app.router.add_get("/readyz", _Readiness(checks).answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"cannot listen on {listen}: {why(error)}: set [http] listen") from None
    try:
        yield
    finally:
        await runner.cleanup()


async def _alive(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


class _Readiness:
    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    async def answer(self, _: web.Request) -> web.Response:
        found = {name: await check() for name, check in self._checks.items()}
        told = {name: "ok" if well else "away" for name, well in found.items()}
        return web.json_response(told, status=200 if all(found.values()) else 503)
