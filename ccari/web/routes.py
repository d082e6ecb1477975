"""Every endpoint under /v1: who may ask, what goes in, what comes out. /openapi.json is made from this table."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel

from ccari.ports.access import Role
from ccari.web import calls, requests, suppressions
from ccari.web.events import Streams
from ccari.web.front import Ask, Reply
from ccari.web.models.agents import AgentCardEvent, AgentPath
from ccari.web.models.calls import CallOrder, CallPage, CallPath, CallPlaced, CallShown, CallsQuery
from ccari.web.models.gate import GateAnswer, GateAsk
from ccari.web.models.requests import (
    ClaimBody,
    NoteBody,
    ReasonBody,
    Registered,
    RequestPage,
    RequestPath,
    RequestShown,
    RequestsQuery,
    Stepped,
    VerifyBody,
)
from ccari.web.models.suppressions import (
    Barred,
    BarringBody,
    CheckAnswer,
    CheckBody,
    Lifted,
    LiftingBody,
    SuppressionPage,
    SuppressionsQuery,
)
from ccari.web.rates import LookUp

_DIALER, _AGENT, _OPS, _DPO, _AUDITOR = Role

Handler = Callable[[Ask], Awaitable[Reply | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """``reply`` is the model of what comes out with ``status``; for a stream, of the data of its events.

    ``repeats``: an Idempotency-Key is heeded. ``looks_up``: it tells of any number whether it is barred, and so is asked only
    so often; what bars one is not kept back by its rate, and leaves a bar for each number that somebody tries. ``refuses``: the problems that are its own, beside those that every endpoint has.
    """

    method: str
    path: str
    roles: frozenset[Role]
    handler: Handler
    reply: type[BaseModel]
    status: HTTPStatus = HTTPStatus.OK
    in_path: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    streams: bool = False
    repeats: bool = False
    looks_up: LookUp | None = None
    refuses: tuple[HTTPStatus, ...] = ()


def routes(streams: Streams) -> Sequence[Route]:
    reading = frozenset({_OPS, _DPO, _AUDITOR})
    return [
        Route("POST", "/v1/gate", frozenset({_DIALER, _OPS, _DPO}), calls.gate, GateAnswer, body=GateAsk, looks_up=LookUp.GATE),
        Route(
            "POST", "/v1/calls", frozenset({_DIALER, _OPS}), calls.place_call, CallPlaced, HTTPStatus.CREATED,
            body=CallOrder, repeats=True, refuses=(HTTPStatus.CONFLICT,),
        ),
        Route("GET", "/v1/calls", reading, calls.list_calls, CallPage, query=CallsQuery),
        Route("GET", "/v1/calls/{id}", reading | {_DIALER}, calls.show_call, CallShown, in_path=CallPath),
        Route(
            "GET", "/v1/suppressions", reading, suppressions.list_bars, SuppressionPage,
            query=SuppressionsQuery,
        ),
        Route(
            "POST", "/v1/suppressions", frozenset({_DIALER, _OPS, _DPO}), suppressions.add, Barred,
            body=BarringBody, repeats=True,
        ),
        Route("POST", "/v1/suppressions/check", reading, suppressions.check, CheckAnswer, body=CheckBody, looks_up=LookUp.CHECK),
        Route(
            "POST", "/v1/suppressions/remove", frozenset({_DPO}), suppressions.remove, Lifted,
            body=LiftingBody,
        ),
        Route(
            "GET", "/v1/requests", frozenset({_DPO, _AUDITOR}), requests.list_requests, RequestPage,
            query=RequestsQuery,
        ),
        Route(
            "POST", "/v1/requests", frozenset({_AGENT, _DPO}), requests.add, Registered, HTTPStatus.CREATED,
            body=ClaimBody, repeats=True,
        ),
        Route(
            "GET", "/v1/requests/{reference}", frozenset({_DPO, _AUDITOR}), requests.show, RequestShown,
            in_path=RequestPath,
        ),
        _step("verify", requests.verify, VerifyBody),
        _step("start", requests.start, None),
        _step("extend", requests.extend, ReasonBody),
        _step("resolve", requests.resolve, NoteBody),
        _step("refuse", requests.refuse, ReasonBody),
        _step("withdraw", requests.withdraw, ReasonBody),
        Route(
            "GET", "/v1/agents/{id}/events", frozenset({_DIALER, _AGENT}), streams.agent_events,
            AgentCardEvent, in_path=AgentPath, streams=True,
        ),
    ]  # fmt: skip


def _step(name: str, handler: Handler, body: type[BaseModel] | None) -> Route:
    """A step in the work on a request, which is a data protection officer's."""
    return Route(
        "POST", f"/v1/requests/{{reference}}/{name}", frozenset({_DPO}), handler, Stepped,
        in_path=RequestPath, body=body, refuses=(HTTPStatus.CONFLICT,),
    )  # fmt: skip
