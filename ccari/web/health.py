"""``/healthz``: the process lives. ``/readyz``: it can take a call, which needs Asterisk and the database."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from aiohttp import web

from ccari.errors import ConfigError

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
    app.router.add_get("/readyz", lambda _: _ready(checks))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        reason = getattr(error, "strerror", None) or "no such port"
        raise ConfigError(f"cannot listen on {listen}: {reason}: set [http] listen") from None
    try:
        yield
    finally:
        await runner.cleanup()


async def _alive(_: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})


async def _ready(checks: Mapping[str, Check]) -> web.Response:
    found = {name: await check() for name, check in checks.items()}
    return web.json_response(
        {name: "ok" if well else "away" for name, well in found.items()},
        status=200 if all(found.values()) else 503,
    )
