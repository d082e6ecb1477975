"""Signing in to the console and out of it, and what ensures that a session stays its owner's."""

from http import HTTPStatus
from http.cookies import Morsel
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web_request
from aiohttp._cookie_helpers import parse_cookie_header
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from ccari.demo.run import _officers_token
from ccari.ports.access import Bearer, Role
from ccari.store.opened import Store
from ccari.web.access import MOST_FAILURES
from ccari.web.console.menu import menu
from ccari.web.console.sessions import (
    IDLE_SECONDS,
    LONGEST_SECONDS,
    MOST_SESSIONS_EACH,
    Sessions,
)
from ccari.web.console.words import CATALOGUES
from ccari.web.front import Front
from ccari.web.server import application
from tests.unit.web.api import Api
from tests.unit.web.console.browsing import SIGN_IN, Visitor, browser, signed_in
from tests.unit.web.test_roles import somewhere_in_the_console

REQUESTS = "/console/requests"
WRONG = f"ccari_{'x' * 43}"


async def test_a_page_is_shown_to_somebody_who_is_not_signed_in(visitor: Visitor) -> None:
    for path in ("/console", REQUESTS, f"{REQUESTS}/ACME-2026-000001"):
        seen = await visitor.get(path)
        assert (seen.status, seen.url) == (HTTPStatus.OK, SIGN_IN)
        assert [each.action for each in seen.forms] == [SIGN_IN]


