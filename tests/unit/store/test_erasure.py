"""Erasures: what goes, what a ground keeps, and what a killed process leaves to the next run."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from ccari.errors import RequestError, StoreError
from ccari.policy import gate
from ccari.policy.erasure import ErasureTerms, Ground, Thing, What, pattern
from ccari.policy.gate import Block
from ccari.policy.numbers import Number
from ccari.policy.rights import Level, RequestState, Right
from ccari.policy.seal import Kind
from ccari.policy.suppression import Reason
from ccari.ports.accesses import Access, Looked, whose_number
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.keying import Digests, Sought
from ccari.ports.lists import Agreed, Scrubbed, Sourced
from ccari.recordings.subject.erasing import Erased, terms_now
from ccari.store import journals, mandates, traces
from ccari.store.database import Database
from ccari.store.deletions import PostgresSweep
from ccari.store.erasures import Erasures
from ccari.store.queries import SQL
from tests.unit.policy.campaigns import CONTROLLER, campaign
from tests.unit.recordings.made import files
from tests.unit.store import made, person
from tests.unit.store.forging import forge
from tests.unit.store.kept import DAY, NOW, Shelf
from tests.unit.store.killing import KilledError, kill
from tests.unit.store.listed import agreed, batches, contact
from tests.unit.store.listed import digests as digests_under
from tests.unit.store.server import connected
from tests.unit.store.test_requests import by
from tests.unit.store.waiting import until_they_wait

OTHER = made.numbers(2)[1]


async def erase(shelf: Shelf, reference: str, *, keep_proof: bool = True, country: str = "PL") -> Erased:
    terms = ErasureTerms(person.now(), keep_proof, (country,))
    return await person.eraser(shelf).erase(await person.wanted(shelf, reference), terms)


async def count(shelf: Shelf, table: str) -> int:
    (row,) = await shelf.database.rows(f"SELECT count(*) AS n FROM {table}")  # noqa: S608 - a name of ours
    return int(row["n"])


@pytest.mark.parametrize(
    "spelling",
    [
        "600–100–001",
        "600‑100‑001",
        "600, 100, 001",
        "600_100_001",
        "600:100:001",
        "600·100·001",
        "(600) - [100001]",
    ],
)
async def test_the_database_overlooks_a_spelling_that_python_finds(database: Database, spelling: str) -> None:
    sought = pattern(made.NUMBER)
    for text in (f"nagranie {spelling}.wav", f"1{spelling}", f"{spelling}2", f"§{spelling}"):
        (row,) = await database.rows("SELECT $1::text ~ $2 AS found", text, sought)
        assert row["found"] == bool(re.search(sought, text))


@pytest.mark.parametrize(
    ("e164", "spelling"),
    [
        ("+442890123456", "048 9012 3456"), ("+442890123456", "0035348 90123456"), ("+442890123456", "028 9012 3456"),
        ("+3780549886377", "+390549886377"), ("+375291234567", "80291234567"), ("+380671234567", "8(067)1234567"),
    ],
)  # fmt: skip
async def test_the_database_overlooks_another_form_that_python_finds(
    database: Database, e164: str, spelling: str
) -> None:
    sought = pattern(Number(e164))
    for text in (spelling, f"1{spelling}", f"{spelling}2"):
        (row,) = await database.rows("SELECT $1::text ~ $2 AS found", text, sought)
        assert row["found"] == bool(re.search(sought, text))
    (row,) = await database.rows(
        "SELECT regexp_replace($1::text, $2, '[number]', 'g') AS left", f"see {spelling}.", sought
    )
    assert not re.search(r"\d{3}", row["left"])


async def test_an_erasure_leaves_something_of_the_person(shelf: Shelf) -> None:
    call = await person.called(shelf)
    await person.known(shelf)
    recording = await shelf.put(call)
    older = await person.asked(shelf, Right.OBJECTION_MARKETING, note="letter of Jan")
    await person.resolved(shelf, older)
    reference = await person.asked(shelf)
    report = (await erase(shelf, reference)).report
    assert report is not None
    assert report["erased"] == {
        "recording": 1, "call": 1, "contact": 2, "consent": 2, "heard notice": 1, "notes on a request": 2,
        "number of a request": 1, "number in the forwarding queue": 2,
    }  # fmt: skip
    assert report["kept"] == []
    assert await shelf.fate(recording) == f"erasure {reference}"
    (row,) = await shelf.database.rows("SELECT * FROM calls")
    assert (row["digest"], row["key_version"], row["number_masked"]) == (None, None, "—")
    told = await person.fields_of(shelf, call.id)
    assert told.pop("personal_data_erased") == {"reference": reference, "by": "cli:dpo"}
    assert told.pop("recording_deleted") is not None
    assert set(told.values()) == {None}
    for table in ("contacts", "consents", "heard_notices"):
        assert await count(shelf, table) == 0
    shown = await shelf.store.requests.show(older)
    assert shown.fault is None
    assert {each["reason"] for each in shown.history} == {"erased"}
    assert [await shelf.faults(each) for each in (Kind.CALL, Kind.REQUEST)] == [[], []]
    # the request for it expires first, and no longer shows whose it was
    await person.resolved(shelf, reference)
    nobodys = "digest = NULL, digests = '{}', key_version = NULL"
    await forge(shelf.database, f"UPDATE rights_requests SET {nobodys} WHERE reference = $1", reference)  # noqa: S608 - constant
    assert not [each for each in await shelf.faults(Kind.REQUEST) if "nothing says" in each]


async def test_a_report_does_not_say_what_stays_of_the_person_on_purpose(shelf: Shelf) -> None:
    """Each table that has the keyed digest after the erasure is named."""
    await person.called(shelf)
    subject = Subject("acme", made.digests())
    hold = await shelf.store.holds.place(HoldOn(subject=subject), "a lawsuit", "cli:anna")
    await shelf.store.holds.release(hold["id"], "it is over", "cli:anna")
    target = whose_number("acme", made.digests())
    await shelf.store.accesses.note(Access(Looked.NUMBER_CHECKED, "cli:anna", target))
    report = (await erase(shelf, await person.asked(shelf))).report
    assert report is not None
    digest = made.digests().newest
    for table, has, named in (
        ("suppressions", "digest = $1", "suppressions"),
        ("rights_requests", "digest = $1", "record of the requests"),
        ("holds", "$1 = ANY (digests)", "legal holds"),
        ("accesses", "fields->>'digest' = encode($1, 'hex')", "who looked at"),
    ):
        async with shelf.database.connection() as connection:
            assert await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table} WHERE {has})", digest)  # noqa: S608 - constants
        assert any(named in each and "keyed digest" in each for each in report["remains"]), table


async def test_an_erasure_lets_a_list_bring_the_number_back(shelf: Shelf) -> None:
    """The bar stays, as the keyed digest alone, and is entered anew if somebody had lifted it."""
    await person.known(shelf)
    reference = await person.asked(shelf)
    await shelf.store.suppressions.remove("acme", made.digests(), "cli:anna", "slip", reason=Reason.ERASURE)
    await erase(shelf, reference)
    bars = {
        each["reason"]: each["proof"] for each in await shelf.store.suppressions.of("acme", made.digests())
    }
    assert bars == {"do_not_call": "form 12", "erasure": reference}


async def consents(shelf: Shelf, *lines: tuple[Agreed, Digests]) -> Scrubbed:
    return await shelf.store.consents.load(
        "acme", {"offers": "marketing"}, batches(*lines), origin="import:crm", keep_going=False
    )


async def test_a_list_brings_back_a_consent_that_was_erased(shelf: Shelf) -> None:
    """Nor one that came after the first erasure and went with the next; one that has been given since comes in."""
    first, other = agreed(), agreed(OTHER)
    assert (await consents(shelf, first, other)).report.accepted == 2
    reference = await person.asked(shelf)
    await erase(shelf, reference)
    await person.resolved(shelf, reference)
    between = agreed(given=person.now())
    done = await consents(shelf, first, first, other, between)
    assert (done.report.lines, done.report.accepted, done.report.duplicate) == (2, 1, 1)
    assert dict(done.barred) == {Block.SUPPRESSED_ERASURE: 2}
    await erase(shelf, await person.asked(shelf))
    again, since = await consents(shelf, first, between), agreed(given=person.now())
    assert (again.report.accepted, dict(again.barred)) == (0, {Block.SUPPRESSED_ERASURE: 2})
    assert (await consents(shelf, since)).report.accepted == 1
    rows = await shelf.store.consents.of("acme", made.digests())
    assert [row["given_at"] for row in rows] == [since[0].given_at]
    # somebody whose bar a person has lifted is no longer erased
    await shelf.store.suppressions.remove("acme", made.digests(), "cli:anna", "back", reason=Reason.ERASURE)
    assert (await consents(shelf, first)).report.accepted == 1


async def test_a_consent_that_an_erasure_has_kept_is_never_withdrawn(shelf: Shelf) -> None:
    """Its proof stays, because a call was based on it: a list may still report that it has ended."""
    call = await person.called(shelf)
    await consents(shelf, agreed())
    await person.used(shelf, call)
    await erase(shelf, await person.asked(shelf))
    done = await consents(shelf, agreed(withdrawn=NOW - DAY), agreed())
    assert (done.report.accepted, done.report.duplicate, dict(done.barred)) == (1, 1, {})
    rows = await shelf.store.consents.of("acme", made.digests())
    assert [row["withdrawn_at"] for row in rows] == [NOW - DAY]


async def test_a_consent_that_an_erasure_has_kept_as_proof_is_a_basis_for_calls_again(shelf: Shelf) -> None:
    """When the bar is lifted; but not one that has been given since, nor another person's."""
    ended = NOW - 5 * DAY
    before = (agreed(), agreed(purpose="renewals", withdrawn=ended), agreed(OTHER))
    await person.called(shelf)
    await consents(shelf, *before)
    await erase(shelf, await person.asked(shelf), country="DE")
    await consents(shelf, agreed(given=person.now(), purpose="survey"))
    await shelf.store.suppressions.remove("acme", made.digests(), "cli:dpo", "back", reason=Reason.ERASURE)
    await consents(shelf, *before)
    rows = {row["purpose"]: row for row in await shelf.store.consents.of("acme", made.digests())}
    (erasure,) = await shelf.database.rows("SELECT begun_at FROM erasures")
    assert {purpose: row["withdrawn_at"] for purpose, row in rows.items()} == {
        "marketing": erasure["begun_at"], "renewals": ended, "survey": None,
    }  # fmt: skip
    offers = campaign(id="offers", legal_basis="consent", marketing=True)
    facts, _ = await shelf.store.calls.facts(gate.question(offers, person.now()), Sought(made.digests()))
    assert gate.refusal(offers, (), facts, person.now()) is Block.CONSENT_WITHDRAWN
    (theirs,) = await shelf.store.consents.of("acme", made.digests(number=OTHER))
    assert theirs["withdrawn_at"] is None


