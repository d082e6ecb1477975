"""The page that says what is wrong: what it knows, what may be done about it, and the way back to work."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from ccari.ports.access import Role
from ccari.store.opened import Store
from ccari.web.console import forms
from ccari.web.console.words import CATALOGUES
from ccari.web.problems import BODY_BYTES
from tests.unit.web.api import NUMBER, Api
from tests.unit.web.console.browsing import SIGN_IN, Visitor, signed_in

REQUESTS = "/console/requests"


@contextlib.asynccontextmanager
async def without(store: Store, table: str) -> AsyncIterator[None]:
    """The database cannot do what needs this table."""
    await store.database.rows(f"ALTER TABLE {table} RENAME TO gone")
    try:
        yield
    finally:
        await store.database.rows(f"ALTER TABLE gone RENAME TO {table}")


async def entered(officer: Visitor) -> str:
    """The path of a request that the officer has entered."""
    sent = await officer.send(
        f"{REQUESTS}/new",
        f"{REQUESTS}/new",
        right="access",
        number=NUMBER,
        controller="acme",
        note="letter 7",
    )
    return sent.url


@pytest.mark.parametrize("language", ["en", "pl"])
async def test_whoever_may_not_see_a_page_or_mistypes_it_has_no_menu_and_reads_what_they_did_not_do(
    api: Api, visitor: Visitor, language: str
) -> None:
    visitor.language, words = language, CATALOGUES[language]
    night = await signed_in(api, visitor, Role.OPS)
    for path, status in (
        (REQUESTS, HTTPStatus.FORBIDDEN),
        ("/console/calls/00000000-0000-4000-8000-000000000000", HTTPStatus.NOT_FOUND),
        ("/console/nothing", HTTPStatus.NOT_FOUND),
    ):
        seen = await night.get(path)
        assert seen.status == status, path
        assert words("menu.live") in seen.words, path
        assert words("menu.requests") not in seen.words, path
        assert words("trouble.unchanged") not in seen.words, path
        assert seen.form("/console/sign-out").fields["csrf"], path
    night.session.cookie_jar.clear()
    assert words("menu.live") not in (await night.get("/console/nothing")).words


@pytest.mark.parametrize("language", ["en", "pl"])
async def test_who_works_at_night_does_not_read_that_the_database_is_away_or_what_to_do(
    api: Api, visitor: Visitor, store: Store, language: str
) -> None:
    visitor.language, words = language, CATALOGUES[language]
    night = await signed_in(api, visitor, Role.OPS)
    async with without(store, "calls"):
        seen = await night.get("/console/calls")
    assert seen.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert words.said_of("the database is not available at present") in seen.words
    assert words("trouble.again") in seen.words
    assert words("menu.live") in seen.words


async def test_what_an_officer_wrote_is_lost_because_the_database_is_away(
    officer: Visitor, store: Store
) -> None:
    page = await entered(officer)
    form = (await officer.get(page)).form(f"{page}/refuse")
    written = {**form.fields, "reason": "It is needed:\n<b>for the claim</b>"}
    async with without(store, "access_tokens"):
        sent = await officer.ask("POST", form.action, written)
    assert sent.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "It is needed:\n&lt;b&gt;for the claim&lt;/b&gt;" in sent.text
    assert "Nothing was changed" in sent.words
    # whoever follows a link here would lose it
    assert "/console/language/" not in sent.text
    # whoever hears the page hears this first
    assert "<title>The service cannot answer at present · ccari" in sent.text
    assert "autofocus>The service cannot answer at present</h1>" in sent.text
    # reloading the page sends it again
    assert "is now: refused" in (await officer.ask("POST", form.action, written)).words


async def test_nobody_can_leave_while_the_database_is_away(officer: Visitor, store: Store) -> None:
    out = (await officer.get(REQUESTS)).form("/console/sign-out")
    session = {"cookie": f"ccari_session={officer.cookie}"}
    async with without(store, "access_tokens"):
        forged = await officer.ask("POST", out.action, {**out.fields, "csrf": "guessed"})
        assert forged.status == HTTPStatus.FORBIDDEN
        assert (await officer.ask("POST", out.action, out.fields)).url == SIGN_IN
    assert (await officer.get(REQUESTS, headers=session)).url == SIGN_IN


async def test_who_signs_in_again_while_the_database_is_away_loses_what_they_wrote(
    api: Api, officer: Visitor, store: Store
) -> None:
    page, token = await entered(officer), await api.token(Role.DPO)
    form = (await officer.get(page)).form(f"{page}/refuse")
    officer.session.cookie_jar.clear()
    again = await officer.ask("POST", form.action, {**form.fields, "reason": "for the claim"})
    filled = {**again.form(SIGN_IN).fields, "token": token}
    async with without(store, "access_tokens"):
        sent = await officer.ask("POST", SIGN_IN, filled)
    assert sent.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "for the claim" in sent.text
    assert token not in sent.text
    # reloading the page signs in
    assert "for the claim" in (await officer.ask("POST", SIGN_IN, filled)).words


async def test_another_site_has_its_words_shown_here(officer: Visitor, store: Store) -> None:
    page = await entered(officer)
    form = (await officer.get(page)).form(f"{page}/refuse")
    elsewhere = {"sec-fetch-site": "cross-site"}
    sent = await officer.ask("POST", form.action, {**form.fields, "reason": "call us"}, headers=elsewhere)
    assert sent.status == HTTPStatus.FORBIDDEN
    assert "call us" not in sent.text


async def test_the_page_claims_to_know_what_became_of_a_step_whose_answer_was_lost(
    officer: Visitor, store: Store
) -> None:
    page = await entered(officer)
    form = (await officer.get(page)).form(f"{page}/refuse")
    async with without(store, "forwards"):
        sent = await officer.ask("POST", form.action, {**form.fields, "reason": "no"})
    assert sent.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "It is not certain whether it was carried out" in sent.words
    assert "Nothing was changed" not in sent.words
    # a new right could be entered twice
    assert "Reload this page" not in sent.words
    # another language loads the page without what was written
    assert "/console/language/pl" not in sent.text
    assert "/console/language/pl" in (await officer.get("/console/nothing")).text


@pytest.mark.parametrize("language", ["en", "pl"])
async def test_a_form_that_is_far_too_long_is_answered_for_programs(officer: Visitor, language: str) -> None:
    page = await entered(officer)
    officer.language = language
    form = (await officer.get(page)).form(f"{page}/refuse")
    sent = await officer.ask("POST", form.action, {**form.fields, "reason": "x" * 3 * BODY_BYTES})
    assert sent.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert sent.headers["content-type"].startswith("text/html")
    assert CATALOGUES[language].said_of(f"a body may have at most {BODY_BYTES} bytes") in sent.words
    assert (language == "en") is (f"a body may have at most {BODY_BYTES} bytes" in sent.words)


async def test_a_form_that_does_not_arrive_is_waited_for_twice(
    officer: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, waits = await entered(officer), []
    read = forms.reading_in_time

    @contextlib.asynccontextmanager
    async def counted() -> AsyncIterator[None]:
        waits.append(page)
        async with read():
            yield

    async def never() -> AsyncIterator[bytes]:
        yield b"reason="
        await asyncio.Event().wait()

    monkeypatch.setattr(forms, "reading_in_time", counted)
    monkeypatch.setattr(forms, "BODY_SECONDS", 0.2)
    kind = {"content-type": "application/x-www-form-urlencoded"}
    async with officer.session.post(officer.url + f"{page}/refuse", data=never(), headers=kind) as answer:
        assert answer.status == HTTPStatus.REQUEST_TIMEOUT
    assert waits == [page]
