"""One page, answering: who is signed in, with which role; then the form; then, in its turn, the work. What goes wrong is a
page too.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Sequence
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
    UnsoundPolicyError,
)
from ccari.ports.access import Bearer
from ccari.web import problems
from ccari.web.console import rendering
from ccari.web.console.forms import CSRF, check_csrf, filled, from_elsewhere, read_file, read_form
from ccari.web.console.menu import menu
from ccari.web.console.once import ONCE, once
from ccari.web.console.pages import Answer, Moved, Page, Shown, Visit, Wrong
from ccari.web.console.sessions import PATH, Session, Sessions
from ccari.web.console.words import CATALOGUES, LANGUAGES, Words, preferred
from ccari.web.endpoint import BEARER, Counter
from ccari.web.front import Ask
from ccari.web.problems import Refusal
from ccari.web.turns import Turns

LANGUAGE_COOKIE = "ccari_language"
SIGN_IN = f"{PATH}/sign-in"
SIGN_OUT = f"{PATH}/sign-out"
#: What says itself what is wrong, in words that are for whoever asked.
_EXPLAINED = (ConsentError, EvidenceError, InputError, ListError, RecordingError, RequestError, Refusal)
#: What is told on a page of its own, too.
_TROUBLES = (*_EXPLAINED, UnsoundPolicyError)
#: What is told of at the top of the page on which it was filled in.
_TAKEN_BACK = frozenset(
    {
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    }
)


@dataclass(frozen=True, slots=True)
class House:
    """What all pages share."""

    counter: Counter
    sessions: Sessions


class SessionKeeper:
    """Lets a page that goes on by itself go on while the session does, and the token is good that it was begun with."""

    def __init__(self, house: House, session: Session) -> None:
        self._house = house
        self._session = session

    async def still(self, _: web.Request, bearer: Bearer) -> bool:
        if not self._house.sessions.goes_on(self._session):
            return False
        return await self._house.counter.doorkeeper.bears(self._session.token) == bearer


class Window:
    def __init__(self, page: Page, house: House) -> None:
        self._page = page
        self._house = house

    async def answer(self, request: web.Request) -> web.StreamResponse:
        words = words_of(request)
        try:
            return await self._answered(request, words)
        except ConnectionError:
            # whoever asked is gone
            raise
        except Exception as error:  # noqa: BLE001 - told, and logged
            return troubled(words, error)

    async def _answered(self, request: web.Request, words: Words) -> web.StreamResponse:
        page, counter = self._page, self._house.counter
        with counter.room:
            session = await self._session(request)
            if session is None:
                return to_sign_in(request)
            request[BEARER] = session.bearer.name
            if session.bearer.role not in page.roles:
                raise Refusal(HTTPStatus.FORBIDDEN, "that page is not for your role")
            visit = Visit(self._ask(request, session), session, words)
            if not page.lasts:
                # before its turn: a form that never comes holds up nobody
                fault = await self._given(visit)
                async with self._turns():
                    answer = await (self._work(visit) if fault is None else self._again(visit, fault))
                    return await self._finished(visit, answer)
        return await self._finished(visit, await page.handler(visit))

    def _turns(self) -> Turns:
        """Where it waits with its like, and with those of the API."""
        page, counter = self._page, self._house.counter
        if page.takes_list:
            return counter.lists_in
        return counter.files_out if page.long else counter.turns

    async def _session(self, request: web.Request) -> Session | None:
        """That of the cookie, while the token is still good that it was begun with."""
        sessions = self._house.sessions
        session = sessions.of(request)
        if (
            session is not None
            and await self._house.counter.doorkeeper.bears(session.token) != session.bearer
        ):
            sessions.end(session)
            return None
        return session

    def _ask(self, request: web.Request, session: Session) -> Ask:
        page, front = self._page, self._house.counter.front
        try:
            path = page.in_path.model_validate(dict(request.match_info)) if page.in_path else None
        except ValidationError:
            raise problems.not_there() from None
        keeper = SessionKeeper(self._house, session)
        return Ask(front, keeper, request, session.bearer, path, None, None)

    async def _given(self, visit: Visit) -> Refusal | None:
        """Take what is asked, and what was filled in; gives what is wrong with it, if its page is to be shown again."""
        request = visit.ask.request
        try:
            visit.ask = visit.asking(path=visit.ask.path, query=_query(self._page.query, request))
            if request.method == hdrs.METH_POST:
                await self._take_form(visit)
        except _EXPLAINED as error:
            return self._to_mend(error)
        return None

    async def _work(self, visit: Visit) -> Answer:
        try:
            if self._page.once:
                return await once(visit, self._page.handler)
            return await self._page.handler(visit)
        except _EXPLAINED as error:
            return await self._again(visit, self._to_mend(error))

    def _to_mend(self, error: Exception) -> Refusal:
        """What is told where it was filled in. Raises the error if nothing that is filled in there mends it."""
        refusal = error if isinstance(error, Refusal) else problems.of_error(error)
        if self._page.again is None or refusal.status not in _TAKEN_BACK:
            raise error
        return refusal

    async def _again(self, visit: Visit, refusal: Refusal) -> Answer:
        page = self._page
        visit.faults = tuple(_told(visit.words, refusal, "f-" if page.method == hdrs.METH_GET else page.ids))
        visit.ask = visit.asking(path=visit.ask.path)
        shown = await page.again(visit) if page.again is not None else None
        if not isinstance(shown, Shown):
            raise refusal
        return Shown(shown.template, shown.told, HTTPStatus(refusal.status))

    async def _take_form(self, visit: Visit) -> None:
        page, request = self._page, visit.ask.request
        from_elsewhere(request)
        if page.takes_list:
            return
        with self._house.counter.awaiting(request, visit.ask.bearer):
            if page.file_bytes:
                visit.form, visit.file = await read_file(request, visit.session, page.file_bytes)
            else:
                form = await read_form(request)
                check_csrf(form.get(CSRF, ""), visit.session)
                visit.form = {name: value for name, value in form.items() if name != CSRF}
        if page.looks_up is not None:
            self._house.counter.rates.take(page.looks_up, visit.ask.bearer.name)
        if page.form is not None:
            visit.ask = visit.asking(path=visit.ask.path, body=filled(page.form, visit.form))

    async def _finished(self, visit: Visit, answer: Answer) -> web.StreamResponse:
        session = visit.session
        match answer:
            case Moved():
                session.told = (answer.said,) if answer.said else ()
                return moved(answer.to)
            case Shown():
                return shown(await rendered(visit, answer), answer.status)
            case _:
                return answer


async def rendered(visit: Visit, page: Shown) -> str:
    """The page within the frame that all have."""
    session = visit.session
    said, session.told = session.told, ()
    policy = await visit.ask.policy()
    told = {
        "bearer": session.bearer, "csrf": session.csrf, ONCE: secrets.token_urlsafe(16), "menu": menu(visit.role), "here": visit.ask.request.path,
        "said": said, "faults": visit.faults, "form": defaultdict(str, visit.form), "wrong": _marking(visit.faults), "policy": policy, **page.told,
    }  # fmt: skip
    return rendering.page(page.template, visit.words, policy, told)


def shown(text: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(
        text=text, status=status, content_type="text/html", charset="utf-8", headers=rendering.HEADERS
    )


def moved(to: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"location": to, **rendering.HEADERS})


def to_sign_in(request: web.Request) -> web.Response:
    """Where the browser is to go. A page is come back to; what was sent is lost, and the form says so."""
    if request.method != hdrs.METH_GET:
        return moved(SIGN_IN if request.path == SIGN_OUT else f"{SIGN_IN}?lost=true")
    return moved(f"{SIGN_IN}?back={quote(request.path)}" if request.path != PATH else SIGN_IN)


def troubled(words: Words, error: Exception) -> web.Response:
    """A page that says what is wrong, without anything that was sent."""
    match error:
        case Refusal():
            refusal = error
        case web.HTTPException():
            refusal = problems.of_server(error)
        case _:
            refusal = problems.of_error(error)
    status = HTTPStatus(refusal.status)
    known = isinstance(error, _TROUBLES)
    detail = "; ".join(each.text for each in _told(words, refusal)) if known else ""
    told = {
        "status": status,
        "detail": detail,
        "bearer": None,
        "said": (),
        "faults": (),
        "menu": (),
        "here": "",
    }
    response = shown(rendering.page("trouble.html.j2", words, None, told), status)
    for name in ("retry-after", "allow"):
        if name in refusal.headers:
            response.headers[name] = refusal.headers[name]
    return response


def words_of(request: web.Request) -> Words:
    """In the language that was chosen, else the one that the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen not in LANGUAGES:
        chosen = preferred(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    return CATALOGUES[chosen]


def _query(model: type[BaseModel] | None, request: web.Request) -> BaseModel | None:
    """What the URL asks for; fields that were left empty are not asked for."""
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
    """For the field of that id: that it is wrong, and where it is said; ``help``: the id of what always describes it."""
    marked = {each.field for each in faults if each.field}

    def wrong(field: str, help: str = "") -> Markup:  # noqa: A002 - as HTML's own words have it
        described = " ".join(filter(None, (f"fault-{field}" if field in marked else "", help)))
        return Markup("").join(
            [
                Markup(' aria-invalid="true"') if field in marked else "",
                Markup(' aria-describedby="{}"').format(described) if described else "",
            ]
        )

    return wrong


def _told(words: Words, refusal: Refusal, ids: str = "") -> list[Wrong]:
    """What is wrong, field by field."""
    faults = refusal.problem.errors
    if not faults:
        return [Wrong(words.said_of(refusal.problem.detail))]
    told = []
    for each in faults:
        field = (each.parameter or (each.pointer or "").removeprefix("#/")).partition("/")[0]
        label = words.term("field", field) if field else ""
        detail = words.said_of(each.detail)
        told.append(Wrong(f"{label}: {detail}" if label else detail, ids + field if field else ""))
    return told
