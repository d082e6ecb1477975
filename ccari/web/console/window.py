"""Answers a request for one page: checks the session and role, reads the form, waits for a turn, does the work. Errors are shown on a
page too.
"""

import contextlib
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from aiohttp import hdrs, web
from markupsafe import Markup
from pydantic import BaseModel, ValidationError

from ccari.errors import (
    ConsentError,
    EvidenceError,
    InputError,
    ListError,
    RecordingError,
    RequestError,
    StoreError,
)
from ccari.ports.access import Bearer
from ccari.web import problems
from ccari.web.console import rendering
from ccari.web.console.forms import (
    CSRF,
    EARLIER,
    check_csrf,
    filled,
    from_elsewhere,
    read_file,
    read_form,
    written_in,
)
from ccari.web.console.menu import menu
from ccari.web.console.once import ONCE, once
from ccari.web.console.pages import Answer, Moved, Page, Shown, Visit, Wrong
from ccari.web.console.sessions import PATH, Session, Sessions, cookie_of
from ccari.web.console.words import CATALOGUES, LANGUAGES, Words, preferred
from ccari.web.endpoint import BEARER, Shared
from ccari.web.front import Ask, Front
from ccari.web.problems import Refusal

LANGUAGE_COOKIE = "ccari_language"
SIGN_IN = f"{PATH}/sign-in"
SIGN_OUT = f"{PATH}/sign-out"
#: Errors whose words address the person who made the request.
_EXPLAINED = (ConsentError, EvidenceError, InputError, ListError, RecordingError, RequestError, Refusal)
#: Errors that are shown at the top of the form's own page, so that the form can be corrected.
_CORRECTABLE = frozenset(
    {
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    }
)
#: Whether the work on a request has begun: from then on, an unexpected error leaves open what came of it.
_BEGUN = web.RequestKey("begun", bool)
#: The small form that came with a request, {} until it has arrived, and if it was too long or too slow. Absent: it has not been waited for.
SENT = web.RequestKey("sent", Mapping[str, str])
#: The frame's fields for a person who is not signed in.
SIGNED_OUT: Mapping[str, Any] = {"bearer": None, "said": (), "faults": (), "menu": (), "here": ""}


@dataclass(frozen=True, slots=True)
class House:
    """What all pages share."""

    shared: Shared
    sessions: Sessions


class SessionKeeper:
    """Keeps a page that updates itself going while its session lasts and the session's token is good."""

    def __init__(self, house: House, session: Session) -> None:
        self._house = house
        self._session = session

    async def still(self, _: web.Request, bearer: Bearer) -> bool:
        if not self._house.sessions.goes_on(self._session):
            return False
        return await self._house.shared.doorkeeper.bearer_of(self._session.token) == bearer


