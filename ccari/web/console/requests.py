"""Pages on which a data protection officer works requests: the list, one request with its evidence, the steps, the letters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Annotated, Literal, get_args

from aiohttp import web
from pydantic import Field

from ccari.office import dossiers
from ccari.office.subjects import language_of
from ccari.policy import deadlines, rights, speech
from ccari.policy.bases import LegalBasis
from ccari.policy.chain import GATED
from ccari.policy.declaration import Policy
from ccari.policy.recording import RecordingMode, stops_recording
from ccari.policy.rights import Level, RequestState, Right, StepFault
from ccari.ports.requests import SOON_DAYS, EnteredBy
from ccari.ports.subjects import ANSWER_LANGUAGES, AnswerLanguage
from ccari.web import calls
from ccari.web import evidence as proofs
from ccari.web import requests as api
from ccari.web.console import letters
from ccari.web.console.pages import Answer, Handler, Moved, Shown, Visit, kept_query, of_a_page
from ccari.web.console.rendering import HEADERS
from ccari.web.console.sessions import PATH
from ccari.web.models.base import Given
from ccari.web.models.calls import CallPath, CallShown, JournalEntry
from ccari.web.models.requests import (
    ReasonBody,
    RequestPath,
    RequestsFound,
    RequestShown,
    RequestsQuery,
)
from ccari.web.problems import not_there

#: Events of a call's journal that prove how the right was exercised.
_PROVING = frozenset(
    {"notice_heard", "key_pressed", "agent_code_entered", "right_registered", "right_spooled"}
)
#: The field that says how many entries the history on the page had.
SEEN = "seen"
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


class LetterPath(RequestPath):
    outcome: letters.Outcome


class LetterQuery(Given):
    language: AnswerLanguage | None = None
    form: Annotated[
        Literal["page", "text"], Field(description="A page to print, or the text for a letter.")
    ] = "page"


@dataclass(frozen=True, slots=True)
class Step:
    """A step that a request can take. ``fault``: why it cannot take it now; None if it can."""

    name: str
    fault: StepFault | None


async def register(visit: Visit) -> Answer:
    """The list of requests, in the order of due dates."""
    query = of_a_page(visit.ask.query or RequestsQuery())
    page = (await api.list_requests(visit.asking(query=query))).content
    fields = {
        "page": page, "query": query, "keep": kept_query(visit), "soon": SOON_DAYS, "states": list(RequestState), "rights": list(Right),
        "reference_given": speech.GIVEN,
    }  # fmt: skip
    return Shown("requests.html.j2", fields)


async def find_form(_: Visit) -> Answer:
    """The form to find the requests of a number."""
    return _requests_found(None)


async def find(visit: Visit) -> Answer:
    """What a number has asked for, which is not shown again. Who looked, and what for, is on record."""
    return _requests_found((await api.find(visit.ask)).content)


async def blank(visit: Visit) -> Answer:
    """The form for a right that was exercised by letter, by e-mail or by word of mouth."""
    policy = await visit.ask.policy_in_force()
    fields = {
        "rights": list(Right), "controllers": policy.controllers, "campaigns": policy.campaigns,
        "ways": get_args(EnteredBy),
    }  # fmt: skip
    return Shown("request_new.html.j2", fields)


async def enter(visit: Visit) -> Answer:
    """Register the request, with its immediate effect."""
    reference = (await api.add(visit.ask)).content.reference
    said = visit.words("requests.entered", reference=reference)
    return Moved(f"{PATH}/requests/{reference}", said, entered=reference)


async def one(visit: Visit) -> Answer:
    """One request, with the proof that the right was exercised, its history, and the steps that it can take."""
    return await _one(visit, await api.shown(visit.ask))


async def number(visit: Visit) -> Answer:
    """The same with the whole number. The access is put on record with its reason."""
    body: ReasonBody = visit.ask.body
    return await _one(visit, await api.shown(visit.ask, whole=True, why=body.reason), whole=True)


def step(take: api.Step) -> Handler:
    """The handler of a form that takes one of the API's steps, and then shows the changed request."""

    async def taken(visit: Visit) -> Answer:
        seen = visit.form.get(SEEN, "")
        done = (await take(visit.ask, seen=int(seen) if _COUNT.fullmatch(seen) else 0)).content
        state = visit.words.term("state", done.state)
        said = visit.words("requests.stepped", reference=done.reference, state=state)
        return Moved(f"{PATH}/requests/{done.reference}", said)

    return taken


