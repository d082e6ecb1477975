"""Requests over HTTP: entered and worked as by the commands, and nothing of another controller's."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from ccari.policy import deadlines
from ccari.ports.access import Role
from ccari.store.opened import Store
from tests.unit.store import made
from tests.unit.store.commands import on
from tests.unit.store.test_forwards import added
from tests.unit.web.api import AS_WRITTEN, NUMBER, Api

REQUESTS = "/v1/requests"
ERASE = {"right": "erasure", "number": AS_WRITTEN, "controller": "acme"}


async def enter(api: Api, **fields: Any) -> str:
    done = await api.ask("POST", REQUESTS, {**ERASE, **fields})
    assert done.status == HTTPStatus.CREATED, done
    assert done.headers["location"] == f"{REQUESTS}/{done.json['reference']}"
    return str(done.json["reference"])


async def step(api: Api, reference: str, name: str, **body: Any) -> dict[str, Any]:
    done = await api.ask("POST", f"{REQUESTS}/{reference}/{name}", body)
    assert done.status == HTTPStatus.OK, done
    told: dict[str, Any] = done.json
    return told


async def test_a_request_cannot_be_worked_from_its_entry_to_its_end(api: Api) -> None:
    reference = await enter(api, campaign="renewals", by="letter", note="letter [7]\nof two pages")
    entered = (await api.ask("GET", f"{REQUESTS}/{reference}")).json
    received = datetime.fromisoformat(entered["received_at"])
    checked = await api.ask("POST", "/v1/suppressions/check", {"number": NUMBER, "controller": "acme"})
    assert [(each["reason"], each["proof"]) for each in checked.json["bars"]] == [("erasure", reference)]
    early = await api.ask("POST", f"{REQUESTS}/{reference}/resolve", {})
    assert "the person's identity is not sure" in early.problem(HTTPStatus.CONFLICT)["detail"]
    verified = await step(api, reference.lower(), "verify", level="L2", how="identity card at the desk")
    assert (verified["state"], verified["level"]) == ("verifying", "L2")
    started = await api.ask("POST", f"{REQUESTS}/{reference}/start")
    assert started.json == {
        "reference": reference, "right": "erasure", "state": "in_progress", "level": "L2",
        "due": deadlines.due(received, "PL").isoformat(),
    }  # fmt: skip
    extended = await step(api, reference, "extend", reason="three archives")
    assert extended["due"] == deadlines.extended(received, "PL").isoformat()
    again = await api.ask("POST", f"{REQUESTS}/{reference}/extend", {"reason": "more"})
    again.problem(HTTPStatus.CONFLICT)
    assert (await step(api, reference, "resolve", note="all deleted"))["state"] == "fulfilled"
    (await api.ask("POST", f"{REQUESTS}/{reference}/start")).problem(HTTPStatus.CONFLICT)
    shown = (await api.ask("GET", f"{REQUESTS}/{reference}", role=Role.AUDITOR)).json
    assert [each["reason"] for each in shown["history"]] == [
        "letter [7]\nof two pages", "identity card at the desk", "", "three archives", "all deleted",
    ]  # fmt: skip
    assert {each["who"] for each in shown["history"]} == {"token:the-dpo"}
    assert (shown["number"], shown["state"], shown["effect"]["identity_to_fulfil"]) == (
        None,
        "fulfilled",
        "L2",
    )


@pytest.mark.parametrize("name", ["refuse", "withdraw"])
async def test_a_request_is_closed_without_a_reason(api: Api, name: str) -> None:
    reference = await enter(api)
    for body in ({}, {"reason": " \n"}):
        told = (await api.ask("POST", f"{REQUESTS}/{reference}/{name}", body)).problem(
            HTTPStatus.UNPROCESSABLE_ENTITY
        )
        assert [each["pointer"] for each in told["errors"]] == ["#/reason"]
    assert (await step(api, reference, name, reason="unfounded"))["state"] in {"refused", "withdrawn"}


async def test_an_absolute_right_is_refused(api: Api) -> None:
    reference = await enter(api, right="objection_marketing")
    told = (await api.ask("POST", f"{REQUESTS}/{reference}/refuse", {"reason": "no"})).problem(
        HTTPStatus.CONFLICT
    )
    assert "cannot be refused" in told["detail"]


async def test_a_request_is_another_than_the_commands(
    api: Api, store: Store, dsn: str, tmp_path: Path
) -> None:
    options = {
        "campaign": "renewals",
        "received": "2026-05-15",
        "by": "email",
        "level": "L1",
        "note": "called back",
    }
    await enter(api, **options)
    ccari = on(dsn, tmp_path)
    arguments = [each for name, value in options.items() for each in (f"--{name}", value)]
    await ccari.json("requests", "add", "erasure", AS_WRITTEN, "--controller", "acme", *arguments)
    mine, theirs = await store.database.rows(
        'SELECT controller, campaign, "right", article, state, number, digest, received_at, due, purpose, language,'
        " channel, number_from, level, reason FROM rights_requests JOIN request_events USING (reference, state, due, level)"
        " JOIN request_event_details USING (reference, seq)"
        " ORDER BY reference"
    )
    assert mine == theirs


async def test_a_request_is_entered_that_cannot_be(api: Api, store: Store) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"number": "12"}, "#/number"), ({"controller": None}, "#/controller"), ({"campaign": "umfrage"}, "#/campaign"),
        ({"received": "2999-01-01"}, "#/received"), ({"received": "2018-05-24"}, "#/received"),
        ({"received": "x"}, "#/received"), ({"by": "key"}, "#/by"), ({"level": "L2"}, "#/note"), ({"level": 2}, "#/level"),
        ({"right": "silence"}, "#/right"), ({"note": "a\x00b"}, "#/note"), ({"note": "a\rb"}, "#/note"),
        ({"note": "a\u202eb"}, "#/note"),
    ]  # fmt: skip
    for change, pointer in wrong:
        told = (await api.ask("POST", REQUESTS, {**ERASE, **change})).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
        assert [each["pointer"] for each in told["errors"]] == [pointer], change
    assert await store.requests.list(None, 10) == []


@pytest.mark.parametrize(
    ("campaigns", "of_one", "without"),
    [
        (("",), {"renewals": "21(1)"}, "21(1)"),
        # each leads to the same article, on a different basis
        (("contract", "legal_obligation"), {}, "17"),
        # a campaign that does not record has a basis too
        (("", "off"), {}, "21(1)"),
        (("", "opt_in"), {"renewals": "21(1)", "more": "7(3)"}, None),
        (("contract", "opt_in"), {"renewals": "17", "more": "7(3)"}, None),
        ((), {}, "17"),
    ],
)
async def test_a_refusal_of_recording_without_a_campaign_is_called_a_withdrawal(
    api: Api, store: Store, campaigns: tuple[str, ...], of_one: dict[str, str], without: str | None
) -> None:
    controller, _, declared = made.POLICY.partition("[[campaigns]]")
    how = {
        "opt_in": 'mode = "opt_in"\n[campaigns.keys]\n"1" = "consent_recording"',
        "off": 'mode = "off"\nlegal_basis = "contract"',
    }
    document = controller
    for name, kind in zip(("renewals", "more"), campaigns, strict=False):
        mode = how.get(kind, 'mode = "notice"' + (f'\nlegal_basis = "{kind}"' if kind else ""))
        document += f"[[campaigns]]{declared}".replace("renewals", name).replace('mode = "notice"', mode)
    await store.policies.apply(document, "test")
    for campaign, article in of_one.items():
        reference = await enter(api, right="refuse_recording", campaign=campaign)
        assert (await api.ask("GET", f"{REQUESTS}/{reference}")).json["article"] == article
    body = {**ERASE, "right": "refuse_recording"}
    done = await api.ask("POST", REQUESTS, body)
    if without is None:
        told = done.problem(HTTPStatus.UNPROCESSABLE_ENTITY)["errors"]
        assert [each["pointer"] for each in told] == ["#/campaign"]
        assert "one of renewals, more; the legal basis" in told[0]["detail"]
    else:
        shown = (await api.ask("GET", f"{REQUESTS}/{done.json['reference']}")).json
        assert (shown["article"], shown["effect"]["refusable"]) == (without, True)
    # no other right needs one
    await enter(api)


async def test_words_that_were_pasted_from_a_letter_are_refused(api: Api, store: Store) -> None:
    """With the no-break spaces that Polish has behind its short words, with another system's line ends, and with
    invisible characters: where words of a PDF or of an e-mail may be broken.
    """
    pasted = "\ufeffw\u00a0dniu 24\u202flisto\u00adpada\r\n\tz\u00a0li\u200bstem\u2060 7"
    reference = (await api.ask("POST", REQUESTS, {**ERASE, "note": pasted})).json["reference"]
    nothing = await api.ask("POST", f"{REQUESTS}/{reference}/withdraw", {"reason": "\u200b"})
    assert nothing.problem(HTTPStatus.UNPROCESSABLE_ENTITY)["errors"][0]["pointer"] == "#/reason"
    await api.ask("POST", f"{REQUESTS}/{reference}/withdraw", {"reason": pasted})
    told = (await store.requests.show(reference)).history
    assert [each["reason"] for each in told] == ["w dniu 24 listopada\n\tz listem 7"] * 2
    look = {"number": NUMBER, "why": "\u200b"}
    (await api.ask("POST", f"{REQUESTS}/find", look)).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
    bar = {"number": NUMBER, "controller": "acme", "reason": "do_not_call", "proof": "z\u00a0li\u00adstu 7"}
    assert (await api.ask("POST", "/v1/suppressions", bar)).status == HTTPStatus.OK
    assert "z listu 7" in [
        row["proof"] for row in await store.database.rows("SELECT proof FROM suppressions")
    ]


async def test_an_agent_works_on_a_request_that_it_may_only_enter(api: Api) -> None:
    token = await api.token(Role.AGENT, agent="bert", name="bert")
    done = await api.ask("POST", REQUESTS, {**ERASE, "by": "agent"}, token=token)
    assert done.status == HTTPStatus.CREATED
    reference = done.json["reference"]
    shown = (await api.ask("GET", f"{REQUESTS}/{reference}")).json
    assert (shown["channel"], shown["history"][0]["who"]) == ("agent", "token:bert")
    for name in ("verify", "start", "resolve"):
        answer = await api.ask("POST", f"{REQUESTS}/{reference}/{name}", {}, token=token)
        answer.problem(HTTPStatus.FORBIDDEN)


async def references(api: Api, query: str = "", **options: Any) -> list[str]:
    """The references of all pages, two at a time."""
    found: list[str] = []
    after = ""
    while after is not None:
        page = await api.ask("GET", f"{REQUESTS}?limit=2{query}{after and f'&after={after}'}", **options)
        assert page.status == HTTPStatus.OK, page
        assert "60010000" not in page.text
        found += [each["reference"] for each in page.json["items"]]
        after = page.json["next"]
    return found


async def test_a_page_leaves_out_or_repeats_a_request_or_is_not_narrowed(api: Api, store: Store) -> None:
    today = deadlines.local_day(datetime.now(UTC), "PL")
    fresh, late, soon = [await added(store, due=today + timedelta(days=days)) for days in (20, -2, 3)]
    same = [await added(store, due=today + timedelta(days=20)) for _ in range(2)]
    closed = await enter(api, right="objection_marketing")
    await step(api, closed, "resolve")
    assert await references(api) == [late, soon, fresh, *same, closed]
    assert await references(api, "&overdue=true") == [late]
    assert await references(api, f"&due_before={today + timedelta(days=20)}") == [late, soon]
    assert await references(api, "&open=true") == [late, soon, fresh, *same]
    assert await references(api, "&state=fulfilled&state=refused") == [closed]
    assert await references(api, "&right=objection_marketing") == [closed]
    assert await references(api, "&controller=other") == []
    year, serial = closed.split("-")[1:]
    for given in (
        closed,
        closed.lower(),
        f"%20{year}{int(serial)}",
        f"{year}%20{int(serial)}",
        f"{year}-{serial}%20",
    ):
        assert await references(api, f"&reference={given}") == [closed], given
    assert await references(api, f"&reference=OTHER-{year}-{serial}") == []
    refused = await api.ask("GET", f"{REQUESTS}?reference=%2B48600100100")
    assert (refused.status, "600100100" in refused.text) == (HTTPStatus.UNPROCESSABLE_ENTITY, False)
    row = (await api.ask("GET", f"{REQUESTS}?overdue=true", role=Role.AUDITOR)).json["items"][0]
    # midnight may have passed since
    passed = (deadlines.local_day(datetime.now(UTC), "PL") - today).days
    assert row["days_left"] in range(-2 - passed, -1)
    assert (row["overdue"], row["number"]) == (True, made.NUMBER.masked)


async def test_a_token_of_one_controller_sees_or_works_on_anothers_request(api: Api, store: Store) -> None:
    foreign, mine = await added(store, controller="other"), await added(store)
    token = await api.token(Role.DPO, controllers={"acme"})
    assert await references(api, token=token) == [mine]
    (await api.ask("GET", f"{REQUESTS}?controller=other", token=token)).problem(
        HTTPStatus.UNPROCESSABLE_ENTITY
    )
    absent = foreign.replace("000001", "000999")
    bodies: dict[str, dict[str, Any] | None] = {
        "verify": {"level": "L2", "how": "x"}, "start": {}, "extend": {"reason": "x"}, "resolve": {},
        "refuse": {"reason": "x"}, "withdraw": {"reason": "x"},
    }  # fmt: skip
    for name, body in bodies.items():
        told = [
            (await api.ask("POST", f"{REQUESTS}/{each}/{name}", body, token=token)).problem(
                HTTPStatus.NOT_FOUND
            )
            for each in (foreign, absent)
        ]
        assert told[0] == told[1]
    told = [
        (await api.ask("GET", f"{REQUESTS}/{each}", token=token)).problem(HTTPStatus.NOT_FOUND)
        for each in (foreign, absent)
    ]
    assert told[0] == told[1]
    assert len((await store.requests.show(foreign)).history) == 1
    foreigner = await api.ask("POST", REQUESTS, {**ERASE, "controller": "other"}, token=token)
    foreigner.problem(HTTPStatus.UNPROCESSABLE_ENTITY)
