"""What is known of a number, at a glance: each controller's apart, on record, and the number in no answer."""

from http import HTTPStatus

from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.web.api import NUMBER, Api
from tests.unit.web.console.browsing import Visitor
from tests.unit.web.test_calls_found_over_http import called
from tests.unit.web.test_lists_over_http import BARS, CONSENTS, CONTACTS, give
from tests.unit.web.test_requests_over_http import enter

FIND, PAGE = "/v1/subjects/find", "/console/subjects"


async def complained(api: Api, front: Front, store: Store) -> dict[str, str]:
    """What acme knows of the number; it knows a contact with another, and ``other`` received a call from the number."""
    for number, source in ((NUMBER, "fair"), ("600 100 002", "street")):
        rows = f"number,source,obtained,basis,proof\n{number},{source},2026-01-31,contract,form 2\n"
        await give(api, f"{CONTACTS}/import?controller=acme", rows)
    consent = f"number,purpose,channel,given,proof\n{NUMBER},marketing,phone,2020-01-01,form 1\n"
    await give(api, f"{CONSENTS}/import?controller=acme", consent)
    for reason in ("objection", "do_not_call"):
        await api.ask("POST", BARS, {"number": NUMBER, "controller": "acme", "reason": reason})
    lifted = {"number": NUMBER, "controller": "acme", "reason": "objection", "why": "a slip"}
    await api.ask("POST", f"{BARS}/remove", lifted)
    request, call = await enter(api, right="access"), await called(store, front)
    uses = "INSERT INTO consent_uses (consent_id, call_id) SELECT id, $1 FROM consents"
    await store.database.rows(uses, call)
    return {"request": request, "call": call, "other": await called(store, front, "other")}


async def test_a_complaint_takes_five_looks_or_is_answered_with_anothers_data(
    api: Api, front: Front, store: Store
) -> None:
    known = await complained(api, front, store)
    answer = await api.ask("POST", FIND, {"number": NUMBER, "why": "complaint of 600100001"})
    assert answer.status == HTTPStatus.OK, answer
    assert "60010000" not in answer.text
    acme, other = answer.json["controllers"]
    assert (acme["controller"], acme["barred"], [each["reason"] for each in acme["bars"]]) == (
        "acme",
        True,
        ["do_not_call"],
    )
    assert [(each["reason"], each["removed_by"], each["why"]) for each in acme["lifted"]] == [
        ("objection", "token:the-dpo", "a slip")
    ]
    assert [(each["source"], each["legal_basis"]) for each in acme["sources"]] == [("fair", "contract")]
    (consent,) = acme["consents"]
    assert (consent["state"], [each["call"] for each in consent["uses"]]) == ("given", [known["call"]])
    assert [each["reference"] for each in acme["requests"]] == [known["request"]]
    assert [each["id"] for each in acme["calls"]] == [known["call"]]
    assert (other["controller"], other["barred"], other["sources"]) == ("other", False, [])
    assert [each["id"] for each in other["calls"]] == [known["other"]]
    looks = await store.accesses.list(9, WantedAccesses(looked=Looked.NUMBER_CHECKED))
    assert {(each["what"]["controller"], each["what"]["in"], each["why"]) for each in looks} == {
        ("acme", "everything", "complaint of …"),
        ("other", "everything", "complaint of …"),
    }


async def test_calls_or_requests_that_are_left_out_are_told_of_by_nothing(
    api: Api, front: Front, store: Store
) -> None:
    await called(store, front)
    newest = await called(store, front)
    asked = {"number": NUMBER, "controller": "acme", "limit": 1}
    (acme,) = (await api.ask("POST", FIND, asked)).json["controllers"]
    assert ([each["id"] for each in acme["calls"]], acme["more_calls"], acme["more_requests"]) == (
        [newest],
        True,
        False,
    )


async def test_a_token_of_one_controller_learns_what_another_knows(
    api: Api, front: Front, store: Store
) -> None:
    await complained(api, front, store)
    token = await api.token(Role.DPO, controllers={"other"})
    (only,) = (await api.ask("POST", FIND, {"number": NUMBER}, token=token)).json["controllers"]
    assert (only["controller"], only["bars"], only["consents"], len(only["calls"])) == ("other", [], [], 1)


async def test_the_page_leaves_out_what_the_complaint_asks(
    api: Api, officer: Visitor, front: Front, store: Store
) -> None:
    known = await complained(api, front, store)
    assert f'href="{PAGE}"' in (await officer.get("/console/requests")).text
    seen = await officer.send(PAGE, PAGE, number=NUMBER, why="complaint 9")
    assert (seen.status, seen.url) == (HTTPStatus.OK, PAGE)
    for each in (
        "acme: ✗",
        "do not call",
        "a slip",
        "fair",
        "form 1",
        "marketing for calls by a person",
        "in force",
    ):
        assert each in seen.words
    assert seen.text.count(f'href="/console/calls/{known["call"]}"') == 2
    assert f'href="/console/requests/{known["request"]}"' in seen.text
    assert "other: ✓" in seen.words
    assert "street" not in seen.words
    assert "60010000" not in seen.text.replace(" ", "")
    assert seen.text.count('id="list"') == 0


async def test_a_number_that_nobody_knows_breaks_the_page(officer: Visitor) -> None:
    seen = await officer.send(PAGE, PAGE, number="+48 600 999 888")
    assert seen.words.count("There are no calls.") == 2