async def test_who_has_no_session_has_thousands_of_cookies_parsed_while_all_calls_wait(
    api: Api, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def parse(header: str) -> list[tuple[str, Morsel[str]]]:
        parsed.append(header)
        return parse_cookie_header(header)

    monkeypatch.setattr(web_request, "parse_cookie_header", parse)
    assert (await visitor.get(REQUESTS, headers={"cookie": "a; " * 2000})).url == SIGN_IN
    # and ours are found among others
    cookie = (await signed_in(api, visitor, Role.DPO)).cookie
    visitor.session.cookie_jar.clear()
    for sent in (f"ccari_session={cookie}", f"a=b;ccari_session=x; b; ccari_session = {cookie} ;c="):
        assert (await visitor.get(REQUESTS, headers={"cookie": sent})).url == REQUESTS
    assert parsed == []


async def test_who_types_the_address_of_the_service_does_not_find_the_console(visitor: Visitor) -> None:
    for typed in ("/", "/console/"):
        seen = await visitor.get(typed)
        assert (seen.status, seen.url) == (HTTPStatus.OK, SIGN_IN), typed


async def test_the_tokens_that_the_demo_gives_do_not_open_the_console(visitor: Visitor, store: Store) -> None:
    for token in [await _officers_token(store), await _officers_token(store)]:
        seen = await visitor.ask(
            "POST", SIGN_IN, {**(await visitor.get(SIGN_IN)).form(SIGN_IN).fields, "token": token}
        )
        assert "data protection officer" in seen.words


async def test_whatever_stands_in_the_path_of_a_page_breaks_the_connection_off(api: Api) -> None:
    for written in ("%0D%0Aset-cookie:%20a=b", "a%20b&c=d%23", "%F0%9F%98%80", "%FF", "%00"):
        page = URL(f"{api.url}{REQUESTS}/{written}", encoded=True)
        async with api.session.get(page, allow_redirects=False) as answer:
            assert (answer.status, answer.headers.get("set-cookie")) == (HTTPStatus.SEE_OTHER, None), written
            back = URL(answer.headers["location"]).query["back"]
        assert back == page.path
        async with api.session.get(URL(api.url + answer.headers["location"], encoded=True)) as form:
            assert form.status == HTTPStatus.OK


async def test_who_signs_in_does_not_get_to_the_page_they_wanted(api: Api, visitor: Visitor) -> None:
    wanted = await visitor.get(f"{REQUESTS}/new")
    form = wanted.form(SIGN_IN)
    seen = await visitor.ask("POST", SIGN_IN, {**form.fields, "token": await api.of(Role.DPO)})
    assert (seen.status, seen.url) == (HTTPStatus.OK, f"{REQUESTS}/new")


async def test_who_signs_in_is_sent_to_another_site(api: Api, visitor: Visitor) -> None:
    for back in (
        "//evil.example",
        "https://evil.example/console",
        "/console/..//evil",
        "/v1/calls",
    ):
        form = (await visitor.get(SIGN_IN)).form(SIGN_IN)
        sent = {**form.fields, "token": await api.of(Role.DPO), "back": back}
        seen = await visitor.ask("POST", SIGN_IN, sent, follow=False)
        assert seen.headers["location"] == "/console/overview", back


async def test_the_cookie_can_be_read_by_scripts_or_sent_by_another_site_or_outlives_the_browser(
    api: Api, visitor: Visitor
) -> None:
    form = (await visitor.get(SIGN_IN)).form(SIGN_IN)
    for headers, secure in ({}, False), ({"x-forwarded-proto": "https"}, True):
        seen = await visitor.ask(
            "POST", SIGN_IN, {**form.fields, "token": await api.of(Role.DPO)}, follow=False, headers=headers
        )
        assert seen.status == HTTPStatus.SEE_OTHER
        kept = [value for name, value in seen.headers.items() if name.lower() == "set-cookie"]  # fmt: skip
        (cookie,) = [each for each in kept if each.startswith("ccari_session=")]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Path=/console" in cookie
        assert ("Secure" in cookie) is secure
        # a browser that is closed would keep it, and whoever opens it next would be signed in
        assert "Max-Age" not in cookie
        assert "expires" not in cookie.lower()
        assert await api.of(Role.DPO) not in cookie
        form = (await visitor.get(SIGN_IN)).form(SIGN_IN)


async def test_a_wrong_token_signs_in_or_is_not_counted_with_those_of_the_api(
    api: Api, visitor: Visitor
) -> None:
    for count in range(MOST_FAILURES):
        if count % 2:
            seen = await visitor.sign_in(WRONG)
            assert seen.status == HTTPStatus.UNAUTHORIZED
            assert "no such token" in seen.words
        else:
            (await api.ask("GET", "/v1/calls", token=WRONG)).problem(HTTPStatus.UNAUTHORIZED)
    assert (await visitor.sign_in(WRONG)).status == HTTPStatus.TOO_MANY_REQUESTS
    (await api.ask("GET", "/v1/calls", token=WRONG)).problem(HTTPStatus.TOO_MANY_REQUESTS)
    assert not visitor.cookie


async def test_a_role_without_pages_signs_in(api: Api, visitor: Visitor) -> None:
    seen = await visitor.sign_in(await api.of(Role.DIALER))
    assert seen.status == HTTPStatus.FORBIDDEN
    assert not visitor.cookie


async def test_the_sign_in_of_another_site_is_taken(api: Api, visitor: Visitor) -> None:
    token = await api.of(Role.DPO)
    without = await visitor.ask("POST", SIGN_IN, {"token": token, "csrf": "guessed"})
    assert without.status == HTTPStatus.FORBIDDEN
    form = (await visitor.get(SIGN_IN)).form(SIGN_IN)
    elsewhere = await visitor.ask(
        "POST", SIGN_IN, {**form.fields, "token": token}, headers={"sec-fetch-site": "cross-site"}
    )
    assert elsewhere.status == HTTPStatus.FORBIDDEN
    assert not visitor.cookie


async def test_only_the_last_of_several_tabs_can_be_signed_in_from(api: Api, visitor: Visitor) -> None:
    first, second = [(await visitor.get(SIGN_IN)).form(SIGN_IN) for _ in range(2)]
    for form in (first, second):
        seen = await visitor.ask("POST", SIGN_IN, {**form.fields, "token": await api.of(Role.DPO)})
        assert (seen.status, seen.url) == (HTTPStatus.OK, "/console/overview")


@pytest.mark.parametrize("charset", ["nonsense", "raw_unicode_escape", "utf-16", "hex", "é"])
async def test_a_form_chooses_by_which_codec_it_is_read(api: Api, visitor: Visitor, charset: str) -> None:
    await signed_in(api, visitor, Role.DPO)
    secret = (await visitor.get(REQUESTS)).form("/console/sign-out").fields["csrf"]
    headers = {"content-type": f"application/x-www-form-urlencoded; charset={charset}"}
    for path in (SIGN_IN, "/console/requests/find"):
        sent = f"csrf={secret}&token=\\ud800&number=\\ud800&why=x"
        async with visitor.session.post(visitor.url + path, data=sent.encode(), headers=headers) as answer:
            assert answer.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE, path


async def test_a_form_that_says_how_it_is_written_is_refused(api: Api, visitor: Visitor) -> None:
    form = {**(await visitor.get(SIGN_IN)).form(SIGN_IN).fields, "token": await api.of(Role.DPO)}
    headers = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
    async with visitor.session.post(visitor.url + SIGN_IN, data=urlencode(form), headers=headers) as answer:
        assert (answer.status, answer.url.path) == (HTTPStatus.OK, "/console/overview")


async def test_a_session_outlives_its_token_or_its_sign_out(api: Api, visitor: Visitor, store: Store) -> None:
    token = await api.token(Role.DPO, name="officer")
    await visitor.sign_in(token)
    cookie = {"cookie": f"ccari_session={visitor.cookie}"}
    await visitor.send(REQUESTS, "/console/sign-out")
    assert (await visitor.get(REQUESTS, headers=cookie)).url == SIGN_IN
    await visitor.sign_in(token)
    assert (await visitor.get(REQUESTS)).url == REQUESTS
    assert await store.tokens.revoke("officer", "test")
    assert (await visitor.get(REQUESTS)).url == SIGN_IN


async def test_what_was_sent_after_the_session_is_lost_without_a_word(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.DPO)
    form = (await visitor.get("/console/suppressions")).form("/console/suppressions/check")
    out = (await visitor.get(REQUESTS)).form("/console/sign-out")
    visitor.session.cookie_jar.clear()
    sent = await visitor.ask("POST", form.action, {**form.fields, "number": "12"})
    assert sent.url.startswith(SIGN_IN)
    assert "so nothing you sent was done" in sent.words
    assert 'aria-invalid="true"' not in sent.text
    # whoever only looks, or leaves, has lost nothing
    for method, page in (("GET", REQUESTS), ("POST", out.action)):
        seen = await visitor.ask(method, page, out.fields)
        assert seen.url.startswith(SIGN_IN)
        assert "what you sent" not in seen.words


@pytest.mark.parametrize("language", ["en", "pl"])
async def test_what_somebody_wrote_for_an_hour_is_lost_with_their_session(
    api: Api, visitor: Visitor, language: str
) -> None:
    visitor.language, words = language, CATALOGUES[language]
    token = await api.token(Role.DPO, name="officer")
    await visitor.sign_in(token)
    new = f"{REQUESTS}/new"
    asked = {"right": "erasure", "number": "600 100 001", "controller": "acme", "note": "letter 7"}
    page = (await visitor.send(new, new, **asked)).url
    form = (await visitor.get(page)).form(f"{page}/refuse")
    written = {"reason": "It is needed:\n<b>for the claim</b>", "number": "600 100 001"}
    visitor.session.cookie_jar.clear()
    sent = await visitor.ask(
        "POST", form.action, {**form.fields, **written}, headers={"sec-fetch-site": "same-origin"}
    )
    assert (sent.status, sent.url) == (HTTPStatus.OK, SIGN_IN)
    assert words("sign_in.lost_kept") in sent.words
    # whoever follows a link here would lose what they are promised
    assert "/console/language/" not in sent.text
    for wrong in ("ccari_wrong", token):
        entrance = sent.form(SIGN_IN).fields
        assert "100 001" not in sent.text
        sent = await visitor.ask("POST", SIGN_IN, {**entrance, "token": wrong})
    # back where it was written, and nothing was done with it
    assert sent.url == page
    assert words("sign_in.kept") in sent.words
    assert "It is needed:\n&lt;b&gt;for the claim&lt;/b&gt;" in sent.text
    assert words.term("state", "received") in sent.words
    assert words("sign_in.kept") not in (await visitor.get(page)).words


async def test_a_form_with_a_key_or_a_list_in_it_is_sent_again_to_sign_in(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.DPO)
    visitor.session.cookie_jar.clear()
    for path in "recordings/00000000-0000-4000-8000-000000000000/play", "suppressions/import":
        form = aiohttp.FormData({"why": "complaint 7"})
        form.add_field("file", b"AGE-SECRET-KEY-1", filename="key")
        url = f"{visitor.url}/console/{path}"
        async with visitor.session.post(url, data=form, allow_redirects=False) as answer:
            assert answer.status == HTTPStatus.SEE_OTHER


async def test_what_was_written_is_lost_if_somebody_signed_in_again_in_another_tab(
    api: Api, visitor: Visitor
) -> None:
    await signed_in(api, visitor, Role.DPO)
    asked = {"right": "erasure", "number": "600 100 001", "controller": "acme"}
    page = (await visitor.send(f"{REQUESTS}/new", f"{REQUESTS}/new", **asked)).url
    form = (await visitor.get(page)).form(f"{page}/refuse")
    await signed_in(api, visitor, Role.DPO)
    sent = await visitor.ask("POST", form.action, {**form.fields, "reason": "for the claim"})
    assert sent.status == HTTPStatus.FORBIDDEN
    assert "an earlier session" in sent.words
    assert ">for the claim</textarea>" in sent.text
    again = await visitor.ask(
        "POST", form.action, {**sent.form(form.action).fields, "reason": "for the claim"}
    )
    assert "is now: refused" in again.words


async def test_the_filters_of_a_list_are_lost_with_the_session(api: Api, visitor: Visitor) -> None:
    token = await api.token(Role.DPO)
    for path, then in (
        (f"{REQUESTS}?right=access&open=true", f"{REQUESTS}?right=access&open=true"),
        (f"{REQUESTS}?right=//elsewhere.example", REQUESTS),
    ):
        asked = await visitor.get(path)
        assert asked.url == SIGN_IN
        entrance = asked.form(SIGN_IN).fields
        moved = await visitor.ask("POST", SIGN_IN, {**entrance, "token": token}, follow=False)
        assert moved.headers["location"] == then
        visitor.session.cookie_jar.clear()


async def test_who_looks_up_a_number_in_an_old_tab_is_told_that_they_may_not(
    api: Api, visitor: Visitor
) -> None:
    await signed_in(api, visitor, Role.DPO)
    find = "/console/subjects"
    form = (await visitor.get(find)).form(find).fields
    await signed_in(api, visitor, Role.DPO)
    sent = await visitor.ask("POST", find, {**form, "number": "600 100 001", "why": "complaint 7"})
    assert sent.status == HTTPStatus.FORBIDDEN
    assert "You are not allowed" not in sent.words
    assert "an earlier session" in sent.words
    assert "complaint 7" in sent.words
    assert f'href="{find}">Back to the form' in sent.text


async def test_who_signs_in_again_leaves_a_session_behind(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.DPO)
    former = {"cookie": f"ccari_session={visitor.cookie}"}
    await signed_in(api, visitor, Role.AUDITOR)
    assert (await visitor.get(REQUESTS)).url == REQUESTS
    async with browser() as session:
        assert (await Visitor(api.url, session).get(REQUESTS, headers=former)).url == SIGN_IN


async def test_a_form_without_its_secret_is_taken(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.DPO)
    new = f"{REQUESTS}/new"
    filled = {"right": "erasure", "number": "600 100 001", "controller": "acme"}
    secret = (await visitor.get(new)).form(new).fields["csrf"]
    for given in ({}, {"csrf": "x" * len(secret)}, {"csrf": "é"}):
        assert (await visitor.ask("POST", new, filled | given)).status == HTTPStatus.FORBIDDEN
    seen = await visitor.ask("POST", new, filled | {"csrf": secret}, headers={"sec-fetch-site": "cross-site"})
    assert seen.status == HTTPStatus.FORBIDDEN
    assert "no such requests" in (await visitor.get(REQUESTS)).words


async def test_a_form_is_taken_that_has_the_secret_of_another_session(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.DPO)
    before = (await visitor.get(REQUESTS)).form("/console/sign-out").fields
    await visitor.send(REQUESTS, "/console/sign-out")
    await signed_in(api, visitor, Role.DPO)
    assert (await visitor.ask("POST", "/console/sign-out", before)).status == HTTPStatus.FORBIDDEN


async def test_a_page_loads_or_is_framed_by_something_else(api: Api, visitor: Visitor) -> None:
    for seen in (await visitor.get(SIGN_IN), await (await signed_in(api, visitor, Role.DPO)).get(REQUESTS)):
        policy = seen.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert seen.headers["cache-control"] == "no-store"
        assert "://" not in seen.text
        assert " style=" not in seen.text
        assert "<script>" not in seen.text


async def test_a_role_sees_more_or_less_of_the_console_than_is_written(api: Api, front: Front) -> None:
    for role in Role:
        async with browser() as session:
            visitor = Visitor(api.url, session)
            if menu(role):
                await signed_in(api, visitor, role)
            for method, path, roles in somewhere_in_the_console(application({}, front)):
                seen = await visitor.ask(method, path, {} if method == "POST" else None, follow=False)
                if not menu(role):
                    assert seen.headers["location"].startswith(SIGN_IN), path
                    continue
                assert not seen.headers.get("location", "").startswith(SIGN_IN), path
                assert ("not for your role" in seen.words) == (role not in roles), (role, path)
                if role not in roles:
                    assert seen.status == HTTPStatus.FORBIDDEN, (role, path)


def test_a_session_never_ends_or_there_are_ever_more() -> None:
    now = 0.0
    sessions = Sessions(lambda: now)
    bearer = Bearer("officer", Role.DPO)

    def known(cookie: str) -> bool:
        request = make_mocked_request("GET", "/console", headers={"cookie": f"ccari_session={cookie}"})
        return sessions.of(request) is not None

    first = sessions.begin(bearer, b"")
    assert known(first)
    assert not known("")
    now += IDLE_SECONDS + 1
    assert not known(first)
    second = sessions.begin(bearer, b"")
    for _ in range(int(LONGEST_SECONDS / IDLE_SECONDS) + 1):
        now += IDLE_SECONDS - 1
        still = known(second)
    assert not still
    made = [sessions.begin(bearer, b"") for _ in range(MOST_SESSIONS_EACH + 1)]
    assert [known(each) for each in made] == [False, *[True] * MOST_SESSIONS_EACH]


async def test_the_language_is_not_that_of_the_browser_or_of_the_switch(
    front: Front, visitor: Visitor
) -> None:
    visitor.language = "de, pl;q=0.8, en;q=0.5"
    seen = await visitor.get(SIGN_IN)
    assert '<html lang="pl">' in seen.text
    assert "Logowanie" in seen.words
    switched = await visitor.get("/console/language/en", headers={"referer": f"{visitor.url}{SIGN_IN}"})
    assert switched.url == SIGN_IN
    assert "Sign in" in switched.words
    elsewhere = await visitor.get(
        "/console/language/pl", headers={"referer": "https://evil.example/x"}, follow=False
    )
    assert elsewhere.headers["location"] == "/console"


@pytest.mark.parametrize("referer", ["http://[", "http://x]/console", "//\u2100/console", "é"])
async def test_a_language_cannot_be_chosen_from_nowhere(visitor: Visitor, referer: str) -> None:
    chosen = await visitor.get("/console/language/pl", headers={"referer": referer}, follow=False)
    assert (chosen.status, chosen.headers["location"]) == (HTTPStatus.SEE_OTHER, "/console")


async def test_what_a_form_has_made_cannot_be_loaded_anew_or_read_in_another_language(
    api: Api, visitor: Visitor, front: Front
) -> None:
    await signed_in(api, visitor, Role.DPO)
    pages = {(method, path) for method, path, _ in somewhere_in_the_console(application({}, front))}
    for _, path in {
        (method, path) for method, path in pages if method == "POST" and ("GET", path) not in pages
    }:
        seen = await visitor.get(path, follow=False)
        assert seen.status == HTTPStatus.SEE_OTHER, path
        assert ("GET", seen.headers["location"]) in pages, path
        assert path.startswith(("/console/holds", seen.headers["location"]))
    switch = "/console/language/pl"
    made = await visitor.get(switch, headers={"referer": f"{visitor.url}/console/suppressions/check"})
    assert (made.status, made.url) == (HTTPStatus.OK, "/console/suppressions")
    narrowed = f"{REQUESTS}?right=erasure&open=true"
    for referer, location in (
        (narrowed, narrowed), (f"{REQUESTS}?x=<b>", REQUESTS), (SIGN_IN, SIGN_IN),
        (f"{SIGN_IN}?lost=true&back=/console/calls", f"{SIGN_IN}?back=/console/calls"),
        (f"{SIGN_IN}?back=https://elsewhere.example/console", SIGN_IN), (f"{SIGN_IN}?back=//elsewhere.example", SIGN_IN),
    ):  # fmt: skip
        moved = await visitor.get(switch, headers={"referer": f"{visitor.url}{referer}"}, follow=False)
        assert moved.headers["location"] == location
