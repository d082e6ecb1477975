"""A number's requests in the console: found by a form, on record, and the number is in no page and no address."""

from http import HTTPStatus

from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.store.opened import Store
from ccari.web.front import Front
from ccari.web.rates import LookUp, Rates
from ccari.web.server import application
from tests.unit.web.api import NUMBER, Api, listening
from tests.unit.web.console.browsing import Visitor, browser, signed_in
from tests.unit.web.console.test_requests_pages import REQUESTS, entered, step

FIND = f"{REQUESTS}/find"


async def test_what_a_number_has_asked_before_is_not_found(officer: Visitor, store: Store) -> None:
    assert f'href="{FIND}"' in (await officer.get(REQUESTS)).text
    page = await entered(officer, number=NUMBER)
    await step(officer, page, "refuse", reason="unfounded")
    other = await entered(officer, number="+48600100002")
    seen = await officer.send(FIND, FIND, number=NUMBER, why="letter 9")
    assert (seen.status, seen.url) == (HTTPStatus.OK, FIND)
    assert f'href="{page}"' in seen.text
    assert f'href="{other}"' not in seen.text
    assert "1 request" in seen.words
    assert "Searched for: acme, other." in seen.words
    assert "60010000" not in seen.text.replace(" ", "")
    newest = (await store.accesses.list(1, WantedAccesses(looked=Looked.NUMBER_CHECKED)))[0]
    assert newest["why"] == "letter 9"


async def test_a_slip_of_the_pen_passes_for_nothing_asked(api: Api, visitor: Visitor) -> None:
    visitor.language = "pl"
    await signed_in(api, visitor, Role.DPO)
    seen = await visitor.send(FIND, FIND, number="600 100 001", why="list 9")
    assert seen.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "to nie jest ten sam numer w każdym kraju" in seen.words
    assert "0 żądań" not in seen.words
    assert "60010000" not in seen.text.replace(" ", "")
    assert 'value="list 9"' in seen.text


async def test_an_auditor_finds_out_who_has_asked_for_what(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.AUDITOR)
    assert f'href="{FIND}"' not in (await visitor.get(REQUESTS)).text
    assert (await visitor.get(FIND)).status == HTTPStatus.FORBIDDEN
    assert (await visitor.ask("POST", FIND, {"number": NUMBER})).status == HTTPStatus.FORBIDDEN


async def test_requests_are_found_number_after_number(api: Api, front: Front) -> None:
    token = await api.token(Role.DPO)
    rates = Rates({LookUp.CHECK: 1, LookUp.GATE: 1}, lambda: 0.0)
    async with listening(application({}, front, rates=rates)) as url, browser() as session:
        visitor = Visitor(url, session)
        await visitor.sign_in(token)
        answers = [await visitor.send(FIND, FIND, number=NUMBER) for _ in range(2)]
    assert [each.status for each in answers] == [HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS]
    assert "0 requests" not in answers[1].words
