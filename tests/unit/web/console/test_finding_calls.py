"""The calls with a number in the console: found by a form, on record, and the number is in no page and no address."""

from dataclasses import replace
from http import HTTPStatus

from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.store import made
from tests.unit.web.api import NUMBER, Api
from tests.unit.web.console.browsing import Visitor, signed_in
from tests.unit.web.console.test_call_pages import CALLS

FIND = f"{CALLS}/find"


async def test_the_calls_that_somebody_complains_of_are_not_found(
    officer: Visitor, store: Store, front: Front
) -> None:
    calls = []
    for number in made.numbers(2):
        call = replace(made.call(number=number), keyed=front.secrets.digests("acme", number))
        await store.calls.open(call, made.question(call))
        await store.calls.close(call.id, "blocked", "suppressed_objection", ())
        calls.append(f'href="{CALLS}/{call.id}"')
    assert f'href="{FIND}"' in (await officer.get(CALLS)).text
    seen = await officer.send(FIND, FIND, number=NUMBER, why="complaint 9")
    assert (seen.status, seen.url) == (HTTPStatus.OK, FIND)
    assert [each in seen.text for each in calls] == [True, False]
    assert "1 call Searched for: acme, other." in seen.words
    assert "60010000" not in seen.text.replace(" ", "")
    newest = (await store.accesses.list(1, WantedAccesses(looked=Looked.NUMBER_CHECKED)))[0]
    assert (newest["why"], newest["what"]["in"]) == ("complaint 9", "calls")


async def test_an_auditor_finds_out_who_was_called(api: Api, visitor: Visitor) -> None:
    await signed_in(api, visitor, Role.AUDITOR)
    assert f'href="{FIND}"' not in (await visitor.get(CALLS)).text
    assert (await visitor.get(FIND)).status == HTTPStatus.FORBIDDEN
    assert (await visitor.ask("POST", FIND, {"number": NUMBER})).status == HTTPStatus.FORBIDDEN
