"""The table of all endpoints under /v1: which roles may use each, what it takes and what it gives. /openapi.json is made from
it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel

from ccari.ports.access import READING, SUPERVISING, Role
from ccari.web import (
    calls,
    campaigns,
    consents,
    contacts,
    evidence,
    lists,
    recordings,
    requests,
    subjects,
    suppressions,
    webhooks,
)
from ccari.web.downloads import ZIP
from ccari.web.events import Streams
from ccari.web.front import Ask, Front, Reply
from ccari.web.models.agents import AgentCardEvent, AgentPath
from ccari.web.models.calls import (
    CallOrder,
    CallPage,
    CallPath,
    CallPlaced,
    CallsFound,
    CallShown,
    CallsQuery,
)
from ccari.web.models.campaigns import (
    CampaignList,
    CampaignPath,
    CampaignQuery,
    CampaignShown,
    CampaignsQuery,
    RevisionPage,
    RevisionPath,
    RevisionShown,
    RevisionsQuery,
)
from ccari.web.models.consents import (
    ConsentAnswer,
    ConsentPage,
    ConsentsImportQuery,
    ConsentsQuery,
    WithdrawalBody,
    Withdrawn,
)
from ccari.web.models.contacts import (
    ContactAnswer,
    ContactPage,
    ContactsImportQuery,
    ContactsQuery,
    NumberAsked,
    ScrubQuery,
)
from ccari.web.models.gate import GateAnswer, GateAsk
from ccari.web.models.lists import ListReport, OfController
from ccari.web.models.live import LiveCallEvent, LiveQuery
from ccari.web.models.recordings import (
    HoldBody,
    HoldPage,
    HoldPath,
    HoldShown,
    HoldsQuery,
    RecordingPage,
    RecordingPath,
    RecordingShown,
    RecordingsQuery,
    ReleaseBody,
)
from ccari.web.models.requests import (
    ClaimBody,
    FindBody,
    Registered,
    RegisterQuery,
    RequestPage,
    RequestPath,
    RequestsFound,
    RequestShown,
    RequestsQuery,
    Stepped,
)
from ccari.web.models.subjects import ExportBody, PlanBody, PlanShown, SubjectFound
from ccari.web.models.suppressions import (
    Barred,
    BarringBody,
    BarsImportQuery,
    CheckAnswer,
    CheckBody,
    Lifted,
    LiftingBody,
    SuppressionPage,
    SuppressionsQuery,
)
from ccari.web.models.webhooks import DeliveriesQuery, DeliveryPage, DeliveryPath, Retried
from ccari.web.rates import LookUp
from ccari.web.uploads import CSV

JSON = "application/json"

_DIALER, _AGENT, _OPS, _DPO, _ = Role

Handler = Callable[[Ask[Front]], Awaitable[Reply[BaseModel] | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint.

    ``reply``: the model of the answer with ``status``, or of the data of a stream's events; None: the answer is a file of the media type
    ``gives``. ``vouches``: the handler's own database query also looks up the token, and the handler checks the bearer before it answers.
    ``takes_list``: the body is a list, read as it arrives. ``repeats``: it accepts an Idempotency-Key. ``looks_up``: it tells of any
    number whether it is barred, so this rate limits it. (An endpoint that enters bars needs no limit: trying numbers with it leaves a bar
    on each.) ``refuses``: problems of its own, besides those of every endpoint. ``headers``: headers of the answer, for what its body
    cannot say, with the meaning of each.
    """

    method: str
    path: str
    roles: frozenset[Role]
    handler: Handler
    reply: type[BaseModel] | None
    status: HTTPStatus = HTTPStatus.OK
    in_path: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    streams: bool = False
    takes_list: bool = False
    gives: str = JSON
    repeats: bool = False
    looks_up: LookUp | None = None
    vouches: bool = False
    refuses: tuple[HTTPStatus, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


def routes(streams: Streams) -> Sequence[Route]:
    return [
        Route("POST", "/v1/gate", frozenset({_DIALER, _OPS, _DPO}), calls.gate, GateAnswer, body=GateAsk, looks_up=LookUp.GATE,
              vouches=True),
        Route(
            "POST", "/v1/calls", frozenset({_DIALER, _OPS}), calls.place_call, CallPlaced, HTTPStatus.CREATED,
            body=CallOrder, repeats=True, refuses=(HTTPStatus.CONFLICT,),
        ),
        Route("GET", "/v1/calls", READING, calls.list_calls, CallPage, query=CallsQuery),
        Route("POST", "/v1/calls/find", frozenset({_DPO}), calls.find, CallsFound, body=FindBody, looks_up=LookUp.CHECK),
        Route(
            "GET", "/v1/calls/events", READING, streams.call_events, LiveCallEvent, query=LiveQuery, streams=True,
        ),
        Route("GET", "/v1/calls/{id}", READING | {_DIALER}, calls.show_call, CallShown, in_path=CallPath),
        Route(
            "GET", "/v1/suppressions", READING, suppressions.list_bars, SuppressionPage,
            query=SuppressionsQuery,
        ),
        Route(
            "POST", "/v1/suppressions", frozenset({_DIALER, _OPS, _DPO}), suppressions.add, Barred,
            body=BarringBody, repeats=True,
        ),
        Route(
            "POST", "/v1/suppressions/import", frozenset({_OPS, _DPO}), lists.import_bars, ListReport,
            query=BarsImportQuery, takes_list=True, repeats=True,
        ),
        Route(
            "GET", "/v1/suppressions/export", frozenset({_OPS, _DPO}), lists.export_bars, None, query=OfController, gives=CSV,
        ),
        Route("POST", "/v1/suppressions/check", READING, suppressions.check, CheckAnswer, body=CheckBody, looks_up=LookUp.CHECK),
        Route(
            "POST", "/v1/suppressions/remove", frozenset({_DPO}), suppressions.remove, Lifted,
            body=LiftingBody,
        ),
        Route("GET", "/v1/contacts", READING, contacts.list_contacts, ContactPage, query=ContactsQuery),
        Route("POST", "/v1/contacts/check", READING, contacts.check, ContactAnswer, body=NumberAsked, looks_up=LookUp.CHECK),
        Route(
            "POST", "/v1/contacts/import", frozenset({_OPS, _DPO}), lists.import_contacts, ListReport,
            query=ContactsImportQuery, takes_list=True, repeats=True,
        ),
        Route(
            "POST", "/v1/contacts/scrub", frozenset({_OPS, _DPO}), lists.scrub, None, query=ScrubQuery, takes_list=True,
            gives=CSV, headers=(("Ccari-Report", "How many rows were left out, and why, as JSON."),),
        ),
        Route("GET", "/v1/consents", READING, consents.list_consents, ConsentPage, query=ConsentsQuery),
        Route("POST", "/v1/consents/check", READING, consents.check, ConsentAnswer, body=NumberAsked, looks_up=LookUp.CHECK),
        Route(
            "POST", "/v1/consents/import", frozenset({_OPS, _DPO}), lists.import_consents, ListReport,
            query=ConsentsImportQuery, takes_list=True, repeats=True,
        ),
        Route(
            "POST", "/v1/consents/withdraw", frozenset({_DPO}), consents.withdraw, Withdrawn, body=WithdrawalBody,
            repeats=True, refuses=(HTTPStatus.CONFLICT,),
        ),
        Route("GET", "/v1/recordings", READING, recordings.list_recordings, RecordingPage, query=RecordingsQuery),
        Route("GET", "/v1/recordings/{id}", READING, recordings.show, RecordingShown, in_path=RecordingPath),
        Route(
            "GET", "/v1/recordings/{id}/file", SUPERVISING, recordings.file, None, in_path=RecordingPath,
            gives=recordings.ENCRYPTED, refuses=(HTTPStatus.CONFLICT,),
        ),
        Route("GET", "/v1/holds", READING, recordings.list_holds, HoldPage, query=HoldsQuery),
        Route(
            "POST", "/v1/holds", frozenset({_DPO}), recordings.hold, HoldShown, body=HoldBody, repeats=True,
            refuses=(HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND),
        ),
        Route(
            "POST", "/v1/holds/{number}/release", frozenset({_DPO}), recordings.release, HoldShown, in_path=HoldPath,
            body=ReleaseBody,
        ),
        Route("POST", "/v1/subjects/find", frozenset({_DPO}), subjects.find, SubjectFound, body=FindBody, looks_up=LookUp.CHECK),
        Route(
            "POST", "/v1/subjects/export", frozenset({_DPO}), subjects.export, None, body=ExportBody, gives=ZIP,
            refuses=(HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND), headers=(("Repr-Digest", "The ZIP's SHA-256, by RFC 9530."),),
        ),
        Route(
            "POST", "/v1/subjects/erasure-plan", frozenset({_DPO}), subjects.erasure_plan, PlanShown, body=PlanBody,
            refuses=(HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND),
        ),
        Route(
            "GET", "/v1/evidence/calls/{id}", SUPERVISING, evidence.of_call, None, in_path=CallPath, gives=ZIP,
            refuses=(HTTPStatus.CONFLICT,),
        ),
        Route(
            "GET", "/v1/evidence/requests/{reference}", SUPERVISING, evidence.of_request, None, in_path=RequestPath,
            gives=ZIP, refuses=(HTTPStatus.CONFLICT,),
        ),
        Route("GET", "/v1/campaigns", READING | {_DIALER}, campaigns.list_campaigns, CampaignList, query=CampaignsQuery),
        Route(
            "GET", "/v1/campaigns/{id}", READING | {_DIALER}, campaigns.show, CampaignShown, in_path=CampaignPath,
            query=CampaignQuery,
        ),
        Route("GET", "/v1/revisions", READING, campaigns.list_revisions, RevisionPage, query=RevisionsQuery),
        Route("GET", "/v1/revisions/{number}", READING, campaigns.show_revision, RevisionShown, in_path=RevisionPath),
        Route(
            "GET", "/v1/requests", SUPERVISING, requests.list_requests, RequestPage,
            query=RequestsQuery,
        ),
        Route(
            "POST", "/v1/requests", frozenset({_AGENT, _DPO}), requests.add, Registered, HTTPStatus.CREATED,
            body=ClaimBody, repeats=True,
        ),
        Route(
            "POST", "/v1/requests/find", frozenset({_DPO}), requests.find, RequestsFound, body=FindBody, looks_up=LookUp.CHECK,
        ),
        Route(
            "GET", "/v1/requests/export.csv", SUPERVISING, lists.export_requests_csv, None, query=RegisterQuery, gives=CSV,
        ),
        Route(
            "GET", "/v1/requests/export.json", SUPERVISING, lists.export_requests_json, None, query=RegisterQuery, gives=JSON,
        ),
        Route(
            "GET", "/v1/requests/{reference}", SUPERVISING, requests.show, RequestShown,
            in_path=RequestPath,
        ),
        *(_step(name, handler, body) for name, (handler, body) in requests.STEPS.items()),
        Route("GET", "/v1/webhooks", READING, webhooks.list_deliveries, DeliveryPage, query=DeliveriesQuery),
        Route("POST", "/v1/webhooks/{number}/retry", frozenset({_OPS}), webhooks.retry, Retried, in_path=DeliveryPath),
        Route(
            "GET", "/v1/agents/{id}/events", frozenset({_DIALER, _AGENT}), streams.agent_events,
            AgentCardEvent, in_path=AgentPath, streams=True,
        ),
    ]  # fmt: skip


def _step(name: str, handler: Handler, body: type[BaseModel] | None) -> Route:
    """A step in the work on a request, which only a data protection officer may take."""
    return Route(
        "POST", f"/v1/requests/{{reference}}/{name}", frozenset({_DPO}), handler, Stepped,
        in_path=RequestPath, body=body, refuses=(HTTPStatus.CONFLICT,),
    )  # fmt: skip