async def letter(visit: Visit) -> Answer:
    """A draft of a letter to the person, to print or to copy."""
    path: LetterPath = visit.ask.path
    query: LetterQuery = visit.ask.query
    request = await api.shown(visit.ask)
    policy = await visit.ask.policy_in_force()
    controller = policy.controller(request.controller)
    if controller is None or path.outcome not in _letters(request, _steps(request, policy)):
        raise not_there()
    written = letters.write(
        path.outcome,
        request,
        controller,
        query.language or language_of(request, policy),
        datetime.now(UTC),
    )
    if query.form == "page":
        fields = {
            "letter": written,
            "request": request,
            "outcome": path.outcome,
            "answered_in": ANSWER_LANGUAGES,
        }
        return Shown("letter.html.j2", fields)
    name = f"{request.reference}-{path.outcome}-{written.language}.txt"
    return web.Response(
        text=written.text, content_type="text/plain", charset="utf-8",
        headers={**HEADERS, "content-disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip


async def evidence(visit: Visit) -> Answer:
    """The sealed account of the request, for somebody without access to ccari."""
    return await proofs.of_request(visit.ask)


def _requests_found(found: RequestsFound | None) -> Shown:
    return Shown("requests_of_number.html.j2", {"found": found, "soon": SOON_DAYS})


async def _one(visit: Visit, request: RequestShown, *, whole: bool = False) -> Shown:
    policy = await visit.ask.policy()
    call = await _call(visit, request)
    days_left, steps = _days_left(request, policy), _steps(request, policy)
    # a controller that the policy no longer declares has no name or address for the letterhead
    has_sender = policy is not None and policy.controller(request.controller) is not None
    fields = {
        "request": request, "call": call, "telling": _proof(call), "steps": steps,
        # the dialplan's keys menu asks no gate, and plays no notice
        "at_menu": call and not call.heard_at and GATED.isdisjoint(each.event for each in call.events),
        "refused_late": dossiers.clock(policy).today(request.controller) > request.first_due,
        "days_left": days_left, "soon": SOON_DAYS, "letters": _letters(request, steps) if has_sender else (),
        "levels": list(Level), "number_whole": whole, "is_open": request.state.is_open, "seen": SEEN,
        # if others record the call, how they do so is not known here
        "may_stop": any(stops_recording(request.right, *each) for each in product(LegalBasis, RecordingMode)),
    }  # fmt: skip
    return Shown("request.html.j2", fields)


async def _call(visit: Visit, request: RequestShown) -> CallShown | None:
    """The call in which the right was exercised; None if it was not exercised in a call."""
    if request.call_id is None:
        return None
    return (await calls.show_call(visit.asking(path=CallPath(id=request.call_id)))).content


def _proof(call: CallShown | None) -> list[JournalEntry]:
    return [each for each in call.events if each.event in _PROVING] if call else []


def _steps(request: RequestShown, policy: Policy | None) -> list[Step]:
    """The steps, by what the law and the request's state allow now. The database checks again when a step is taken."""
    controller = policy.controller(request.controller) if policy else None
    # for a controller that the policy no longer declares the calendar is unknown: an attempt to extend says so
    in_time = controller is None or deadlines.may_extend(
        request.received_at, controller.country, datetime.now(UTC)
    )

    def fault(to: RequestState) -> StepFault | None:
        return rights.step_fault(
            request.right, request.article, request.state, to, level=Level[request.level], reason="given",
            extended=request.extended_at is not None, in_first_month=in_time, erasing=request.erasing,
        )  # fmt: skip

    return [
        Step("verify", rights.verification_fault(request.state, "given")),
        Step("start", fault(RequestState.IN_PROGRESS)),
        Step("extend", fault(RequestState.EXTENDED)),
        Step("resolve", fault(RequestState.FULFILLED)),
        Step("refuse", fault(RequestState.REFUSED)),
        Step("withdraw", fault(RequestState.WITHDRAWN)),
    ]


def _letters(request: RequestShown, steps: Sequence[Step]) -> tuple[letters.Outcome, ...]:
    return letters.offered(request, {each.name for each in steps if each.fault is None})


def _days_left(request: RequestShown, policy: Policy | None) -> int | None:
    if not request.state.is_open:
        return None
    return (request.due - dossiers.clock(policy).today(request.controller)).days
