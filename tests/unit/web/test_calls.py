"""The gate and calls over HTTP: as the commands have them, and nothing of another controller's."""

from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from ccari.errors import AsteriskError
from ccari.keyring.secrets import SecretStore
from ccari.policy.blocks import WHY
from ccari.policy.call import HANDED_BACK, Outcome
from ccari.policy.gate import Block
from ccari.policy.suppression import Reason
from ccari.ports.access import Role
from ccari.ports.placing import CallToPlace, Placed
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.web.front import Front
from tests.unit.store import made
from tests.unit.web.api import AS_WRITTEN, NUMBER, Api, Silent, serving


class Placing:
    """It places nothing, and answers as it is told."""

    def __init__(self, *, block: Block | None = None, error: AsteriskError | None = None) -> None:
        self.orders: list[CallToPlace] = []
        self.call = uuid4()
        self._block = block
        self._error = error

    async def place(self, order: CallToPlace) -> Placed:
        self.orders.append(order)
        if self._error is not None:
            raise self._error
        return Placed(self.call, self._block)


async def gated(api: Api, number: str, campaign: str, **options: Any) -> dict[str, Any]:
    answer = await api.ask("POST", "/v1/gate", {"number": number, "campaign": campaign}, **options)
    assert answer.status == HTTPStatus.OK, answer
    assert "600100001" not in answer.text
    told: dict[str, Any] = answer.json
    return told


async def test_the_gate_is_another_than_the_commands(api: Api, front: Front, store: Store) -> None:
    allowed = await gated(api, AS_WRITTEN, "renewals", role=Role.DIALER)
    assert allowed == {
        "verdict": "allow", "reason": "", "why": "", "campaign": "renewals", "number": "+48•••••0001",
        "controller": "acme", "legal_basis": "contract",
    }  # fmt: skip
    assert isinstance(front.secrets, SecretStore)
    digests = front.secrets.digests("acme", made.NUMBER)
    await store.suppressions.add("acme", digests, Reason.ERASURE, "test", "")
    blocked = await gated(api, NUMBER, "renewals")
    assert (blocked["verdict"], blocked["reason"]) == ("block", "suppressed_erasure")
    assert blocked["why"] == WHY[Block.SUPPRESSED_ERASURE]
    # one controller's bar does not bar another's calls (invariant 7)
    assert (await gated(api, NUMBER, "umfrage"))["verdict"] == "allow"
    assert (await gated(api, "12", "renewals"))["reason"] == "number_invalid"
    assert (await gated(api, NUMBER, "nonsense"))["reason"] == "unknown_campaign"
    assert await store.records.list_calls(10) == []


async def test_a_policy_that_was_applied_since_is_not_heeded(api: Api, store: Store) -> None:
    assert (await gated(api, NUMBER, "renewals"))["legal_basis"] == "contract"
    await store.policies.apply(made.POLICY.replace('"contract"', '"legitimate_interest"'), "test")
    assert (await gated(api, NUMBER, "renewals"))["legal_basis"] == "legitimate_interest"
    assert (await gated(api, NUMBER, "umfrage"))["reason"] == "unknown_campaign"
    # what the database is not asked about: an unknown campaign, and a number that is not one
    await store.policies.apply(made.POLICY.replace('"renewals"', '"renewal"'), "test")
    assert (await gated(api, NUMBER, "renewal"))["verdict"] == "allow"
    german = "0151 12345678"
    assert (await gated(api, german, "renewal"))["reason"] == "number_invalid"
    await store.policies.apply(made.POLICY.replace('"renewals"', '"renewal"').replace('"PL"', '"DE"'), "test")
    assert (await gated(api, german, "renewal"))["number"] == "+49•••••••5678"


async def test_without_policy_sound_or_secret_a_call_is_allowed(
    api: Api, front: Front, store: Store, database: Database, tmp_path: Path
) -> None:
    prompts = front.prompts
    assert isinstance(prompts, Silent)
    prompts.missing = True
    assert (await gated(api, NUMBER, "renewals"))["reason"] == "prompts_missing"
    prompts.missing = False
    async with serving(store, replace(front, secrets=SecretStore(tmp_path / "nowhere"))) as bare:
        body = {"number": NUMBER, "campaign": "renewals"}
        told = (await bare.ask("POST", "/v1/gate", body)).problem(HTTPStatus.SERVICE_UNAVAILABLE)
        assert told["detail"].startswith(
            "this node cannot use the suppression secret of 'acme': ask another node"
        )
        assert str(tmp_path) not in str(told)
    await database.rows("ALTER TABLE policy_revisions DISABLE TRIGGER append_only")
    await database.rows("DELETE FROM policy_revisions")
    assert (await gated(api, NUMBER, "renewals"))["reason"] == "no_policy"


