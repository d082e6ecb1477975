"""Calls in the console: those that may be seen, with numbers masked and the state of the journal shown."""

from dataclasses import replace
from datetime import UTC, datetime
from html import escape, unescape
from http import HTTPStatus
from urllib.parse import quote
from uuid import uuid4

from ccari.office.limits import Expired
from ccari.policy.call import HANDED_BACK
from ccari.policy.limits import Limit
from ccari.policy.retention import Limited
from ccari.ports.access import Role
from ccari.store.opened import Store
from ccari.web.console.words import CATALOGUES
from tests.unit.store import made
from tests.unit.store.expiring import expire_unseen
from tests.unit.web.api import NUMBER, Api
from tests.unit.web.console.browsing import Visitor, signed_in

CALLS = "/console/calls"
MARKUP = "<script>alert(1)</script>"


async def test_a_call_is_not_listed_or_its_journal_is_not_shown(
    api: Api, visitor: Visitor, store: Store
) -> None:
    call = replace(made.call(), agent=MARKUP)
    await store.calls.open(call, made.question(call))
    await store.calls.close(call.id, "blocked", "outside_hours", made.journal("call_blocked", name=MARKUP))
    await signed_in(api, visitor, Role.OPS)
    listed = await visitor.get(CALLS)
    shown = await visitor.get(f"{CALLS}/{call.id}")
    for seen in (listed, shown):
        assert NUMBER not in seen.text
        assert made.NUMBER.masked in seen.text
        assert MARKUP not in seen.text
        assert "outside calling hours" in seen.words
    assert f"{CALLS}/{call.id}" in listed.text
    assert "Times: Europe/Warsaw" in shown.words
    assert "journal is intact" in shown.words
    assert "no such calls" in (await visitor.get(f"{CALLS}?outcome=busy&campaign=")).words
    await store.database.rows("ALTER TABLE call_events DISABLE TRIGGER ALL")
    await store.database.rows("DELETE FROM call_event_fields")
    await store.database.rows("DELETE FROM call_events")
    assert "journal is not intact" in (await visitor.get(f"{CALLS}/{call.id}")).words


async def test_a_detail_without_a_value_is_shown_as_an_empty_one(
    api: Api, visitor: Visitor, store: Store
) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.close(call.id, "busy", "", made.journal("call_ended", reason="", outcome="busy"))
    await signed_in(api, visitor, Role.OPS)
    shown = await visitor.get(f"{CALLS}/{call.id}")
    assert "outcome: busy" in shown.words
    assert "reason:" not in shown.words


async def test_what_was_heard_is_told_only_after_the_digests_of_the_sounds(
    api: Api, visitor: Visitor, store: Store
) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    heard = made.journal("notice_heard", sounds="5f1e,77aa", prompts="identity", notice_version="pl-1")
    await store.calls.close(call.id, "busy", "", heard)
    await signed_in(api, visitor, Role.OPS)
    shown = await visitor.get(f"{CALLS}/{call.id}")
    assert (
        "prompts: who is calling, wording of the notice: pl-1, SHA-256 of the sounds: 5f1e,77aa"
        in shown.words
    )


async def test_a_call_that_the_dialplan_made_cannot_be_narrowed_to_or_is_called_otherwise_in_polish(
    api: Api, visitor: Visitor, store: Store
) -> None:
    visitor.language = "pl"
    for outcome in (HANDED_BACK, "busy"):
        call = made.call()
        await store.calls.open(call, made.question(call))
        await store.calls.close(call.id, outcome, "", ())
    await signed_in(api, visitor, Role.OPS)
    assert f'<option value="{HANDED_BACK}">oddane dialplanowi</option>' in (await visitor.get(CALLS)).text
    narrowed = await visitor.get(f"{CALLS}?outcome={HANDED_BACK}")
    assert f'<option value="{HANDED_BACK}" selected>' in narrowed.text
    assert narrowed.text.count(f'href="{CALLS}/') == 1


async def test_a_call_that_has_expired_shows_a_dash_and_not_why(
    api: Api, visitor: Visitor, store: Store
) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.close(call.id, "busy", "", made.journal("call_ended"))
    await store.database.rows("UPDATE calls SET ended_at = now() - interval '2 years' WHERE id = $1", call.id)
    limit = Limit(Limited.CALLS, "acme", 365)
    assert await expire_unseen(store, limit) == Expired(1)
    await signed_in(api, visitor, Role.OPS)
    assert "expired" in (await visitor.get(CALLS)).words
    assert "it no longer shows whose it was" in (await visitor.get(f"{CALLS}/{call.id}")).words
    (listed,) = (await api.ask("GET", "/v1/calls")).json["items"]
    assert datetime.fromisoformat(listed["expired_at"]) <= datetime.now(UTC)


async def test_a_reason_is_told_in_the_list_by_another_word_than_on_its_page(
    api: Api, visitor: Visitor, store: Store
) -> None:
    reasons = {"busy": "cause_17", "failed": "notice_timeout", "right_exercised": "erasure"}
    for outcome, reason in reasons.items():
        call = made.call()
        await store.calls.open(call, made.question(call))
        await store.calls.close(call.id, outcome, reason, made.journal("call_ended"))
    visitor.language = "pl"
    await signed_in(api, visitor, Role.OPS)
    seen = await visitor.get(CALLS)
    for reason in reasons.values():
        assert CATALOGUES["pl"].reason(reason) in unescape(seen.words)
        assert reason.replace("_", " ") not in seen.words


async def test_a_list_of_one_campaign_seems_to_be_of_any_if_the_policy_has_changed(
    api: Api, visitor: Visitor
) -> None:
    """Anybody who then chose an outcome as well got the calls of all campaigns."""
    await signed_in(api, visitor, Role.OPS)
    for path in (CALLS, "/console/recordings"):
        for campaign in ("renewals", "gone", MARKUP):
            shown = await visitor.get(f"{path}?campaign={quote(campaign)}")
            assert shown.form(f"{path}#list").fields["campaign"] == campaign
            assert shown.text.count(f">{escape(campaign)}</option>") == 1


async def test_whoever_may_not_see_a_call_learns_from_its_evidence_that_it_goes_on(
    api: Api, visitor: Visitor, store: Store
) -> None:
    call = made.call("other")
    await store.calls.open(call, made.question(call))
    await signed_in(api, visitor, Role.DPO, "acme")
    seen = [await visitor.get(f"{CALLS}/{each}/evidence") for each in (call.id, uuid4())]
    assert {each.status for each in seen} == {HTTPStatus.NOT_FOUND}
    assert seen[0].words == seen[1].words


async def test_a_token_of_one_controller_sees_anothers_calls(
    api: Api, visitor: Visitor, store: Store
) -> None:
    call = made.call("other")
    await store.calls.open(call, made.question(call))
    await signed_in(api, visitor, Role.AUDITOR, "acme")
    assert "no such calls" in (await visitor.get(CALLS)).words
    for path in (call.id, "00000000-0000-4000-8000-000000000000", "no-id"):
        assert (await visitor.get(f"{CALLS}/{path}")).status == HTTPStatus.NOT_FOUND
