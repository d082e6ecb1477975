"""Signing in and out, and choosing the language of the console."""

import hmac
import re
import secrets
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from aiohttp import hdrs, web

from ccari.ports.access import fingerprint
from ccari.web.access import network_of
from ccari.web.console import rendering
from ccari.web.console.forms import CSRF, from_elsewhere, read_form, written_in
from ccari.web.console.menu import menu
from ccari.web.console.pages import Answer, Moved, Visit, Wrong
from ccari.web.console.sessions import COOKIE, PATH, cookie_of
from ccari.web.console.window import (
    LANGUAGE_COOKIE,
    SENT,
    SIGN_IN,
    SIGNED_OUT,
    House,
    page_response,
    redirect,
    trouble_page,
    words_of,
)
from ccari.web.console.words import LANGUAGES, Words
from ccari.web.endpoint import BEARER
from ccari.web.problems import Refusal, not_there
from ccari.web.turns import Shares

#: Concurrent sign-ins: in all, and from one address or IPv6 network, which may be a floor of agents behind a NAT. They have their own limit,
#: so that they take no slot from people who are signed in. Whoever sends forms that never end must not keep others from signing in.
MOST_SIGN_INS, MOST_SIGN_INS_OF_ONE = 60, 20
#: The cookie with the CSRF secret of the sign-in form, before there is a session; the form must have the same. It belongs to the browser,
#: so that every tab can sign in, however long it has been open.
_FORM_COOKIE = "ccari_sign_in"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_YEAR_SECONDS = 365 * 24 * 3600
#: The path and query of a page of ours: people are never redirected anywhere else.
_FILTERS = re.compile(r"[A-Za-z0-9_.~%=&+:-]{1,500}")
_OURS = re.compile(r"/console(/[A-Za-z0-9_.-]+)*/?")


class Entrance:
    """Signing in and out.

    A form sent after its session has ended comes here too (``?lost``). It is not carried out; the words written in it are kept in the
    sign-in form, and shown once to the person who signs in there.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._room = Shares(MOST_SIGN_INS, MOST_SIGN_INS_OF_ONE)

    async def form(self, request: web.Request) -> web.Response:
        """The form to sign in with."""
        words = words_of(request)
        fault = words("sign_in.lost") if "lost" in request.query else ""
        return _form(request, words, _ours(request.query.get("back", "")), fault, field="")

    async def sign_in(self, request: web.Request) -> web.Response:
        """Exchange a token for a session. Wrong tokens are counted together with those shown to the API."""
        words = words_of(request)
        try:
            with self._room.of(network_of(request.remote)):
                return await self._signed_in(request, words)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - shown, and logged
            return trouble_page(request, words, error)

    async def _signed_in(self, request: web.Request, words: Words) -> web.Response:
        from_elsewhere(request)
        given = request[SENT] = await read_form(request)
        written = written_in(given)
        form = partial(_form, request, words, written=written)
        if "lost" in request.query:
            said = words("sign_in.lost_kept" if written else "sign_in.lost")
            return form(_ours(request.query.get("back", "")), said, field="")
        kept, back = cookie_of(request, _FORM_COOKIE), _ours(given.get("back", ""))
        if not kept or not hmac.compare_digest(
            given.get(CSRF, "").encode(errors="replace"), kept.encode(errors="replace")
        ):
            return form(back, words("sign_in.again"), HTTPStatus.FORBIDDEN)
        token = given.get("token", "").strip()
        try:
            bearer = await self._house.shared.doorkeeper.recognise(token, request.remote)
        except Refusal as refusal:
            if refusal.status == HTTPStatus.UNAUTHORIZED:
                return form(back, words("sign_in.wrong"), HTTPStatus.UNAUTHORIZED)
            if refusal.status == HTTPStatus.TOO_MANY_REQUESTS:
                seconds = refusal.headers["retry-after"]
                return form(back, words("sign_in.locked", n=seconds), HTTPStatus.TOO_MANY_REQUESTS)
            raise
        request[BEARER] = bearer.name
        pages = menu(bearer.role)
        if not pages:
            return form(back, words("sign_in.no_pages"), HTTPStatus.FORBIDDEN)
        former = self._house.sessions.of(request)
        if former is not None:
            self._house.sessions.end(former)
        shown = [f"{words.term('field', name)}: {text}" for name, text in written.items()]
        messages = (words("sign_in.kept"), *shown) if shown else ()
        cookie = self._house.sessions.begin(bearer, fingerprint(token), messages)
        response = redirect(back or pages[0].path)
        # the next person at that desk, who reopens the browser, must not be signed in
        _set_cookie(request, response, COOKIE, cookie)
        return response

    async def not_found(self, request: web.Request) -> web.Response:
        """404, for a path below the console's that is not a page."""
        return trouble_page(request, words_of(request), not_there(), self._house.sessions.of(request))

    async def sign_out(self, visit: Visit) -> Answer:
        """End the session, here and in the browser."""
        self._house.sessions.end(visit.session)
        response = redirect(SIGN_IN)
        response.del_cookie(COOKIE, path=PATH)
        return response


