"""Every endpoint under /v1: who may ask, what goes in, what comes out. /openapi.json is made from this table."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel

from ccari.ports.access import Role
from ccari.web import calls, models, requests, suppressions
from ccari.web.events import Streams
from ccari.web.front import Ask, Reply

_DIALER, _AGENT, _OPS, _DPO, _AUDITOR = Role

Handler = Callable[[Ask], Awaitable[Reply | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """``reply`` is the model of what comes out with ``status``; for a stream, of the data of its events.

    ``repeats``: an Idempotency-Key is heeded. ``refuses``: the problems that are its own, beside those that every endpoint has.
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
    refuses: tuple[HTTPStatus, ...] = ()


def routes(streams: Streams) -> Sequence[Route]:
    reading = frozenset({_OPS, _DPO, _AUDITOR})
    return [
        Route(
            "POST", "/v1/gate", frozenset({_DIALER, _OPS, _DPO}), calls.gate, models.GateAnswer, body=models.GateAsk
        ),
        Route(
            "POST", "/v1/calls", frozenset({_DIALER, _OPS}), calls.place_call, models.CallPlaced, HTTPStatus.CREATED,
            body=models.CallOrder, repeats=True, refuses=(HTTPStatus.CONFLICT,),
        ),
        Route("GET", "/v1/calls", reading, calls.list_calls, models.CallPage, query=models.CallsQuery),
        Route(
            "GET", "/v1/calls/{id}", reading | {_DIALER}, calls.show_call, models.CallShown, in_path=models.CallPath
        ),
        Route(
            "GET", "/v1/suppressions", reading, suppressions.list_bars, models.SuppressionPage,
            query=models.SuppressionsQuery,
        ),
        Route(
            "POST", "/v1/suppressions", frozenset({_DIALER, _OPS, _DPO}), suppressions.add, models.Barred,
            body=models.BarringBody, repeats=True,
        ),
        Route(
            "POST", "/v1/suppressions/check", reading, suppressions.check, models.CheckAnswer, body=models.CheckBody
        ),
        Route(
            "POST", "/v1/suppressions/remove", frozenset({_DPO}), suppressions.remove, models.Lifted,
            body=models.LiftingBody,
        ),
        Route(
            "GET", "/v1/requests", frozenset({_DPO, _AUDITOR}), requests.list_requests, models.RequestPage,
            query=models.RequestsQuery,
        ),
        Route(
            "POST", "/v1/requests", frozenset({_AGENT, _DPO}), requests.add, models.Registered, HTTPStatus.CREATED,
            body=models.ClaimBody, repeats=True,
        ),
        Route(
            "GET", "/v1/requests/{reference}", frozenset({_DPO, _AUDITOR}), requests.show, models.RequestShown,
            in_path=models.RequestPath,
        ),
        _step("verify", requests.verify, models.VerifyBody),
        _step("start", requests.start, None),
        _step("extend", requests.extend, models.ReasonBody),
        _step("resolve", requests.resolve, models.NoteBody),
        _step("refuse", requests.refuse, models.ReasonBody),
        _step("withdraw", requests.withdraw, models.ReasonBody),
        Route(
            "GET", "/v1/agents/{id}/events", frozenset({_DIALER, _AGENT}), streams.agent_events,
            models.AgentCardEvent, in_path=models.AgentPath, streams=True,
        ),
    ]  # fmt: skip


def _step(name: str, handler: Handler, body: type[BaseModel] | None) -> Route:
    """A step in the work on a request, which is a data protection officer's."""
    return Route(
        "POST", f"/v1/requests/{{reference}}/{name}", frozenset({_DPO}), handler, models.Stepped,
        in_path=models.RequestPath, body=body, refuses=(HTTPStatus.CONFLICT,),
    )  # fmt: skip
