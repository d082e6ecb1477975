"""The HTTP server: health for whoever asks, the API for bearers of tokens."""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

import orjson
from aiohttp import web

from ccari.errors import ConfigError, why
from ccari.web import openapi
from ccari.web.access import Doorkeeper
from ccari.web.endpoint import Counter, Endpoint, envelope
from ccari.web.events import Streams
from ccari.web.front import Front
from ccari.web.health import Check, Readiness, alive
from ccari.web.problems import BODY_BYTES
from ccari.web.routes import routes

#: For requests to end when the service stops; then they are cut.
DRAIN_SECONDS = 5.0
#: A connection on which nothing is asked.
KEEPALIVE_SECONDS = 75.0


@contextlib.asynccontextmanager
async def serve_http(listen: str, checks: Mapping[str, Check], front: Front) -> AsyncIterator[None]:
    """Answer on ``listen`` (``HOST:PORT``) while the context lasts.

    Raises
    ------
    ConfigError
        If the port is taken or may not be used.
    """
    runner = runner_of(application(checks, front))
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


def runner_of(app: web.Application) -> web.AppRunner:
    return web.AppRunner(
        app,
        access_log=None,
        logger=_errors(),
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=DRAIN_SECONDS,
    )


def application(
    checks: Mapping[str, Check],
    front: Front,
    *,
    streams: Streams | None = None,
    doorkeeper: Doorkeeper | None = None,
) -> web.Application:
    """All that is answered. What is below /v1 is in the table of routes, and nothing of it without a role."""
    app = web.Application(middlewares=[envelope], client_max_size=BODY_BYTES)
    app.router.add_get("/healthz", alive)
    readiness = Readiness(checks)
    app.router.add_get("/readyz", readiness.answer)
    app.on_cleanup.append(readiness.close)
    streams, counter = streams or Streams(), Counter(front, doorkeeper or Doorkeeper(front.bearers))
    app.on_shutdown.append(streams.close)
    table = routes(streams)
    for route in table:
        app.router.add_route(route.method, route.path, Endpoint(route, counter).answer)
    described = orjson.dumps(openapi.document(table))

    async def description(_: web.Request) -> web.Response:
        return web.Response(body=described, content_type="application/json")

    app.router.add_get("/openapi.json", description)
    return app


def _errors() -> logging.Logger:
    """For what is no HTTP: aiohttp logs it with a traceback that quotes it."""
    logger = logging.getLogger("ccari.web")
    if not logger.filters:
        logger.addFilter(_without_traceback)
    return logger


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