async def first_page(visit: Visit) -> Answer:
    """Redirect to the first page of the role's menu."""
    return Moved(menu(visit.role)[0].path)


async def language(request: web.Request) -> web.Response:
    """Set the language that was chosen, and redirect to the page on which it was chosen."""
    code = request.match_info["code"]
    came_from = _came_from(request)
    if came_from.path == SIGN_IN:
        back = _ours(parse_qs(came_from.query).get("back", [""])[0])
        response = redirect(f"{SIGN_IN}?back={quote(back)}" if back else SIGN_IN)
    else:
        # keep the filters of a list
        response = redirect(_ours(came_from._replace(scheme="", netloc="", fragment="").geturl()) or PATH)
    if code in LANGUAGES:
        _set_cookie(request, response, LANGUAGE_COOKIE, code, _YEAR_SECONDS)
    return response


def _came_from(request: web.Request) -> SplitResult:
    try:
        return urlsplit(request.headers.get(hdrs.REFERER, ""))
    except ValueError:
        # a client may send anything, even something that is not a URL
        return urlsplit("")


def _form(
    request: web.Request, words: Words, back: str, fault: str = "", status: HTTPStatus = HTTPStatus.OK, *,
    field: str = "token", written: Mapping[str, str] = MappingProxyType({}),
) -> web.Response:  # fmt: skip
    kept = cookie_of(request, _FORM_COOKIE)
    secret = kept if _SECRET.fullmatch(kept) else secrets.token_urlsafe(32)
    faults = (Wrong(fault, field),) if fault else ()
    fields = {**SIGNED_OUT, "csrf": secret, "back": back, "faults": faults, "written": written}
    response = page_response(rendering.page("sign_in.html.j2", words, None, fields), status)
    _set_cookie(request, response, _FORM_COOKIE, secret)
    return response


def _ours(there: str) -> str:
    """The path of a page, with the filters of a list if they are plain; "" if it is not a page of ours."""
    path, _, query = there.partition("?")
    if not _OURS.fullmatch(path) or path.startswith(SIGN_IN):
        return ""
    return there if _FILTERS.fullmatch(query) else path


def _set_cookie(
    request: web.Request, response: web.Response, name: str, value: str, seconds: int | None = None
) -> None:
    """Set a cookie that scripts and other sites cannot read, and that is sent only over TLS if the browser's connection uses TLS. The
    header can be trusted for this: a client that forges it only loses its own cookie on a connection without TLS. Without ``seconds`` the
    cookie ends with the browser.
    """
    over_tls = request.secure or request.headers.get("x-forwarded-proto", "").lower() == "https"
    response.set_cookie(
        name, value, path=PATH, max_age=seconds, httponly=True, samesite="Strict", secure=over_tls
    )