async def test_a_token_of_one_controller_asks_for_anothers_campaign(api: Api) -> None:
    token = await api.token(Role.DIALER, controllers={"acme"})
    assert (await gated(api, NUMBER, "renewals", token=token))["verdict"] == "allow"
    foreign = await gated(api, NUMBER, "umfrage", token=token)
    absent = await gated(api, NUMBER, "nonsense", token=token)
    assert foreign == {**absent, "campaign": "umfrage"}
    assert absent["reason"] == "unknown_campaign"


async def test_a_call_is_placed_or_not_and_nobody_is_told(store: Store, front: Front) -> None:
    body = {"number": NUMBER, "campaign": "renewals", "agent": "anna"}
    placing = Placing()
    async with serving(store, replace(front, placing=placing)) as api:
        placed = await api.ask("POST", "/v1/calls", body, role=Role.DIALER)
        assert (placed.status, placed.json) == (HTTPStatus.CREATED, {"id": str(placing.call)})
        assert placed.headers["location"] == f"/v1/calls/{placing.call}"
        assert placing.orders == [CallToPlace(NUMBER, "renewals", "anna")]
        await api.ask("POST", "/v1/calls", {"number": NUMBER, "campaign": "renewals"}, role=Role.OPS)
        assert placing.orders[1] == CallToPlace(NUMBER, "renewals", None)
    placing = Placing(block=Block.SUPPRESSED_OBJECTION)
    async with serving(store, replace(front, placing=placing)) as api:
        told = (await api.ask("POST", "/v1/calls", body, role=Role.OPS)).problem(HTTPStatus.CONFLICT)
        assert (told["reason"], told["call"]) == ("suppressed_objection", str(placing.call))
        assert told["detail"] == WHY[Block.SUPPRESSED_OBJECTION]
    placing = Placing(error=AsteriskError("Asterisk is away"))
    async with serving(store, replace(front, placing=placing)) as api:
        told = (await api.ask("POST", "/v1/calls", body, role=Role.OPS)).problem(
            HTTPStatus.SERVICE_UNAVAILABLE
        )
        assert told["detail"] == "Asterisk is away"


async def test_an_agent_who_could_be_a_number_or_is_a_dial_string_is_rung_or_an_extension_refused(
    store: Store, front: Front
) -> None:
    numbers = ("48-600-100-001", "4.8.6.0.0.1.0", "0048x600x100x001", "+112", "600100001")
    strings = ("anna@trunk", "anna&bert", "anna@world", "anna/x", "", "ä" * 3, "a" * 41, "anna\n")
    agents, placing = ("anna", "7", "12345", "desk-12.34.56"), Placing()
    async with serving(store, replace(front, placing=placing)) as api:
        for agent in (*numbers, *strings, *agents):
            body = {"number": NUMBER, "campaign": "renewals", "agent": agent}
            answer = await api.ask("POST", "/v1/calls", body, role=Role.OPS)
            if agent in agents:
                assert answer.status == HTTPStatus.CREATED, agent
            else:
                told = answer.problem(HTTPStatus.UNPROCESSABLE_ENTITY)
                assert [each["pointer"] for each in told["errors"]] == ["#/agent"], agent
    assert placing.orders == [CallToPlace(NUMBER, "renewals", agent) for agent in agents]


async def test_where_calls_cannot_be_placed_one_is_promised(api: Api) -> None:
    answer = await api.ask("POST", "/v1/calls", {"number": NUMBER, "campaign": "renewals"}, role=Role.OPS)
    assert answer.problem(HTTPStatus.SERVICE_UNAVAILABLE)["detail"] == (
        "placing calls is not possible here: this service runs without Asterisk"
    )


async def test_a_token_of_one_controller_places_a_call_for_another(store: Store, front: Front) -> None:
    placing = Placing()
    async with serving(store, replace(front, placing=placing)) as api:
        token = await api.token(Role.DIALER, controllers={"acme"})
        told = [
            (await api.ask("POST", "/v1/calls", {"number": NUMBER, "campaign": each}, token=token)).problem(
                HTTPStatus.CONFLICT
            )
            for each in ("umfrage", "nonsense")
        ]
        assert told[0] == told[1]
        assert told[0]["reason"] == "unknown_campaign"
        assert placing.orders == []
        mine = await api.ask("POST", "/v1/calls", {"number": NUMBER, "campaign": "renewals"}, token=token)
        assert mine.status == HTTPStatus.CREATED