class Window:
    """Answers the requests for one page."""

    def __init__(self, page: Page, house: House) -> None:
        self._page = page
        self._house = house

    async def answer(self, request: web.Request) -> web.StreamResponse:
        words, session = words_of(request), self._house.sessions.of(request)
        try:
            return await self._answered(request, words, session)
        except ConnectionError:
            # the client has gone
            raise
        except Exception as error:  # noqa: BLE001 - shown, and logged
            if session is not None and SENT not in request and request.method == hdrs.METH_POST:
                await self._receive(request, session)
            return trouble_page(request, words, error, session)

    async def _answered(
        self, request: web.Request, words: Words, session: Session | None
    ) -> web.StreamResponse:
        page, shared = self._page, self._house.shared
        with shared.room.of(session.token if session else b""):
            # whoever leaves can do so while the database is away
            if session is None or not (page.path == SIGN_OUT or await self._goes_on(session)):
                return to_sign_in(request)
            request[BEARER] = session.bearer.name
            if session.bearer.role not in page.roles:
                raise Refusal(HTTPStatus.FORBIDDEN, "this page is not for your role")
            visit = Visit(self._ask(request, session), session, words)
            if not page.lasts:
                # before waiting for a turn: a form that never arrives must not hold up anybody
                fault = await self._read_form(visit)
                async with self._turns(session.bearer):
                    answer = await (self._work(visit) if fault is None else self._again(visit, fault))
                    return await self._finished(visit, answer)
        return await self._finished(visit, await page.handler(visit))

    def _turns(self, bearer: Bearer) -> AbstractAsyncContextManager[None]:
        """The turns that the request waits for, shared with the API. See :meth:`Shared.turns_of`."""
        page, shared = self._page, self._house.shared
        if page.takes_list:
            return shared.lists_in.of(bearer.name)
        return shared.files_out.of(bearer.name) if page.long else shared.turns

    async def _goes_on(self, session: Session) -> bool:
        """Whether the session's token is still good. If it was revoked, the session ends here."""
        is_good = await self._house.shared.doorkeeper.bearer_of(session.token) == session.bearer
        if not is_good:
            self._house.sessions.end(session)
        return is_good

    def _ask(self, request: web.Request, session: Session) -> Ask[Front]:
        page, front = self._page, self._house.shared.front
        try:
            path = page.in_path.model_validate(dict(request.match_info)) if page.in_path else None
        except ValidationError:
            raise problems.not_there() from None
        keeper = SessionKeeper(self._house, session)
        return Ask(front, keeper, request, session.bearer, path, None, None)

    async def _read_form(self, visit: Visit) -> Refusal | None:
        """Read the query and the form into ``visit``. Returns their faults, if the form's page is to be shown again."""
        request = visit.ask.request
        try:
            visit.ask = visit.asking(path=visit.ask.path, query=_query(self._page.query, request))
            if request.method == hdrs.METH_POST:
                await self._take_form(visit)
        except _EXPLAINED as error:
            return self._correctable(error)
        return None

    async def _work(self, visit: Visit) -> Answer:
        visit.ask.request[_BEGUN] = True
        try:
            if self._page.once:
                return await once(visit, self._page.handler)
            return await self._page.handler(visit)
        except _EXPLAINED as error:
            return await self._again(visit, self._correctable(error))

    def _correctable(self, error: Exception) -> Refusal:
        """The refusal to show on the form's own page. Re-raises the error if the form cannot be corrected."""
        refusal = error if isinstance(error, Refusal) else problems.of_error(error)
        # only for a form that changes something: in a look-up form nobody loses what they wrote
        is_earlier = refusal.problem.detail == EARLIER and self._page.once
        if self._page.again is None or not (is_earlier or refusal.status in _CORRECTABLE):
            raise error
        return refusal

    async def _again(self, visit: Visit, refusal: Refusal) -> Answer:
        """The form's page again, with its faults."""
        page = self._page
        visit.faults = tuple(
            _faults(visit.words, refusal, "f-" if page.method == hdrs.METH_GET else page.ids)
        )
        visit.ask = visit.asking(path=visit.ask.path)
        shown = await page.again(visit) if page.again is not None else None
        if not isinstance(shown, Shown):
            raise refusal
        return Shown(shown.template, shown.fields, HTTPStatus(refusal.status))

    async def _take_form(self, visit: Visit) -> None:
        page, request = self._page, visit.ask.request
        from_elsewhere(request)
        if page.takes_list:
            return
        request[SENT] = {}
        with self._house.shared.receiving(request, visit.ask.bearer):
            if page.file_bytes:
                visit.form, visit.file = await read_file(request, visit.session, page.file_bytes)
            else:
                form = request[SENT] = await read_form(request)
                # before the refusal, so that the page that shows it also has what was written in the form
                visit.form = {name: value for name, value in form.items() if name != CSRF}
                check_csrf(form.get(CSRF, ""), visit.session)
        if page.looks_up is not None:
            self._house.shared.rates.take(page.looks_up, visit.ask.bearer.name)
        if page.form is not None:
            visit.ask = visit.asking(path=visit.ask.path, body=filled(page.form, visit.form))

    async def _receive(self, request: web.Request, session: Session) -> None:
        """Read the form for the error page. No browser shows again what was written: our pages are kept nowhere."""
        with contextlib.suppress(ConnectionError, Refusal, web.HTTPException):
            from_elsewhere(request)
            with self._house.shared.receiving(request, session.bearer):
                request[SENT] = await read_form(request)

    async def _finished(self, visit: Visit, answer: Answer) -> web.StreamResponse:
        session = visit.session
        match answer:
            case Moved():
                session.tell(answer.to, answer.said)
                return redirect(answer.to)
            case Shown():
                return page_response(await render_page(visit, answer), answer.status)
            case _:
                return answer


async def render_page(visit: Visit, page: Shown) -> str:
    """A page within the frame that all pages share."""
    session = visit.session
    said = session.told(visit.ask.request.path)
    policy = await visit.ask.policy()
    fields = {
        **_frame(session, visit.ask.request), ONCE: secrets.token_urlsafe(16), "said": said, "faults": visit.faults, "form": defaultdict(str, visit.form), "wrong": _marking(visit.faults), "policy":
        policy, **page.fields,
    }  # fmt: skip
    return rendering.page(page.template, visit.words, policy, fields)


def page_response(text: str, status: HTTPStatus) -> web.Response:
    return web.Response(
        text=text, status=status, content_type="text/html", charset="utf-8", headers=rendering.HEADERS
    )


