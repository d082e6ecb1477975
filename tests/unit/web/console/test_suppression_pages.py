"""Bars in the console: looked up on record, a limited number of times; entered and lifted by those who may; no number back."""

import re
import time
from http import HTTPStatus

import pytest

from ccari.ports.access import Role
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.store.opened import Store
from ccari.web.console import once
from ccari.web.front import Front
from ccari.web.rates import LookUp, Rates
from ccari.web.server import application
from tests.unit.web.api import AS_WRITTEN, Api, listening
from tests.unit.web.console.browsing import Visitor, browser, signed_in

HOME = "/console/suppressions"
CHECK, ADD, LIFT = f"{HOME}/check", f"{HOME}/add", f"{HOME}/lift"
WHOSE = {"number": AS_WRITTEN, "controller": "acme"}
MARKUP = "<script>alert(1)</script>"


async def test_a_bar_is_not_found_again_or_its_number_is_shown(officer: Visitor, store: Store) -> None:
    assert "is not barred" in (await officer.send(HOME, CHECK, **WHOSE)).words
    added = await officer.send(
        HOME, ADD, **WHOSE, reason="do_not_call", proof=MARKUP, campaign="", until="2099-01-01"
    )
    assert "is now barred for acme" in added.words
    assert (await officer.send(HOME, ADD, **WHOSE, reason="do_not_call")).words.count(
        "barred for that reason already"
    )
    found = await officer.send(HOME, CHECK, **WHOSE, why="he has asked")
    assert "The number is barred" in found.words
    assert "do not call" in found.words
    for seen in (found, await officer.get(HOME)):
        assert re.search(r"dpo-\w+ \(token\), <bdi>&lt;script", seen.text), seen.words
        assert "token:" not in seen.text
    newest = (await store.accesses.list(1, WantedAccesses(looked=Looked.NUMBER_CHECKED)))[0]
    assert newest["why"] == "he has asked"
    lifted = await officer.send(HOME, LIFT, **WHOSE, why="by mistake", reason="")
    assert "1 suppression was lifted." in lifted.words
    for seen in (added, found, lifted, await officer.get(HOME)):
        assert "60010000" not in seen.text.replace(" ", "")
        assert MARKUP not in seen.text
        assert seen.url in {HOME, CHECK}


async def test_a_bar_that_is_lifted_by_a_double_click_is_said_not_to_have_been(officer: Visitor) -> None:
    home = await officer.get(HOME)
    for action, filled, said in (
        (ADD, {"reason": "do_not_call"}, "is now barred for acme"),
        (LIFT, {"why": "by mistake"}, "1 suppression was lifted."),
    ):
        form = {**home.form(action).fields, **WHOSE, **filled}
        for _ in range(2):
            seen = await officer.ask("POST", action, form)
            assert said in seen.words
            assert "60010000" not in seen.text.replace(" ", "")