async def opened(store: Store, controller: str = "acme", outcome: str | None = None) -> UUID:
    call = made.call(controller)
    await store.calls.open(call, made.question(call))
    if outcome is not None:
        await store.calls.close(call.id, outcome, "", ())
    return call.id


async def listed(api: Api, query: str = "", **options: Any) -> list[UUID]:
    """The ids of all pages, through which a reader goes three at a time."""
    found: list[UUID] = []
    after = ""
    while True:
        answer = await api.ask("GET", f"/v1/calls?limit=3{query}{after}", **options)
        assert answer.status == HTTPStatus.OK, answer
        page = answer.json
        found += [UUID(each["id"]) for each in page["items"]]
        if page["next"] is None:
            return found
        assert len(page["items"]) == 3
        after = f"&after={page['next']}"


async def test_a_page_leaves_out_or_repeats_a_call_or_is_not_narrowed(api: Api, store: Store) -> None:
    calls = [await opened(store, outcome="busy" if index % 2 else None) for index in range(8)]
    calls.reverse()
    # several that were opened at the same moment
    await store.database.rows(
        "UPDATE calls SET opened_at = '2026-01-25T10:00:00Z' WHERE outcome IS NULL RETURNING 1"
    )
    everything = await listed(api)
    assert sorted(everything) == sorted(calls)
    assert len(await listed(api, "&outcome=busy")) == 4
    assert await listed(api, "&campaign=other") == []
    assert len(await listed(api, "&campaign=renewals&since=2026-01-25T10:00:00Z")) == 8
    assert len(await listed(api, "&since=2026-01-25T10:00:00.000001%2B00:00")) == 4


async def test_a_misspelt_outcome_finds_no_calls_instead_of_being_refused(api: Api) -> None:
    refused = await api.ask("GET", "/v1/calls?outcome=no-answer", role=Role.OPS)
    fault = refused.problem(HTTPStatus.UNPROCESSABLE_ENTITY)["errors"][0]
    assert fault["parameter"] == "outcome"
    assert "no_answer" in fault["detail"]
    for known in (*Outcome, HANDED_BACK):
        assert (await api.ask("GET", f"/v1/calls?outcome={known}", role=Role.OPS)).status == HTTPStatus.OK


async def test_a_call_of_another_controller_is_shown(api: Api, store: Store) -> None:
    mine, foreign = await opened(store), await opened(store, "other")
    refused = uuid4()
    await store.database.rows(
        "INSERT INTO calls (id, asterisk, campaign, agent, number_masked, token, last_link)"
        " VALUES ($1, 'pbx', 'x', 'anna', '—', $1, '') RETURNING 1",
        refused,
    )
    token = await api.token(Role.AUDITOR, controllers={"acme"})
    assert await listed(api, token=token) == [mine]
    assert (await api.ask("GET", f"/v1/calls/{mine}", token=token)).status == HTTPStatus.OK
    told = [
        (await api.ask("GET", f"/v1/calls/{each}", token=token)).problem(HTTPStatus.NOT_FOUND)
        for each in (foreign, refused, uuid4())
    ]
    assert told[0] == told[1] == told[2]
    assert sorted(await listed(api)) == sorted([mine, foreign, refused])
    assert await listed(api, "&controller=other") == [foreign]


async def test_a_journal_that_was_tampered_with_is_shown_as_whole(api: Api, store: Store) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.spend_token(
        call, made.question(call), lambda _: None, made.journal("call_gated", "callee_dialled")
    )
    shown = (await api.ask("GET", f"/v1/calls/{call.id}")).json
    assert [each["event"] for each in shown["events"]] == ["call_gated", "callee_dialled"]
    assert (shown["whole"], shown["fault"], shown["number"]) == (True, None, "+48•••••0001")
    await store.database.rows("ALTER TABLE call_events DISABLE TRIGGER append_only")
    await store.database.rows("UPDATE call_events SET event = 'callee_answered' WHERE seq = 2 RETURNING 1")
    shown = (await api.ask("GET", f"/v1/calls/{call.id}")).json
    assert (shown["whole"], shown["fault"]) == (False, "entry 2 (callee_answered) was changed")
