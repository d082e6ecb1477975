"""Answers a request to one route: checks the role, validates, waits for a turn, does the work. Errors become problem documents."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from time import monotonic
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler as WebHandler
from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from ccari.ports.access import Bearer, Role
from ccari.web import problems
from ccari.web.access import Doorkeeper, token_fingerprint
from ccari.web.front import Ask, Front, Reply
from ccari.web.problems import Fault, Refusal
from ccari.web.rates import Rates
from ccari.web.repeats import Repeat, key_of
from ccari.web.routes import Route
from ccari.web.turns import SharedTurns, Shares, Turns

#: The time-out for a body to arrive.
BODY_SECONDS = 10.0
#: Requests handled at a time. Calls need the rest of the database's connections.
AT_ONCE = 4
#: Gate requests of diallers, in addition. They share one connection: the database is asked about several at once.
GATES_AT_ONCE = 32
#: Long requests, in addition, each with its own database connection: this many uploads of lists, and this many downloads of lists and
#: files, so that neither kind waits for the other. And those with one token: they may take hours, while somebody else must export something.
LONG_AT_ONCE, LONG_AT_ONCE_OF_ONE = 3, 2
#: All requests at a time, including those that wait or whose body is still arriving; not counting open streams, nor sign-ins, which the
#: console limits itself. And those with one token: whoever sends requests without end must leave room for other clients' gate requests.
MOST_REQUESTS, MOST_REQUESTS_OF_ONE = 200, 150
#: How many of them may wait for a body that did not come with the head: in all, and per token. A dialler's bodies come within
#: milliseconds; a client whose bodies never come must leave room for other clients' gate requests.
MOST_BODIES, MOST_BODIES_OF_ONE = 100, 40

_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
#: A request's token, by name, for the log.
BEARER = web.RequestKey("bearer", str)
#: Whether all fields of a request are in its URL, whatever its method.
_IN_URL = web.RequestKey("in_url", bool)
_log = structlog.get_logger()


class Shared:
    """What all endpoints share: the ports, who is let in, and the turns that requests wait for."""

    def __init__(self, front: Front, doorkeeper: Doorkeeper, rates: Rates) -> None:
        self.front = front
        self.doorkeeper = doorkeeper
        self.rates = rates
        #: By the fingerprint of the token that was shown, which may be a wrong one.
        self.room = Shares(MOST_REQUESTS, MOST_REQUESTS_OF_ONE)
        self._bodies = Shares(MOST_BODIES, MOST_BODIES_OF_ONE)
        self.turns = Turns(AT_ONCE)
        self.gates = Turns(GATES_AT_ONCE)
        self.lists_in = SharedTurns(LONG_AT_ONCE, LONG_AT_ONCE_OF_ONE)
        self.files_out = SharedTurns(LONG_AT_ONCE, LONG_AT_ONCE_OF_ONE)

    @contextlib.contextmanager
    def receiving(self, request: web.Request, bearer: Bearer) -> Iterator[None]:
        """The context in which a bearer's body is read. Raises Refusal (503) if the body has not come yet and too many others have not
        either.
        """
        if request.content.is_eof():
            yield
            return
        with self._bodies.of(bearer.name):
            yield

    def turns_of(self, route: Route, bearer: Bearer) -> AbstractAsyncContextManager[None]:
        """The turns that a request waits for. Short requests never wait for those that may take minutes."""
        if route.takes_list:
            return self.lists_in.of(bearer.name)
        if route.vouches and bearer.role is Role.DIALER:
            # only for diallers: other roles' look-ups are recorded, which takes another connection
            return self.gates
        return self.turns if route.reply is not None else self.files_out.of(bearer.name)


class Endpoint:
    def __init__(self, route: Route, shared: Shared) -> None:
        self._route = route
        self._shared = shared

    async def answer(self, request: web.Request) -> web.StreamResponse:
        route, shared = self._route, self._shared
        request[_IN_URL] = route.body is None
        with shared.room.of(token_fingerprint(request)):
            ask, raw = await self._admitted(request)
            if not route.streams:
                key = key_of(request) if route.repeats else None
                async with shared.turns_of(route, ask.bearer):
                    if key is None:
                        return await self._work(ask)
                    repeat = Repeat(
                        shared.front.repeats,
                        key,
                        ask.bearer.name,
                        route.path,
                        raw,
                        lists=request if route.takes_list else None,
                    )
                    return await repeat.once(lambda: self._work(ask))
        return _streamed(await route.handler(ask))

    async def _admitted(self, request: web.Request) -> tuple[Ask[Front], bytes]:
        """The validated request, if the bearer's role may make it, and what distinguishes it from another with the same Idempotency-Key."""
        route, shared = self._route, self._shared
        bearer = await shared.doorkeeper.admit(request, lately=route.vouches)
        request[BEARER] = bearer.name
        if bearer.role not in route.roles:
            raise Refusal(
                HTTPStatus.FORBIDDEN, f"this is not for the role {bearer.role}: it is for {', '.join(sorted(route.roles))}",
                headers={"www-authenticate": 'Bearer realm="ccari", error="insufficient_scope"'},
            )  # fmt: skip
        if route.looks_up is not None:
            shared.rates.take(route.looks_up, bearer.name)
        # a list itself is read, and compared, only when its turn comes
        raw = f"{request.query_string} {request.content_type}".encode() if route.takes_list else b""
        if route.body is not None:
            with shared.receiving(request, bearer):
                raw = await _read(request)
        ask = Ask(
            shared.front, shared.doorkeeper, request, bearer, _path(route.in_path, request),
            _query(route.query, request), _body(route.body, request, raw),
        )  # fmt: skip
        return ask, raw

    async def _work(self, ask: Ask[Front]) -> web.StreamResponse:
        route = self._route
        try:
            done = await route.handler(ask)
        except Refusal as refusal:
            if route.vouches and refusal.status == HTTPStatus.UNAUTHORIZED:
                self._shared.doorkeeper.disown(ask.request)
            raise
        return _streamed(done) if route.reply is None else _json(done, route.status)