async def test_a_list_that_comes_in_during_an_erasure_outlives_it(shelf: Shelf) -> None:
    """The list has looked for bars, found none, and is not yet committed when the erasure begins."""
    await person.called(shelf)
    reference = await person.asked(shelf)
    async with shelf.database.transaction() as connection:
        await connection.execute(SQL["lock_consents"], "acme")
        await connection.execute(
            "INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, proof, origin) "
            "VALUES ('acme', $1, 1, 'marketing', 'phone', $2, 'x', 'x')", made.digests().newest, NOW - DAY,
        )  # fmt: skip
        erasing = asyncio.create_task(erase(shelf, reference))
        waits = asyncio.create_task(until_they_wait(shelf.database))
        await asyncio.wait({erasing, waits}, return_when=asyncio.FIRST_COMPLETED)
    waits.cancel()
    await erasing
    assert await count(shelf, "consents") == 0


NUMBERS_OF_REQUESTS = "SELECT FROM rights_requests WHERE number IS NOT NULL"


async def contacts(shelf: Shelf, *lines: tuple[Sourced, Sought]) -> None:
    """A list that looked for bars before there were any."""
    await shelf.store.contacts.load(
        made.QUESTION, lambda _: None, batches(*lines), origin="list", keep_going=False
    )


async def test_a_list_of_contacts_brings_a_person_back_who_asks_and_is_erased_meanwhile(shelf: Shelf) -> None:
    """Its slice has found no bar, and waits for another person's contact until the erasure is over or waits for the slice."""
    await person.called(shelf)
    await contacts(shelf, contact(OTHER))
    async with shelf.database.transaction() as connection:
        await connection.execute("SELECT FROM contacts FOR UPDATE")
        coming = asyncio.create_task(contacts(shelf, contact(), contact(OTHER, proof="form 13")))
        await until_they_wait(shelf.database)
        reference = await person.asked(shelf)
        erasing = asyncio.create_task(erase(shelf, reference))
        waits = asyncio.create_task(until_they_wait(shelf.database, 2))
        while not waits.done() and await shelf.database.rows(NUMBERS_OF_REQUESTS):
            pass
    waits.cancel()
    await asyncio.gather(coming, erasing)
    assert await shelf.store.contacts.of("acme", made.digests()) == []
    (other,) = await shelf.store.contacts.of("acme", made.digests(number=OTHER))
    assert other["proof"] == "form 13"