async def test_a_bar_that_was_lifted_since_is_said_to_stand_when_its_form_is_sent_again(
    officer: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {**(await officer.get(HOME)).form(ADD).fields, **WHOSE, "reason": "do_not_call"}
    assert "is now barred for acme" in (await officer.ask("POST", ADD, form)).words
    await officer.send(HOME, LIFT, **WHOSE, why="by mistake")
    later = time.time() + once.DOUBLE_CLICK_SECONDS + 1
    monkeypatch.setattr(once, "time", lambda: later)
    again = await officer.ask("POST", ADD, form)
    assert again.status == HTTPStatus.CONFLICT
    assert "is now barred" not in again.words
    assert "carried out when it was first sent: nothing was done now" in again.words


async def test_a_restriction_is_lifted_by_whoever_was_not_told_of_the_duty_before(officer: Visitor) -> None:
    seen = await officer.get(HOME)
    form = seen.text.partition(f'action="{LIFT}"')[2].partition("</form>")[0]
    assert "told before it is lifted (Art 18(3))" in form


async def test_who_mistypes_the_number_lifts_more_than_they_chose(officer: Visitor) -> None:
    for reason in "do_not_call", "objection_marketing":
        await officer.send(HOME, ADD, **WHOSE, reason=reason)
    chosen = {"reason": "do_not_call", "why": "asked to be called"}
    again = await officer.send(HOME, LIFT, **{**WHOSE, **chosen, "number": "12"})
    form = again.form(LIFT)
    assert chosen.items() <= form.fields.items()
    # the number is corrected, and nothing else
    lifted = await officer.ask("POST", LIFT, {**form.fields, "number": AS_WRITTEN})
    assert "1 suppression was lifted." in lifted.words
    found = await officer.send(HOME, CHECK, **WHOSE)
    assert "objection to marketing" in found.text.partition('class="card answer"')[2].partition("</table>")[0]


async def test_a_bar_without_an_end_is_said_to_be_for_good(officer: Visitor) -> None:
    await officer.send(HOME, ADD, **WHOSE, reason="restriction")
    seen = await officer.get(HOME)
    assert "until lifted" in seen.words
    assert "for good" not in seen.words


async def test_who_lifts_an_objection_is_not_told_on_which_consent_calls_are_made_then(
    officer: Visitor,
) -> None:
    """The gate goes by the newest consent there is, which may be one from before the objection."""
    assert "A consent from before an objection counts again" in (await officer.get(HOME)).words


async def test_a_withdrawal_is_said_to_bar_calls_that_a_newer_consent_allows(officer: Visitor) -> None:
    await officer.send(HOME, ADD, **WHOSE, reason="withdraw_consent")
    assert (await officer.get(HOME)).words.count("until lifted, or until a newer consent") == 1
    assert "until lifted, or until a newer consent" in (await officer.send(HOME, CHECK, **WHOSE)).words


async def test_what_cannot_be_looked_up_is_answered_or_quoted(officer: Visitor) -> None:
    for change, label in ({"number": "12 34"}, "Number:"), ({"controller": "acne"}, "Controller:"):
        seen = await officer.send(HOME, CHECK, **{**WHOSE, **change})
        assert seen.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert label in seen.words
        assert "12 34" not in seen.text
        assert "is not barred" not in seen.words


async def test_numbers_are_looked_up_without_end(api: Api, front: Front) -> None:
    token = await api.token(Role.DPO, name="officer")
    rates = Rates({LookUp.CHECK: 3, LookUp.GATE: 3}, lambda: 0.0)
    others = {ADD: {"reason": "erasure"}, LIFT: {"why": "x"}}
    async with listening(application({}, front, rates=rates)) as url, browser() as session:
        visitor = Visitor(url, session)
        await visitor.sign_in(token)
        fields = (await visitor.get(HOME)).form(CHECK).fields
        # one of them over the API, because it is the same token
        shown = {"authorization": f"Bearer {token}"}
        async with session.post(f"{url}/v1/suppressions/check", json=WHOSE, headers=shown) as answer:
            assert answer.status == HTTPStatus.OK
        answers = [await visitor.ask("POST", CHECK, {**fields, **WHOSE}) for _ in range(3)]
        # barring and lifting reveal as much
        for action, more in others.items():
            barred = await visitor.ask("POST", action, {**fields, **WHOSE, **more})
            assert barred.status == HTTPStatus.TOO_MANY_REQUESTS, action
    assert [each.status for each in answers] == [HTTPStatus.OK, HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS]
    assert "The number is" not in answers[-1].words


async def test_a_token_of_one_controller_looks_up_or_lifts_anothers_bars(
    api: Api, visitor: Visitor, store: Store
) -> None:
    foreign = {**WHOSE, "controller": "other"}
    await api.ask("POST", "/v1/suppressions", foreign)
    await signed_in(api, visitor, Role.DPO, "acme")
    seen = await visitor.get(HOME)
    assert "Nothing is barred" in seen.words
    assert "Other GmbH" not in seen.text
    for action in (CHECK, ADD, LIFT):
        answer = await visitor.send(HOME, action, **foreign, why="x")
        assert answer.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "The number is" not in answer.words
    assert "is not barred" in (await visitor.send(HOME, CHECK, number=AS_WRITTEN)).words
    assert len(await store.suppressions.page(["other"], 5, None)) == 1


async def test_what_is_wrong_is_not_told_where_it_is(officer: Visitor) -> None:
    for action, field in (CHECK, "number"), (ADD, "add-number"), (LIFT, "lift-number"):
        seen = await officer.send(HOME, action, **{**WHOSE, "number": "12"}, why="x")
        assert "<title>That could not be done: Suppressions" in seen.text
        assert f'<li id="fault-{field}"><a href="#{field}">' in seen.text
        assert seen.text.count("aria-invalid") == 1
        assert f'<input aria-invalid="true" aria-describedby="fault-{field}" id="{field}"' in seen.text
    done = await officer.send(HOME, ADD, **WHOSE, reason="erasure")
    assert re.search(r"<title>[^<]* is now barred for acme", done.text)
    assert "aria-invalid" not in done.text