@web.middleware
async def envelope(request: web.Request, handler: WebHandler) -> web.StreamResponse:
    """Log each request by the template of its path, and turn whatever goes wrong into a problem document."""
    began, resource = monotonic(), request.match_info.route.resource
    template = resource.canonical if resource else None
    # aiohttp answers pipelined requests from one packet without yielding: hundreds of them would hold up all calls
    await asyncio.sleep(0)
    response = await _answered(request, handler)
    if not response.prepared:
        for name, value in problems.ALWAYS.items():
            response.headers.setdefault(name, value)
    (_log.debug if template in _QUIET else _log.info)(
        "http_request", method=_method(request), route=template, status=response.status,
        ms=round((monotonic() - began) * 1000), token=request.get(BEARER),
    )  # fmt: skip
    return response


async def _answered(request: web.Request, handler: WebHandler) -> web.StreamResponse:
    if not request.raw_path.isascii():
        # aiohttp's compiled parser refuses this; its pure Python parser lets it through with surrogates, which cannot be written anywhere
        return Refusal(HTTPStatus.BAD_REQUEST, "the request cannot be read").response()
    if request.body_exists and request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        return Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "the body must not be compressed",
            headers={"accept-encoding": "identity"},
        ).response()
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal.response()
    except ConnectionError:
        # the client has gone, and nobody reads this; aiohttp would log an exception as our error
        return web.Response(status=HTTPStatus.BAD_REQUEST)
    except web.HTTPException as error:
        return problems.of_server(error).response()
    except Exception as error:  # noqa: BLE001 - told, and logged
        return problems.of_error(error, in_query=request.get(_IN_URL, False)).response()


def _method(request: web.Request) -> str:
    """The method, for the log. A client may invent one, with any content."""
    return request.method if request.method in hdrs.METH_ALL else "other"


def _path(model: type[BaseModel] | None, request: web.Request) -> BaseModel | None:
    try:
        return model.model_validate(dict(request.match_info)) if model else None
    except ValidationError:
        raise problems.not_there() from None


def _query(model: type[BaseModel] | None, request: web.Request) -> BaseModel | None:
    if model is None:
        if request.query:
            raise problems.of_faults([Fault(detail="this path takes no parameters")])
        return None
    try:
        return model.model_validate(_given(model, request.query))
    except ValidationError as error:
        raise problems.of_validation(model, error, in_query=True) from None


def _given(model: type[BaseModel], query: MultiMapping[str]) -> dict[str, Any]:
    """The parameters. Each may be given once, except those that take several values."""
    given: dict[str, Any] = {}
    for name in dict.fromkeys(query):
        values, field = query.getall(name), model.model_fields.get(name)
        if field is not None and field.default == ():
            given[name] = values
        elif len(values) == 1 or field is None:
            given[name] = values[0]
        else:
            raise problems.of_faults([Fault(detail="it is given more than once", parameter=name)])
    return given


async def _read(request: web.Request) -> bytes:
    try:
        if request.content.is_eof():
            # a short body came with the head: there is nothing to wait for
            return await request.read()
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from None
    except web.RequestPayloadError:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body arrived incomplete") from None


def _body(model: type[BaseModel] | None, request: web.Request, raw: bytes) -> BaseModel | None:
    if model is None:
        return None
    if raw and request.content_type != "application/json":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise Refusal(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
        raise problems.of_validation(model, error) from None


def _json(reply: Reply[BaseModel] | web.StreamResponse, status: HTTPStatus) -> web.Response:
    if not isinstance(reply, Reply):
        raise TypeError("only a stream answers by itself")
    headers = {"location": reply.location} if reply.location else {}
    return web.Response(
        status=status,
        body=reply.content.model_dump_json(by_alias=True).encode(),
        content_type="application/json",
        headers=headers,
    )


def _streamed(response: Reply[BaseModel] | web.StreamResponse) -> web.StreamResponse:
    if isinstance(response, Reply):
        raise TypeError("a stream answers by itself")
    return response