async def test_a_contact_that_a_list_keeps_under_a_newer_secret_meanwhile_outlives_an_erasure(
    shelf: Shelf,
) -> None:
    """The erasure has read it under the older one, and waits for a consent of the person before it deletes."""
    await person.known(shelf)
    digests = digests_under(made.NUMBER, 2)
    wanted = replace(await person.wanted(shelf, await person.asked(shelf)), subject=Subject("acme", digests))
    async with shelf.database.transaction() as connection:
        await connection.execute("SELECT FROM consents FOR UPDATE")
        erasing = asyncio.create_task(
            person.eraser(shelf).erase(wanted, ErasureTerms(person.now(), keep_proof=True))
        )
        await until_they_wait(shelf.database)
        coming = asyncio.create_task(contacts(shelf, contact(version=2)))
        waits = asyncio.create_task(until_they_wait(shelf.database, 2))
        await asyncio.wait({coming, waits}, return_when=asyncio.FIRST_COMPLETED)
    waits.cancel()
    await asyncio.gather(coming, erasing)
    assert await count(shelf, "contacts") == 0


async def test_an_erasure_and_a_list_of_consents_wait_for_one_another_for_ever(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both change the consents of a person; the list already has the controller's lock."""
    await person.called(shelf)
    await consents(shelf, agreed())
    reference = await person.asked(shelf)
    erase_rest = shelf.store.erasures.erase_rest

    async def beside_a_list(*given: Any) -> Any:
        async with shelf.database.transaction() as connection:
            await connection.execute(SQL["lock_consents"], "acme")
            erasing = asyncio.create_task(erase_rest(*given))
            await until_they_wait(shelf.database)
            await connection.execute("SELECT FROM consents FOR UPDATE")
        return await erasing

    monkeypatch.setattr(shelf.store.erasures, "erase_rest", beside_a_list)
    await erase(shelf, reference)
    assert await count(shelf, "consents") == 0


async def test_an_erasure_goes_unnoticed_in_the_requests_journal(shelf: Shelf) -> None:
    await person.called(shelf)
    reference = await person.asked(shelf)
    await erase(shelf, reference)
    shown = await shelf.store.requests.show(reference)
    assert shown.fault is None
    last = shown.history[-1]
    assert (last["who"], last["state"]) == ("cli:dpo", "in_progress")
    assert (
        last["reason"]
        == "erased: 1 call, 1 heard notice, 1 number in the forwarding queue, 1 number of a request"
    )
    assert shown.request["number"] is None
    # how it got there is proof of it
    assert shown.history[0]["reason"] == "letter 7"
    (row,) = await shelf.database.rows("SELECT * FROM erasures")
    assert (row["reference"], row["begun_by"], row["finished_at"] is None) == (reference, "cli:dpo", False)


async def test_an_erasure_reaches_another_person_or_another_controller(shelf: Shelf) -> None:
    other, elsewhere = await person.called(shelf, OTHER), await shelf.call(made.call("beta"))
    await person.known(shelf, OTHER)
    recordings = [await shelf.put(other), await shelf.put(elsewhere)]
    theirs = await person.asked(shelf, Right.ACCESS, OTHER)
    await person.called(shelf)
    reference = await person.asked(shelf)
    before = [await count(shelf, each) for each in ("contacts", "consents", "suppressions")]
    await erase(shelf, reference)
    assert [await shelf.fate(each) for each in recordings] == [None, None]
    assert None not in (await person.fields_of(shelf, other.id)).values()
    assert [await count(shelf, each) for each in ("contacts", "consents", "suppressions")] == before
    assert (await shelf.store.requests.show(theirs)).request["number"] == OTHER.e164
    rows = await shelf.database.rows("SELECT id FROM calls WHERE digest IS NOT NULL")
    assert {row["id"] for row in rows} == {other.id, elsewhere.id}


async def test_a_second_erasure_finds_more_or_is_put_on_record(shelf: Shelf) -> None:
    await person.called(shelf)
    await person.known(shelf)
    reference = await person.asked(shelf)
    await erase(shelf, reference)
    before = await shelf.store.requests.show(reference)
    assert (await erase(shelf, reference)).report is None
    assert await shelf.store.requests.show(reference) == before
    assert await count(shelf, "erasures") == 1


async def test_what_a_law_or_a_claim_needs_is_erased_or_keeps_all_else(shelf: Shelf) -> None:
    bound, claimed, free = [await person.called(shelf) for _ in range(3)]
    kept = [
        await shelf.put(bound, basis="legal_obligation"),
        await shelf.put(claimed),
    ]
    over = await shelf.put(free, basis="legal_obligation", limit=person.now() - DAY)
    hold = await shelf.store.holds.place(HoldOn(recording_id=kept[1]), "lawsuit", "cli:anna")
    reference = await person.asked(shelf)
    report = (await erase(shelf, reference)).report
    assert report is not None
    assert [await shelf.fate(each) for each in (*kept, over)] == [None, None, f"erasure {reference}"]
    assert {(each["what"], each["article"]) for each in report["kept"]} == {
        ("recording", "17(3)(b)"), ("recording", "17(3)(e)"), ("call", "17(3)(b)"), ("call", "17(3)(e)"),
    }  # fmt: skip
    assert "legal hold 1 (lawsuit)" in str(report["kept"])
    for call in (bound, claimed):
        assert None not in (await person.fields_of(shelf, call.id)).values()
    assert None in (await person.fields_of(shelf, free.id)).values()
    # when the hold has ended, the rest of it is finished, though the request is closed
    await person.resolved(shelf, reference)
    await shelf.store.holds.release(hold["id"], "settled", "cli:anna")
    report = (await erase(shelf, reference)).report
    assert report is not None
    assert report["erased"] == {"recording": 1, "call": 1}
    assert await shelf.fate(kept[1]) == f"erasure {reference}"


async def test_a_clock_that_was_behind_has_what_a_law_needs_erased(shelf: Shelf) -> None:
    call = await person.called(shelf)
    bound = await shelf.put_by_another_clock(
        person.now(), ours=person.now() - 9000 * DAY, call=call, basis="legal_obligation"
    )
    report = (await erase(shelf, await person.asked(shelf))).report
    assert report is not None
    assert await shelf.fate(bound) is None
    assert None not in (await person.fields_of(shelf, call.id)).values()


@pytest.mark.parametrize("on", ["number", "request", "call"])
async def test_what_is_held_whole_is_erased(shelf: Shelf, on: str) -> None:
    call = await person.called(shelf)
    recording = await shelf.put(call)
    reference = await person.asked(shelf)
    await shelf.database.rows("DELETE FROM heard_notices")
    if on != "call":
        await person.known(shelf)
    known = await count(shelf, "contacts"), await count(shelf, "consents")
    things = {
        "number": HoldOn(subject=Subject("acme", made.digests())), "request": HoldOn(reference=reference),
        "call": HoldOn(call_id=call.id),
    }  # fmt: skip
    await shelf.store.holds.place(things[on], "lawsuit", "cli:anna")
    with pytest.raises(
        RequestError, match=r"nothing is erased for ACME.*legal hold 1 \(lawsuit\).*17\(3\)\(e\)"
    ):
        await erase(shelf, reference)
    assert await shelf.fate(recording) is None
    assert None not in (await person.fields_of(shelf, call.id)).values()
    assert (await count(shelf, "contacts"), await count(shelf, "consents")) == known
    assert await count(shelf, "erasures") == 0


@pytest.mark.parametrize("right", [Right.ACCESS, Right.RESTRICTION, Right.HUMAN_REVIEW])
async def test_what_another_request_of_the_person_needs_is_erased(shelf: Shelf, right: Right) -> None:
    call = await person.called(shelf)
    await person.known(shelf)
    recording = await shelf.put(call)
    other, reference = await person.asked(shelf, right), await person.asked(shelf)
    with pytest.raises(RequestError, match=f"request {other}.*no ground to refuse this one: answer it first"):
        await erase(shelf, reference)
    assert await shelf.fate(recording) is None
    assert await count(shelf, "contacts") == 2
    await shelf.store.requests.step(other, RequestState.WITHDRAWN, by("cli:anna", "by phone"))
    await erase(shelf, reference)
    assert await shelf.fate(recording) == f"erasure {reference}"
    assert await count(shelf, "contacts") == 0


async def test_the_proof_of_a_consent_that_was_used_is_lost_or_cannot_be_dropped(shelf: Shelf) -> None:
    call = await person.called(shelf)
    await person.known(shelf)
    consent = await person.used(shelf, call)
    reference = await person.asked(shelf)
    report = (await erase(shelf, reference)).report
    assert report is not None
    assert [(each["what"], each["ground"]) for each in report["kept"]] == [("consent", "proof_of_consent")]
    (row,) = await shelf.database.rows("SELECT id, proof FROM consents")
    assert (row["id"], row["proof"]) == (consent, "form 12")
    report = (await erase(shelf, reference, keep_proof=False)).report
    assert report is not None
    assert report["erased"] == {"consent": 1}
    assert (await count(shelf, "consents"), await count(shelf, "consent_uses")) == (0, 0)


async def test_the_proof_of_a_consent_that_german_law_has_kept_is_erased_or_cannot_be_dropped(
    shelf: Shelf,
) -> None:
    await person.called(shelf)
    await person.known(shelf)
    reference = await person.asked(shelf)
    report = (await erase(shelf, reference, country="DE")).report
    assert report is not None
    assert [(each["what"], each["ground"], each["count"]) for each in report["kept"]] == [
        ("consent", "proof_of_grant", 2)
    ]
    assert await count(shelf, "consents") == 2
    report = (await erase(shelf, reference, country="DE", keep_proof=False)).report
    assert report is not None
    assert report["erased"] == {"consent": 2}


def test_a_polish_controller_drops_the_proof_of_a_consent_to_calls_in_germany() -> None:
    def ground(number: str) -> Ground | None:
        terms = terms_now(CONTROLLER, Number(number), keep_proof=True)
        return terms.ground(Thing(What.CONSENT, "1", given_at=terms.now - DAY), {})

    assert (ground("+4915112345678"), ground("+48600100001")) == (Ground.GRANT, None)


async def test_a_call_that_goes_on_loses_its_rows(shelf: Shelf) -> None:
    over, goes_on = await person.called(shelf), await shelf.call()
    await shelf.store.calls.append(goes_on.id, "call_gated", {"key": "5"})
    reference = await person.asked(shelf)
    report = (await erase(shelf, reference)).report
    assert report is not None
    assert [(each["what"], each["ground"]) for each in report["kept"]] == [("call", "under_way")]
    assert (await person.fields_of(shelf, goes_on.id)) == {"call_gated": {"key": "5"}}
    assert (await person.fields_of(shelf, over.id))["call_ended"] is None
    await shelf.store.calls.close(goes_on.id, "bridged", "", ())
    await erase(shelf, reference)
    assert (await person.fields_of(shelf, goes_on.id))["call_gated"] is None


async def test_an_erasure_and_a_withdrawal_wait_for_one_another_for_ever(
    shelf: Shelf, database: Database
) -> None:
    """Both write to a consent that is kept, and to the bar of an earlier withdrawal, into which somebody wrote the
    number.
    """
    call = await person.called(shelf)
    await shelf.store.suppressions.add(
        "acme", made.digests(), Reason.WITHDRAW_CONSENT, "cli:anna", made.NUMBER.e164
    )
    # given since
    await consents(shelf, agreed(proof=made.NUMBER.e164, given=person.now()))
    await person.used(shelf, call)
    reference = await person.asked(shelf)
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM consents FOR UPDATE")
        withdrawing = asyncio.create_task(
            shelf.store.consents.withdraw(
                "acme", made.digests(), person.now(), purpose=None, purposes={}, origin="cli:anna", proof="letter 9"
            )
        )  # fmt: skip
        await until_they_wait(database)
        erasing = asyncio.create_task(erase(shelf, reference))
        await until_they_wait(database, 2)
    await asyncio.gather(withdrawing, erasing)


@pytest.mark.parametrize(("change", "given"), [("erase_numbers", ()), ("requests_sealed", ([1, 1],))])
async def test_two_that_change_the_same_requests_wait_for_one_another_for_ever(
    shelf: Shelf, change: str, given: tuple[Any, ...]
) -> None:
    """Rows of a small table are read in the order in which they lie: a changed row lies behind the others."""
    first, second = [await person.asked(shelf, right) for right in (Right.ACCESS, Right.ERASURE)]
    await shelf.database.rows("UPDATE rights_requests SET sealed = sealed WHERE reference = $1", first)
    lock = "SELECT FROM rights_requests WHERE reference = $1 FOR UPDATE"
    async with shelf.database.transaction() as connection:
        await connection.execute(lock, first)
        changing = asyncio.create_task(shelf.database.rows(SQL[change], [second, first], *given))
        await until_they_wait(shelf.database)
        await connection.execute(lock, second)
    await changing


async def test_a_table_that_takes_too_long_keeps_an_erasure_from_its_end(
    shelf: Shelf, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A held table stands here for one of hundreds of gigabytes: the erasure is done, and says what is left."""
    monkeypatch.setattr(traces, "_LOCK", "SET lock_timeout TO '1h'")
    monkeypatch.setattr(traces, "MOST_SECONDS", 1)
    await person.called(shelf)
    reference = await person.asked(shelf)
    async with connected(dsn) as holder, holder.transaction():
        await holder.execute("LOCK TABLE ccari.call_event_fields IN SHARE UPDATE EXCLUSIVE MODE")
        report = (await erase(shelf, reference)).report
    assert report is not None
    assert report["traces"]["left"]["call_event_fields"] == "canceling statement due to statement timeout"
    assert (await erase(shelf, reference)).report is None


async def test_a_table_that_somebody_rewrites_keeps_an_erasure_from_its_end(shelf: Shelf, dsn: str) -> None:
    """As another erasure does, and an administrator whom the report of one has told to."""
    reference = await person.asked(shelf)
    erasure = await shelf.store.erasures.begin(await person.wanted(shelf, reference), "cli:dpo")
    async with connected(dsn) as holder, holder.transaction():
        await holder.execute("LOCK TABLE ccari.call_event_fields IN ACCESS EXCLUSIVE MODE")
        cleared = await shelf.store.erasures.clear_traces(erasure)
    assert cleared["left"]["call_event_fields"] == "canceling statement due to lock timeout"
    assert (await erase(shelf, reference)).report is not None


async def test_rows_that_a_dump_still_sees_are_reported_as_gone(
    shelf: Shelf, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL writes them into the new file too, as long as a transaction can see them."""
    monkeypatch.setattr(traces, "PATIENCE_SECONDS", 0)
    await person.called(shelf)
    reference = await person.asked(shelf)
    async with connected(dsn) as dump, dump.transaction(isolation="repeatable_read", readonly=True):
        await dump.execute("SELECT FROM ccari.rights_requests")
        report = (await erase(shelf, reference)).report
        (seen,) = await dump.fetch("SELECT number FROM ccari.rights_requests")
    assert seen["number"] == made.NUMBER.e164
    assert report is not None
    assert (
        "VACUUM FULL deletions, forwards, request_event_details, rights_requests"
        in report["traces"]["left"]["old versions of rows"]
    )


async def begin_alone(connection: asyncpg.Connection) -> None:
    """While another transaction writes anywhere on the server (autovacuum's, for example), PostgreSQL keeps for those
    that begin what was there before it began.
    """
    alone = "SELECT pg_snapshot_xmin(seen) = pg_snapshot_xmax(seen) FROM pg_current_snapshot() AS seen"
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    while not await connection.fetchval(alone):
        await connection.execute("ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ")


async def test_an_erasure_reports_rows_that_nobody_sees_any_more(shelf: Shelf, dsn: str) -> None:
    """A transaction that sees them ends a moment later, as those of calls do; one that has begun since goes on."""
    await person.called(shelf)
    reference, before, since = (
        await person.asked(shelf),
        await asyncpg.connect(dsn),
        await asyncpg.connect(dsn),
    )
    sees = before.transaction(isolation="repeatable_read", readonly=True)
    await sees.start()
    await before.execute("SELECT FROM ccari.rights_requests")
    clear = shelf.store.erasures.clear_traces

    async def clear_while_it_ends(erasure: int) -> Any:
        async with asyncio.timeout(20):
            await begin_alone(since)
            await since.execute("SELECT FROM ccari.rights_requests")
            clearing = asyncio.create_task(clear(erasure))
            asked = "SELECT FROM pg_stat_activity WHERE state = 'idle' AND query LIKE '%pg_prepared_xacts%' AND pid <> pg_backend_pid()"
            while not await shelf.database.rows(asked):
                pass
        await sees.rollback()
        return await clearing

    shelf.store.erasures.clear_traces = clear_while_it_ends  # type: ignore[method-assign]
    report = (await erase(shelf, reference)).report
    for each in (before, since):
        await each.close()
    assert report is not None
    assert "old versions of rows" not in report["traces"]["left"]


async def state(shelf: Shelf, recording: UUID) -> str:
    return str((await shelf.row(recording))["state"])


@pytest.mark.parametrize(
    ("basis", "becomes"), [("legitimate_interest", "discarded"), ("legal_obligation", "stored")]
)
async def test_a_recording_that_was_lost_comes_back_after_its_calls_erasure(
    shelf: Shelf, basis: str, becomes: str
) -> None:
    """The spool was not mounted; what the law requires is kept until its limit all the same."""
    call, other = await person.called(shelf), await person.called(shelf, OTHER)
    recording, theirs = await shelf.lose(call, basis=basis), await shelf.lose(other)
    await erase(shelf, await person.asked(shelf))
    assert (await person.fields_of(shelf, call.id))["recording_lost"] is None
    for each in (recording, theirs):
        shelf.mount(each)
    await shelf.tend()
    assert [await state(shelf, each) for each in (recording, theirs)] == [becomes, "stored"]
    assert files(shelf.spool) == []
    assert any(str(recording) in each for each in files(shelf.folder)) == (becomes == "stored")


async def test_a_recording_that_turns_up_during_an_erasure_is_left_without_its_row(
    shelf: Shelf, database: Database
) -> None:
    """It is counted among what waits, and the erasure holds the call."""
    call = await person.called(shelf)
    recording = await shelf.lose(call)
    shelf.mount(recording)
    async with database.transaction() as connection:
        await connection.execute("SELECT FROM calls WHERE id = $1 FOR UPDATE", call.id)
        await connection.execute("UPDATE recordings SET state = 'discarded' WHERE id = $1", recording)
        tending = asyncio.create_task(shelf.tend())
        await until_they_wait(database)
    assert await tending == 0
    assert (await state(shelf, recording), files(shelf.spool), files(shelf.folder)) == ("discarded", [], [])


async def test_an_erasure_passes_over_a_recording_that_has_just_turned_up(
    shelf: Shelf, database: Database
) -> None:
    call = await person.called(shelf)
    recording = await shelf.lose(call)
    shelf.mount(recording)
    (tag,) = [each.tag for each in await shelf.store.recordings.waiting([recording])]
    reference = await person.asked(shelf)
    async with database.transaction() as connection:
        await connection.execute(SQL["lock_chain"], call.id)
        await connection.execute(SQL["take_up_recording"], recording)
        erasing = asyncio.create_task(erase(shelf, reference))
        await until_they_wait(database)
    report = (await erasing).report
    assert report is not None
    assert {(each["what"], each["ground"]) for each in report["kept"]} == {
        ("recording", "under_way"), ("call", "under_way"),
    }  # fmt: skip
    assert await shelf.store.recordings.taken_up(tag)
    assert await shelf.tend() == 1
    await erase(shelf, reference)
    assert await shelf.fate(recording) == f"erasure {reference}"


async def test_a_controller_is_never_told_whom_it_is_to_forget(shelf: Shelf) -> None:
    """What waits to be forwarded keeps the number until it has been delivered; what was given up on has waited long
    enough.
    """
    given_up, reference = await person.asked(shelf, Right.OBJECTION_MARKETING), await person.asked(shelf)
    await person.resolved(shelf, given_up)
    await shelf.database.rows(
        "UPDATE forwards SET state = 'given_up', settled_at = now() WHERE reference = $1", given_up
    )
    wanted = replace(await person.wanted(shelf, reference), forwarded=True)
    report = (await person.eraser(shelf).erase(wanted, ErasureTerms(person.now()))).report
    assert report is not None
    assert [(each["what"], each["count"], each["ground"]) for each in report["kept"]] == [
        ("number in the forwarding queue", 1, "controller_not_told")
    ]
    rows = await shelf.database.rows("SELECT reference, seq FROM forwards WHERE number IS NOT NULL")
    assert [(row["reference"], row["seq"]) for row in rows] == [(reference, 1)]


@pytest.mark.parametrize("right", [Right.ERASURE, Right.RECTIFICATION])
async def test_an_erasure_takes_the_number_that_a_controller_is_told_when_the_request_is_closed(
    shelf: Shelf, right: Right
) -> None:
    """What was given up for an open request is sent once more when the request is closed, with the number (Art
    28(3)(e)).
    """
    reference = await person.asked(shelf)
    given_up = reference if right is Right.ERASURE else await person.asked(shelf, right)
    await shelf.database.rows(
        "UPDATE forwards SET state = 'given_up', settled_at = now() WHERE reference = $1", given_up
    )
    wanted = replace(await person.wanted(shelf, reference), forwarded=True)
    await person.eraser(shelf).erase(wanted, ErasureTerms(person.now()))
    await person.resolved(shelf, given_up)
    (first, *_) = await shelf.database.rows(
        "SELECT state, number FROM forwards WHERE reference = $1 ORDER BY seq", given_up
    )
    assert (first["state"], first["number"]) == ("waiting", made.NUMBER.e164)


async def test_a_file_that_cannot_be_removed_ends_the_erasure(shelf: Shelf) -> None:
    stuck = await shelf.put(await person.called(shelf))
    file = shelf.folder / (await shelf.row(stuck))["file"]
    file.unlink()
    file.mkdir()
    reference = await person.asked(shelf)
    done = await erase(shelf, reference)
    assert (done.report, len(done.faults)) == (None, 1)
    file.rmdir()
    report = (await erase(shelf, reference)).report
    assert report is not None
    assert await shelf.fate(stuck) == f"erasure {reference}"
    assert report["erased"]["recording"] == 1


#: Each step of an erasure; whoever is killed dies before or after the n-th time that one is taken.
STEPS: dict[str, tuple[object, str]] = {
    "begun": (Erasures, "begin"),
    "decided": (PostgresSweep, "decide"),
    "removed": (Path, "unlink"),
    "carried out": (PostgresSweep, "carried_out"),
    "call told": (journals, "append"),
    "calls": (Erasures, "erase_calls"),
    "rest": (Erasures, "erase_rest"),
    "cleared": (traces, "_clear_log"),
    "noted": (mandates, "note"),
    "ended": (Erasures, "end"),
}


async def nothing_to_clear(_connection: object) -> None:
    return None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("step", "at"),
    [(step, at) for step in STEPS for at in ((1, 2) if step in {"removed", "call told", "calls"} else (1,))],
)
async def test_whoever_is_killed_leaves_an_erasure_half_done(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, step: str, at: int, *, after: bool
) -> None:
    calls = [await person.called(shelf) for _ in range(2)]
    await person.known(shelf)
    recording = await shelf.put(calls[0])
    reference = await person.asked(shelf)
    # a checkpoint takes its time, and has its own test
    monkeypatch.setattr(traces, "_clear_log", nothing_to_clear)
    with monkeypatch.context() as patch:
        kill(patch, STEPS[step], after=after, at=at)
        with pytest.raises(KilledError):
            await erase(shelf, reference)
    await erase(shelf, reference)
    assert await shelf.fate(recording) == f"erasure {reference}"
    for call in calls:
        told = await person.fields_of(shelf, call.id)
        assert {name for name, fields in told.items() if fields is not None} <= {
            "recording_deleted", "personal_data_erased",
        }  # fmt: skip
        events = [each["event"] for each in (await shelf.store.records.show_call(call.id)).events]
        assert events.count("personal_data_erased") == 1
    for table in ("contacts", "consents", "heard_notices", "deletions"):
        assert await count(shelf, table) == 0
    (row,) = await shelf.database.rows("SELECT report FROM erasures WHERE finished_at IS NOT NULL")
    assert '"call": 2' in row["report"]
    assert '"recording": 1' in row["report"]
    shown = await shelf.store.requests.show(reference)
    assert shown.fault is None
    assert [each["reason"].partition(":")[0] for each in shown.history] == ["letter 7", "erased"]
    assert (await erase(shelf, reference)).report is None


async def refused(shelf: Shelf, reference: str) -> None:
    await shelf.store.requests.step(reference, RequestState.REFUSED, by("cli:ewa", "their claim is in court"))


async def withdrawn(shelf: Shelf, reference: str) -> None:
    await shelf.store.requests.step(
        reference, RequestState.WITHDRAWN, by("cli:ewa", "they have rung to say so")
    )


async def doubted(shelf: Shelf, reference: str) -> None:
    await shelf.store.requests.verify(reference, Level.L1, by("cli:ewa", "the letter is not theirs"))


@pytest.mark.parametrize("changed", [refused, withdrawn, doubted])
async def test_what_a_request_asked_for_is_erased_after_a_colleague_has_said_no(
    shelf: Shelf, changed: Callable[[Shelf, str], Awaitable[None]]
) -> None:
    """While it is looked up what would go, which takes seconds in a large database."""
    call = await person.called(shelf)
    recording = await shelf.put(call)
    reference = await person.asked(shelf)
    wanted = await person.wanted(shelf, reference)
    await changed(shelf, reference)
    with pytest.raises(RequestError, match=f"{reference} was changed meanwhile: try again"):
        await person.eraser(shelf).erase(wanted, ErasureTerms(person.now()))
    assert await count(shelf, "erasures") == await count(shelf, "deletions") == 0
    assert all(fields is not None for fields in (await person.fields_of(shelf, call.id)).values())
    assert await shelf.fate(recording) is None


async def test_a_request_is_refused_while_an_erasure_on_it_begins(shelf: Shelf) -> None:
    reference = await person.asked(shelf)
    wanted = await person.wanted(shelf, reference)
    async with shelf.database.transaction() as connection:
        await connection.execute(SQL["lock_request"], reference)
        beginning = asyncio.create_task(shelf.store.erasures.begin(wanted, "cli:dpo"))
        await until_they_wait(shelf.database)
        refusing = asyncio.create_task(refused(shelf, reference))
        await until_they_wait(shelf.database, 2)
    await beginning
    with pytest.raises(RequestError, match="erasure"):
        await refusing


async def test_what_was_erased_can_be_changed_or_taken_off_the_record(shelf: Shelf) -> None:
    reference = await person.asked(shelf)
    await erase(shelf, reference)
    for statement in ("UPDATE erasures SET report = '{}'", "DELETE FROM erasures", "TRUNCATE erasures"):
        with pytest.raises(StoreError):
            await shelf.database.rows(statement)


async def test_a_bar_that_was_lifted_tells_on_in_which_call_it_came(shelf: Shelf) -> None:
    call = await person.called(shelf)
    await shelf.store.calls.register_right(call, made.exercise(Right.OBJECTION_MARKETING), ())
    await shelf.store.suppressions.remove("acme", made.digests(), "cli:anna", "asked for it")
    await erase(shelf, await person.asked(shelf))
    assert [
        each["call_id"] for each in await shelf.database.rows("SELECT call_id FROM removed_suppressions")
    ] == [None]


async def test_nothing_can_be_erased_where_the_tables_are_published(shelf: Shelf) -> None:
    """By logical replication, to a database for reports: PostgreSQL refuses to change a row there that no key identifies."""
    published = await shelf.database.rows(
        "SELECT string_agg(quote_ident(tablename), ', ') AS named FROM pg_tables WHERE schemaname = current_schema"
    )
    await shelf.database.execute(f"CREATE PUBLICATION reports FOR TABLE {published[0]['named']}")
    call = await person.called(shelf)
    await shelf.store.calls.register_right(call, made.exercise(Right.OBJECTION_MARKETING), ())
    await shelf.store.suppressions.remove("acme", made.digests(), "cli:anna", "asked for it")
    assert (await erase(shelf, await person.asked(shelf))).report is not None
    assert await shelf.database.rows("SELECT call_id FROM removed_suppressions") == [{"call_id": None}]


async def test_a_lifted_bar_can_be_changed_by_an_erasure(shelf: Shelf) -> None:
    """Migration 0009 lets what people wrote be erased, and nothing else."""
    await person.known(shelf)
    for change in ("why = 'another'", "reason = 'erasure'", "removed_by = 'cli:eva'", "proof = 'x'"):
        with pytest.raises(StoreError):
            await shelf.database.rows(f"UPDATE removed_suppressions SET {change}")  # noqa: S608
    await shelf.database.rows("UPDATE removed_suppressions SET why = 'erased', proof = 'erased'")
