"""One page, answering: who is signed in, with which role; then the form; then the work. What goes wrong is a page too."""

import asyncio
import contextlib
import hmac
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import BodyPartReader, ClientError, hdrs, web
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
from ccari.ports.access import Bearer, Role
from ccari.web import problems
from ccari.web.console import rendering
from ccari.web.console.menu import menu
from ccari.web.console.pages import Answer, Moved, Page, Shown, Visit, Wrong
from ccari.web.console.sessions import PATH, Session, Sessions
from ccari.web.console.words import CATALOGUES, LANGUAGES, Words, preferred
from ccari.web.endpoint import BEARER, BODY_SECONDS, Counter
from ccari.web.front import Ask
from ccari.web.problems import Refusal

LANGUAGE_COOKIE = "ccari_language"
CSRF = "csrf"
TOO_OLD = "that form is too old, or not ours: load the page anew and send it again"
SIGN_IN = f"{PATH}/sign-in"
#: Of a form with a file: a field, and how many there are.
_FIELD_BYTES, _MOST_FIELDS = 8 * 1024, 20
#: What says itself what is wrong, in words that are for whoever asked.
_EXPLAINED = (ConsentError, EvidenceError, InputError, ListError, RecordingError, RequestError, Refusal)
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
                async with counter.lists_in if page.reads else counter.turns:
                    return await self._finished(visit, await self._work(visit))
        return await self._finished(visit, await page.handler(visit))

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

    async def _work(self, visit: Visit) -> Answer:
        page = self._page
        try:
            visit.ask = visit.asking(path=visit.ask.path, query=_query(page.query, visit.ask.request))
            if visit.ask.request.method == hdrs.METH_POST:
                await self._take_form(visit)
            return await page.handler(visit)
        except _EXPLAINED as error:
            refusal = error if isinstance(error, Refusal) else problems.of_error(error)
            if page.again is None or refusal.status not in _TAKEN_BACK:
                raise
            visit.faults = tuple(
                _told(visit.words, refusal, "f-" if page.method == hdrs.METH_GET else page.ids)
            )
            visit.ask = visit.asking(path=visit.ask.path)
            shown = await page.again(visit)
            if not isinstance(shown, Shown):
                raise
            return Shown(shown.template, shown.told, HTTPStatus(refusal.status))

    async def _take_form(self, visit: Visit) -> None:
        page, request = self._page, visit.ask.request
        from_elsewhere(request)
        if page.reads:
            return
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
        "bearer": session.bearer, "csrf": session.csrf, "menu": menu(visit.role), "here": visit.ask.request.path,
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
    """Where the browser is to go. A page is come back to; what was sent is lost."""
    back = request.path if request.method == hdrs.METH_GET and request.path != PATH else ""
    return moved(f"{SIGN_IN}?back={back}" if back else SIGN_IN)


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
    known = isinstance(error, _EXPLAINED) and not isinstance(error, StoreError)
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


def from_elsewhere(request: web.Request) -> None:
    """Refusal (403) for a form that another site has sent, as browsers say of each. The form's secret is the other lock."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Refusal(HTTPStatus.FORBIDDEN, "that form came from another site")


def check_csrf(given: str, session: Session) -> None:
    if not hmac.compare_digest(given.encode(errors="replace"), session.csrf.encode()):
        raise Refusal(HTTPStatus.FORBIDDEN, TOO_OLD)


async def read_form(request: web.Request) -> Mapping[str, str]:
    """The fields of a small form, each once. Raises Refusal (400, 408, 413, 415)."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "that is no form")
    async with arriving():
        form = await request.post()
    return {name: str(value).replace("\r\n", "\n") for name, value in form.items()}


@contextlib.asynccontextmanager
async def arriving() -> AsyncIterator[None]:
    """For what is read of a form meanwhile: who sends it a byte at a time holds no place for longer. Refusal (400, 408)."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            yield
    except TimeoutError:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the form did not arrive in time") from None
    except (ClientError, web.RequestPayloadError, ValueError):
        raise Refusal(HTTPStatus.BAD_REQUEST, "the form did not arrive whole") from None


async def read_parts(
    request: web.Request, session: Session
) -> tuple[Mapping[str, str], BodyPartReader | None]:
    """The fields of a form with a file, up to the file, whose reader is the other. Raises Refusal (400, 403, 408, 413)."""
    if request.content_type != "multipart/form-data":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "that is no form with a file")
    form: dict[str, str] = {}
    async with arriving():
        parts = await request.multipart()
        while (part := await parts.next()) is not None:
            if not isinstance(part, BodyPartReader) or len(form) >= _MOST_FIELDS:
                raise Refusal(HTTPStatus.BAD_REQUEST, "that is no form of ours")
            if part.filename is not None:
                check_csrf(form.pop(CSRF, ""), session)
                return form, part
            form[part.name or ""] = (await read_part(part, _FIELD_BYTES)).decode(errors="replace")
    check_csrf(form.pop(CSRF, ""), session)
    return form, None


async def read_part(part: BodyPartReader, most_bytes: int) -> bytes:
    """All of a part. Refusal (413) if it is longer."""
    read = bytearray()
    while piece := await part.read_chunk():
        read += piece
        if len(read) > most_bytes:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"that has at most {most_bytes} bytes here")
    return bytes(read)


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


def filled(model: type[BaseModel], form: Mapping[str, str]) -> BaseModel:
    """The form by its model, as the API takes it; fields that were left empty are not there."""
    given = {name: value for name, value in form.items() if value.strip() and name in model.model_fields}
    try:
        return model.model_validate_json(orjson.dumps(given))
    except ValidationError as error:
        raise problems.of_validation(model, error) from None


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


def roles_of(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)