def redirect(to: str, status: HTTPStatus = HTTPStatus.SEE_OTHER) -> web.Response:
    return web.Response(status=status, headers={"location": to, **rendering.HEADERS})


def to_sign_in(request: web.Request) -> web.Response:
    """A redirect to sign in. Afterwards the browser returns to the page, with its filters. The form is not carried out, and the page says so. A small form
    is sent along, and so the words written in it: see :class:`signing_in.Entrance`.
    """
    filters = (
        f"?{query}" if (query := request.rel_url.raw_query_string) and request.method == hdrs.METH_GET else ""
    )
    back = f"back={quote(request.path + filters)}"
    if request.method == hdrs.METH_GET:
        return redirect(f"{SIGN_IN}?{back}" if request.path != PATH else SIGN_IN)
    if request.path == SIGN_OUT:
        return redirect(SIGN_IN)
    # a file may be the key to recordings, or a list of numbers: it is not sent again
    small = request.content_type == "application/x-www-form-urlencoded"
    again = HTTPStatus.TEMPORARY_REDIRECT if small else HTTPStatus.SEE_OTHER
    return redirect(f"{SIGN_IN}?lost=true&{back}", again)


def trouble_page(
    request: web.Request, words: Words, error: Exception, session: Session | None = None
) -> web.Response:
    """A page that says what is wrong, and what may be done about it. Of what was sent, it shows only the words written in it."""
    match error:
        case Refusal():
            refusal = error
        case web.HTTPException():
            refusal = problems.of_server(error)
        case _:
            refusal = problems.of_error(error)
    status = HTTPStatus(refusal.status)
    # the database may have carried it out before its answer was lost
    lost = status == HTTPStatus.INTERNAL_SERVER_ERROR or (
        status == HTTPStatus.SERVICE_UNAVAILABLE and isinstance(error, StoreError)
    )
    fields = {
        **_frame(session, request), "status": status, "detail": "; ".join(fault.text for fault in _faults(words, refusal)),
        "sent": request.method == hdrs.METH_POST, "unsure": lost and request.get(_BEGUN, False),
        "written": written_in(request.get(SENT, {})),
    }  # fmt: skip
    response = page_response(rendering.page("trouble.html.j2", words, None, fields), status)
    for name in ("retry-after", "allow"):
        if name in refusal.headers:
            response.headers[name] = refusal.headers[name]
    return response


def _frame(session: Session | None, request: web.Request) -> Mapping[str, Any]:
    """The frame's fields, without messages: those are for another page."""
    if session is None:
        return SIGNED_OUT
    return {
        **SIGNED_OUT, "bearer": session.bearer, "csrf": session.csrf, "menu": menu(session.bearer.role), "here": request.path,
    }  # fmt: skip


def words_of(request: web.Request) -> Words:
    """The catalogue in the chosen language, else in the browser's preferred one."""
    chosen = cookie_of(request, LANGUAGE_COOKIE)
    if chosen not in LANGUAGES:
        chosen = preferred(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    return CATALOGUES[chosen]


def _query(model: type[BaseModel] | None, request: web.Request) -> BaseModel | None:
    """The validated query of the URL, without fields that were left empty."""
    if model is None:
        return None
    given: dict[str, Any] = {}
    for name in dict.fromkeys(request.query):
        values = [each for each in request.query.getall(name) if each]
        field = model.model_fields.get(name)
        if values:
            given[name] = values if field is not None and field.default == () else values[0]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise problems.of_validation(model, error, in_query=True) from None


def _marking(faults: Sequence[Wrong]) -> Callable[..., Markup]:
    """A template function: the ARIA attributes of a field, by its id. They mark a wrong field, and point to its description; ``help``:
    the id of a text that always describes it.
    """
    marked = {fault.field for fault in faults if fault.field}

    def wrong(field: str, help: str = "") -> Markup:  # noqa: A002 - the templates' word
        described = " ".join(filter(None, (f"fault-{field}" if field in marked else "", help)))
        return Markup("").join(
            [
                Markup(' aria-invalid="true"') if field in marked else "",
                Markup(' aria-describedby="{}"').format(described) if described else "",
            ]
        )

    return wrong


def _faults(words: Words, refusal: Refusal, ids: str = "") -> list[Wrong]:
    """The faults of a refusal, field by field. ``ids``: the prefix of the fields' ids."""
    if not refusal.problem.errors:
        return [Wrong(words.said_of(refusal.problem.detail))]
    faults = []
    for error in refusal.problem.errors:
        field = (error.parameter or (error.pointer or "").removeprefix("#/")).partition("/")[0]
        label = words.term("field", field) if field else ""
        detail = words.said_of(error.detail)
        faults.append(Wrong(f"{label}: {detail}" if label else detail, ids + field if field else ""))
    return faults
