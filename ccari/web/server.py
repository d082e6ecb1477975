"""The HTTP server: health and metrics for anybody, the API for bearers of tokens, the console for people."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import orjson
from aiohttp import hdrs, web

from ccari.errors import cannot_listen
from ccari.ports.metering import UNMETERED, Exposition, Meter
from ccari.web import openapi, problems
from ccari.web.access import Doorkeeper
from ccari.web.connections import Connections
from ccari.web.console.table import add_console
from ccari.web.endpoint import Endpoint, Shared, envelope
from ccari.web.events import Streams
from ccari.web.front import Front
from ccari.web.health import Check, Readiness, alive
from ccari.web.metrics import PATH, Scraped, timed
from ccari.web.problems import ALWAYS, BODY_BYTES, PROBLEM_TYPE
from ccari.web.rates import Rates
from ccari.web.routes import routes

#: How long requests may take to end when the service stops. Then they are cut off.
DRAIN_SECONDS = 5.0
#: How many connections may wait to be accepted, as with aiohttp's own sites.
BACKLOG = 128


@contextlib.asynccontextmanager
async def serve_http(listen: str, app: web.Application) -> AsyncIterator[int]:
    """Answer on ``listen`` (``HOST:PORT``) while the context lasts. Gives the port, which is another one if 0 was asked for.

    Raises
    ------
    ConfigError
        If the port is taken or may not be used.
    """
    runner = web.AppRunner(app, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    try:
        server = await _listen(listen, runner)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _listen(listen: str, runner: web.AppRunner) -> asyncio.Server:
    """Make each connection a :class:`Connection`. aiohttp's own sites have no setting for that."""
    if runner.server is None:
        raise AssertionError("the runner is not set up")
    host, _, port = listen.rpartition(":")
    accept = Connections(runner.server)
    try:
        return await asyncio.get_running_loop().create_server(
            accept, host.strip("[]"), int(port), backlog=BACKLOG
        )
    except OSError as error:
        raise cannot_listen(listen, error, "http") from None


def application(
    checks: Mapping[str, Check],
    front: Front,
    *,
    streams: Streams | None = None,
    doorkeeper: Doorkeeper | None = None,
    rates: Rates | None = None,
    meter: Meter = UNMETERED,
    exposition: Exposition | None = None,
) -> web.Application:
    """Everything that the server answers. Below /v1 that is the table of routes, each of which needs a role.

    ``rates``: the limits on look-ups. ``meter``: measures each request. ``exposition``: the content of ``/metrics``; without it there is
    no such path.
    """
    app = web.Application(middlewares=[timed(meter), envelope], client_max_size=BODY_BYTES)
    app.on_response_prepare.append(_without_quotes)
    app.on_response_prepare.append(_last_if_in_pieces)
    app.router.add_get("/healthz", alive)
    readiness = Readiness(checks)
    app.router.add_get("/readyz", readiness.answer)
    app.on_cleanup.append(readiness.close)
    if exposition is not None:
        app.router.add_get(PATH, Scraped(exposition).answer)
    streams = streams or Streams()
    shared = Shared(front, doorkeeper or Doorkeeper(front.bearers), rates or Rates())
    app.on_shutdown.append(streams.close)
    table = routes(streams)
    for route in table:
        app.router.add_route(route.method, route.path, Endpoint(route, shared).answer)
    described = orjson.dumps(openapi.document(table))

    async def description(_: web.Request) -> web.Response:
        return web.Response(body=described, content_type="application/json")

    app.router.add_get("/openapi.json", description)
    add_console(app, shared, streams)
    return app


async def _without_quotes(_: web.Request, response: web.StreamResponse) -> None:
    """Replace aiohttp's own answer to an unknown ``Expect``, which it gives before our middleware: it quotes the header."""
    if isinstance(response, web.HTTPException):
        body = problems.of_server(response).problem.model_dump_json(exclude_none=True).encode()
        response.content_type, response.body = PROBLEM_TYPE, body
        # aiohttp has already set the length of its own body: with another length a proxy would mistake where the answer ends
        response.headers.update({**ALWAYS, hdrs.CONTENT_LENGTH: str(len(body))})


async def _last_if_in_pieces(request: web.Request, response: web.StreamResponse) -> None:
    """Close the connection after a chunked body: aiohttp (3.14.5) reads a trailer after it as a header of the next request, which behind
    a proxy may be somebody else's.
    """
    if hdrs.TRANSFER_ENCODING in request.headers:
        response.headers[hdrs.CONNECTION] = "close"
        response.force_close()
