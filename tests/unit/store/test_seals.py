"""Journals are sealed once over, and again when they have grown; what was changed since shows, and is not sealed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ccari.errors import EvidenceError, StoreError, UnknownError
from ccari.policy import chain, merkle
from ccari.policy.rights import EFFECTS, Level, RequestState, Right
from ccari.policy.seal import FIRST, Kind, Leaf, Statement, statement
from ccari.policy.suppression import Reason
from ccari.ports.accesses import Access, Looked
from ccari.ports.calls import OpenedCall
from ccari.ports.evidence import Account, Seal
from ccari.ports.requests import Clock, Handling
from ccari.recordings.evidence import pack as packs
from ccari.recordings.evidence import proving
from ccari.recordings.evidence.checking import check
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.evidence.sealer import Sealer
from ccari.recordings.evidence.verifying import verify
from ccari.store import journals
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.queries import SQL
from tests.unit.store import made
from tests.unit.store.forging import forge

KEY = Ed25519PrivateKey.generate()
SIGNED_SECONDS = 10.0
HANDLING = Handling("cli:anna", Clock(made.NOW, {"acme": "PL"}), "done")


def sign(leaves: Sequence[Leaf], before: Statement | None) -> Seal:
    told = statement(leaves, before, "f" * 16, datetime.now(UTC))
    return Seal(told, KEY.sign(told.canonical))


async def closed(store: Store, *events: str) -> OpenedCall:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.close(call.id, "failed", "", made.journal(*(events or ("call_gated", "call_ended"))))
    return call


async def looks(store: Store, count: int) -> None:
    for _ in range(count):
        await store.accesses.note(Access(Looked.NUMBER_CHECKED, "cli:anna", {"digest": "00"}))


def proven(account: Account) -> list[int]:
    """How many entries each seal of the account covers."""
    for each in account.seals:
        KEY.public_key().verify(each.seal.signature, each.seal.statement.canonical)
        told = each.seal.statement
        assert merkle.is_included(each.leaf.canonical, each.index, told.leaves, each.path, told.root)
        assert account.journal[each.leaf.events - 1].link == each.leaf.link
    return [each.leaf.events for each in account.seals]


async def test_a_call_that_is_over_is_not_sealed_or_an_open_one_is(store: Store) -> None:
    over, goes_on = await closed(store), made.call()
    await store.calls.open(goes_on, made.question(goes_on))
    await store.calls.append(goes_on.id, "call_gated", {})
    assert await store.seals.seal(sign, 10) == 1
    account = await store.seals.of_call(over.id)
    assert (account.kind, account.id, proven(account)) == (Kind.CALL, str(over.id), [2])
    assert (await store.seals.of_call(goes_on.id)).seals == []
    assert await store.seals.seal(sign, 10) == 0


async def test_evidence_waits_until_all_that_waits_beside_it_is_sealed(store: Store, tmp_path: Path) -> None:
    """After an outage, or when many calls have expired, that may take minutes."""
    keys = SigningKeys(tmp_path)
    keys.create()
    prover = Prover(store.seals, keys, lambda _policy, _account: [])
    asked_for, beside = await closed(store), await closed(store)
    reference = await store.requests.add("acme", made.exercise(Right.ERASURE), made.digests())
    another = await store.requests.add("acme", made.exercise(Right.ERASURE), made.digests())
    await looks(store, 1)
    for which in (str(asked_for.id), reference):
        account = await prover.sealed(which)
        assert [each.leaf.events for each in account.seals] == [len(account.journal)]
        assert account.seals[-1].seal.statement.leaves == 1
        assert (await prover.sealed(which)).seals == account.seals
    assert (await store.seals.of_call(beside.id)).seals == []
    assert (await store.seals.of_request(another)).seals == []
    await store.calls.append(asked_for.id, "recording_deleted", {"why": "retention"})
    assert [each.leaf.events for each in (await prover.sealed(str(asked_for.id))).seals] == [2, 3]
    # the rest is sealed as ever, behind these
    assert await Sealer(store.seals, keys).seal() == 3
    assert (await check(store.seals, keys.all())).unfit == []


async def test_a_check_shows_no_progress_while_it_checks_the_seals(store: Store, tmp_path: Path) -> None:
    """With millions of journals that takes minutes."""
    keys = SigningKeys(tmp_path)
    keys.create()
    sealer, seen = Sealer(store.seals, keys), list[int]()
    for _ in range(2):
        await closed(store)
        await closed(store)
        await sealer.seal()
    assert (await check(store.seals, keys.all(), seen.append)).journals == 4
    assert seen == [2, 4]


async def test_an_open_call_or_one_that_was_changed_is_sealed_by_itself(
    store: Store, database: Database
) -> None:
    goes_on, changed = made.call(), await closed(store)
    await store.calls.open(goes_on, made.question(goes_on))
    await store.calls.append(goes_on.id, "call_gated", {})
    await database.rows("UPDATE calls SET events = events + 1 WHERE id = $1", changed.id)
    for call in (goes_on, changed, made.call()):
        assert not await store.seals.seal_one(sign, Kind.CALL, str(call.id))
    assert not await store.seals.seal_one(sign, Kind.REQUEST, "ACME-2026-000001")


async def test_invariant_7_the_account_of_a_request_tells_of_another_controllers_bar(store: Store) -> None:
    """Whoever enters a bar writes what they like as its proof."""
    reference = await store.requests.add("acme", made.exercise(Right.ERASURE), made.digests())
    another = made.digests(number=made.numbers(2)[1])
    for controller, digests in (("other", made.digests("other")), ("acme", another)):
        await store.suppressions.add(controller, digests, Reason.OBJECTION, "cli:anna", reference)
    (bar,) = (await store.seals.of_request(reference)).bars
    assert (bar["reason"], bar["proof"]) == ("erasure", reference)
    lifted = await store.suppressions.remove(
        "acme", made.digests(), "anna", "a mistake", reason=Reason.ERASURE
    )
    assert len(lifted) == 1
    (bar,) = (await store.seals.of_request(reference)).bars
    assert bar["removed_at"] is not None


async def test_evidence_of_an_objection_lacks_the_bar_that_an_earlier_one_has_entered(store: Store) -> None:
    first, second = [
        await store.requests.add("acme", made.exercise(Right.OBJECTION), made.digests()) for _ in range(2)
    ]
    access = await store.requests.add("acme", made.exercise(Right.ACCESS), made.digests())
    for reference in (first, second):
        bars = (await store.seals.of_request(reference)).bars
        assert [(each["reason"], each["proof"]) for each in bars] == [("objection", first)]
    assert (await store.seals.of_request(access)).bars == []


async def test_evidence_of_a_request_names_the_bar_that_another_has_entered(store: Store) -> None:
    first = await store.requests.add("acme", made.exercise(Right.OBJECTION), made.digests())
    await store.suppressions.remove("acme", made.digests(), "anna", "taken back", reason=Reason.OBJECTION)
    second = await store.requests.add("acme", made.exercise(Right.OBJECTION), made.digests())
    for reference, lifted in ((first, True), (second, False)):
        (bar,) = (await store.seals.of_request(reference)).bars
        assert (bar["proof"], bar["removed_at"] is not None) == (reference, lifted)
        (bar,) = (await store.requests.show(reference)).bars
        assert (bar["proof"], bar["removed_at"] is not None) == (reference, lifted)


async def test_evidence_of_a_withdrawal_lacks_its_bar_since_another_has_renewed_it(store: Store) -> None:
    later = datetime.now(UTC) + timedelta(minutes=1)
    first, second = [
        await store.requests.add(
            "acme", replace(made.exercise(Right.WITHDRAW_CONSENT), received_at=at), made.digests()
        )
        for at in (made.NOW, later)
    ]
    for reference in (first, second):
        (bar,) = (await store.seals.of_request(reference)).bars
        assert (bar["reason"], bar["proof"], bar["removed_at"]) == ("withdraw_consent", second, None)
        assert len((await store.requests.show(reference)).bars) == 1


async def test_evidence_of_a_request_names_a_bar_once_for_each_secret(store: Store) -> None:
    reference = await store.requests.add("acme", made.exercise(Right.OBJECTION), made.digests())
    async with store.database.connection() as connection:
        await connection.execute("UPDATE rights_requests SET digests = digests || $1::bytea", bytes(32))
        await connection.execute(
            "INSERT INTO suppressions (controller, digest, key_version, campaign, reason, origin, proof, entered_at)"
            " SELECT controller, $1, 2, campaign, reason, origin, proof, entered_at FROM suppressions", bytes(32),
        )  # fmt: skip
    assert len((await store.seals.of_request(reference)).bars) == 1


async def test_what_a_journal_has_grown_by_stays_unsealed(store: Store, database: Database) -> None:
    call = await closed(store)
    assert await store.seals.seal(sign, 10) == 1
    await store.calls.append(call.id, "recording_deleted", {"why": "retention"})
    assert await store.seals.seal(sign, 10) == 1
    async with database.transaction() as connection:
        await journals.append_to_each(connection, {call.id: made.journal("recording_deleted")})
    assert await store.seals.seal(sign, 10) == 1
    assert proven(await store.seals.of_call(call.id)) == [2, 3, 4]


async def test_what_a_journal_grows_by_while_it_is_sealed_stays_unsealed(store: Store) -> None:
    call, loop = await closed(store), asyncio.get_running_loop()

    def slowly(leaves: Sequence[Leaf], before: Statement | None) -> Seal:
        grown = store.calls.append(call.id, "recording_deleted", {"why": "retention"})
        asyncio.run_coroutine_threadsafe(grown, loop).result(SIGNED_SECONDS)
        return sign(leaves, before)

    assert await store.seals.seal(slowly, 10) == 1
    assert proven(await store.seals.of_call(call.id)) == [2]
    assert await store.seals.seal(sign, 10) == 1
    assert proven(await store.seals.of_call(call.id)) == [2, 3]


async def test_a_requests_steps_stay_unsealed(store: Store) -> None:
    reference = await store.requests.add(
        "acme", replace(made.exercise(Right.ACCESS), level=Level.L2), made.digests()
    )
    assert await store.seals.seal(sign, 10) == 1
    await store.requests.step(reference, RequestState.FULFILLED, HANDLING)
    assert await store.seals.seal(sign, 10) == 1
    account = await store.seals.of_request(reference)
    assert (account.kind, proven(account)) == (Kind.REQUEST, [1, 2])
    assert [each.event.split()[:2] for each in account.journal] == [["received", "L2"], ["fulfilled", "L2"]]
    assert "number" not in account.subject


async def test_a_seal_does_not_name_the_one_before_it(store: Store) -> None:
    statements = []
    for _ in range(3):
        call = await closed(store)
        await store.seals.seal(sign, 10)
        (sealed,) = (await store.seals.of_call(call.id)).seals
        statements.append(sealed.seal.statement)
    assert [each.before for each in statements] == [FIRST, statements[0].digest, statements[1].digest]


async def test_many_journals_are_one_seal_or_some_are_left_out(store: Store) -> None:
    calls = [await closed(store) for _ in range(7)]
    assert [await store.seals.seal(sign, 3) for _ in range(4)] == [3, 3, 1, 0]
    for call in calls:
        assert proven(await store.seals.of_call(call.id)) == [2]


@pytest.mark.usefixtures("bounded")
async def test_calls_that_have_expired_together_keep_all_from_being_sealed(
    store: Store, database: Database
) -> None:
    """Each was sealed, and has since grown by an entry; the planner knows of them, as it does a minute later."""
    few = await closed(store)
    async with database.outside_pool(slow_reader=True) as connection:
        await connection.execute(
            "CREATE TEMP TABLE made AS SELECT gen_random_uuid() AS id, sha256(n::text::bytea) AS link, n FROM generate_series(1, 8000) AS n"
        )
        await connection.execute(
            "INSERT INTO calls (id, asterisk, revision, controller, campaign, legal_basis, agent, digest, key_version, number_masked,"
            " token, last_link, outcome, opened_at, ended_at, events)"
            " SELECT made.id, asterisk, revision, controller, campaign, legal_basis, agent, digest, key_version, number_masked,"
            " token, link, outcome, now() - interval '2 years', now() - interval '1 year', 2 FROM calls, made"
        )
        await connection.execute(
            "INSERT INTO call_events (call_id, seq, at, event, commitment, link)"
            " SELECT id, seq, now(), 'x', link, CASE seq WHEN 2 THEN link ELSE sha256(link) END FROM made, generate_series(1, 2) AS seq"
        )
        await connection.execute(
            "INSERT INTO seals (sealed_at, leaves, root, before, key, signature)"
            " VALUES (now() - interval '1 year', 8000, sha256('a'), sha256('b'), 'k', 'x')"
        )
        await connection.execute(
            "INSERT INTO sealed (seal, leaf, kind, id, events, link)"
            " SELECT seals.id, n, 'call', made.id::text, 1, sha256(link) FROM seals, made"
        )
        await connection.execute("ANALYZE")
    assert await store.seals.seal(sign, 1000) == 1000
    assert proven(await store.seals.of_call(few.id)) == [2]


async def test_two_that_seal_at_once_seal_something_twice(store: Store, database: Database) -> None:
    calls = [await closed(store) for _ in range(5)]
    assert sorted(await asyncio.gather(*(store.seals.seal(sign, 10) for _ in range(4)))) == [0, 0, 0, 5]
    assert len(await database.rows("SELECT * FROM seals")) == 1
    for call in calls:
        assert proven(await store.seals.of_call(call.id)) == [2]


async def test_a_key_that_fails_leaves_half_a_seal(store: Store, database: Database) -> None:
    def fails(leaves: Sequence[Leaf], before: Statement | None) -> Seal:
        raise StoreError("no key")

    call = await closed(store)
    with pytest.raises(StoreError, match="no key"):
        await store.seals.seal(fails, 10)
    assert await database.rows("SELECT * FROM seals") == []
    assert await store.seals.seal(sign, 10) == 1
    assert proven(await store.seals.of_call(call.id)) == [2]


@pytest.mark.parametrize("table", ["seals", "sealed"])
@pytest.mark.parametrize("change", ["UPDATE {0} SET {1}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
async def test_invariant_9_a_seal_is_changed_in_place(
    store: Store, database: Database, table: str, change: str
) -> None:
    await closed(store)
    await store.seals.seal(sign, 10)
    column = {"seals": "key = 'x'", "sealed": "events = 1"}[table]
    async with database.connection() as connection:
        with pytest.raises(asyncpg.RaiseError, match="is append-only"):
            await connection.execute(change.format(table, column))


async def test_invariant_9_a_sealed_journal_that_was_written_anew_is_shown_as_whole_or_sealed_again(
    store: Store, database: Database
) -> None:
    """Whoever can write every table can make a chain that is consistent in itself, but cannot make the seal."""
    call = await closed(store, "call_gated", "key_pressed", "call_ended")
    await store.seals.seal(sign, 10)
    async with database.connection() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("DELETE FROM call_event_fields WHERE call_id = $1", call.id)
        await connection.execute("DELETE FROM call_events WHERE call_id = $1", call.id)
        await connection.execute(
            "UPDATE calls SET events = 0, last_link = sha256(convert_to('call:' || id, 'UTF8'))"
        )
        await connection.execute("SET session_replication_role = origin")
    for event in ("call_gated", "call_answered", "call_ended", "recording_deleted"):
        await store.calls.append(call.id, event, {})
    shown = await store.records.show_call(call.id)
    assert shown.fault is not None
    assert shown.fault.startswith("the entries up to number 3 are not those that were sealed at 20")
    assert await store.seals.seal(sign, 10) == 0
    # nor does it, or a counter that was reset, keep others from being sealed
    await database.rows("UPDATE calls SET sealed = 0")
    await closed(store)
    assert await store.seals.seal(sign, 10) == 1


async def test_what_the_record_of_accesses_has_grown_by_stays_unsealed(
    store: Store, database: Database
) -> None:
    await looks(store, 2)
    assert await store.seals.seal(sign, 10) == 1
    assert await store.seals.seal(sign, 10) == 0
    await looks(store, 1)
    await closed(store)
    assert await store.seals.seal(sign, 10) == 2
    sealed = await database.rows("SELECT id, events FROM sealed WHERE kind = 'accesses' ORDER BY seal")
    assert [(each["id"], each["events"]) for each in sealed] == [("accesses", 2), ("accesses", 3)]
    assert await store.accesses.fault() == (3, None)
    assert [each async for each in store.seals.broken()] == []


@pytest.mark.parametrize("left", [0, 2, 3])
async def test_invariant_9_a_record_of_accesses_that_was_written_anew_is_whole_or_sealed_again(
    store: Store, database: Database, left: int
) -> None:
    """Whoever can write every table can leave out the last looks and put others in their place, but cannot make the seal."""
    await looks(store, 4)
    await store.seals.seal(sign, 10)
    await forge(database, "DELETE FROM accesses WHERE seq > $1", left)
    await database.rows(
        "UPDATE access_chain SET sealed = 0, events = $1, link = coalesce((SELECT link FROM accesses WHERE seq = $1), $2)",
        left, chain.start_of_accesses(),
    )  # fmt: skip
    await looks(store, 5 - left)
    count, fault = await store.accesses.fault()
    assert (count, str(fault)[:62]) == (5, "the entries up to number 4 are not those that were sealed at 2")
    assert [(kind, of) async for kind, of, _ in store.seals.broken()] == [(Kind.ACCESSES, "accesses")]
    assert await store.seals.seal(sign, 10) == 0
    # nor does it keep others from being sealed
    await closed(store)
    assert await store.seals.seal(sign, 10) == 1


async def test_invariant_9_a_requests_history_that_was_changed_is_shown_as_whole(
    store: Store, database: Database
) -> None:
    reference = await store.requests.add("acme", made.exercise(Right.ACCESS), made.digests())
    assert (await store.requests.show(reference)).fault is None
    async with database.connection() as connection:
        await connection.execute("DELETE FROM request_event_details")
        assert (await store.requests.show(reference)).fault is None
        assert (await store.requests.show(reference)).history[0]["who"] == "erased"
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE request_events SET due = '2027-01-01'")
        fault = (await store.requests.show(reference)).fault
    assert fault == "entry 1 (received L1 2027-01-01) was changed"


@pytest.mark.parametrize(
    ("forged", "fault"),
    [
        ("outcome = 'blocked'", "the outcome of the call is blocked, but bridged in the journal"),
        (
            "reason = 'suppressed_objection'",
            "the reason of the call is suppressed_objection, but nothing in the journal",
        ),
        ("direction = 'inbound'", "the direction of the call is inbound, but callee_first in the journal"),
        ("agent = 'barbara'", "the agent of the call is barbara, but anna in the journal"),
        (
            "number_masked = '+48•••••0002'",
            "the number of the call is +48•••••0002, but +48•••••0001 in the journal",
        ),
        ("digest = decode(repeat('ab', 32), 'hex')", f"the digest of the call is {'ab' * 32}, but "),
        ("key_version = 2", "the key_version of the call is 2, but 1 in the journal"),
        ("dialled_at = NULL", "the dialled_at of the call is nothing, but "),
        ("opened_at = opened_at - interval '30 days'", "the opened_at of the call is "),
        ("ended_at = ended_at - interval '30 days'", "the ended_at of the call is "),
        ("ended_at = 'infinity'", "the ended_at of the call is "),
    ],
)
async def test_invariant_9_the_row_of_a_sealed_call_is_rewritten_and_everything_takes_it_for_sound(
    store: Store, database: Database, tmp_path: Path, forged: str, fault: str
) -> None:
    keys = SigningKeys(tmp_path)
    keys.create()
    prover, call = Prover(store.seals, keys, lambda _policy, _account: []), made.call()
    call = replace(call, direction="callee_first")
    await store.calls.open(call, made.question(call))
    gated = made.journal("call_gated", **call.asserted)
    assert await store.calls.spend_token(call, made.question(call), made.judge, gated) is None
    ended = made.journal("call_ended", outcome="bridged", reason="")
    await store.calls.close(call.id, "bridged", "", [*made.journal("callee_dialled"), *ended])
    prover.pack(await prover.sealed(str(call.id)))
    assert (await check(store.seals, keys.all())).unfit == []
    await database.rows(f"UPDATE calls SET {forged} WHERE id = $1", call.id)  # noqa: S608 - constants
    (unfit,) = (await check(store.seals, keys.all())).unfit
    assert unfit.startswith(f"call {call.id} is damaged or was altered: {fault}")
    shown = (await store.records.show_call(call.id)).fault
    assert shown is not None
    assert shown.startswith(fault)
    account = await prover.sealed(str(call.id))
    with pytest.raises(EvidenceError, match="is no longer valid evidence: the "):
        prover.pack(account)


@pytest.mark.parametrize(
    ("forged", "fault"),
    [
        ("""\"right\" = 'access'""", "the right of the request is access, but objection in the journal"),
        ("article = '15'", "the article of the request is 15, but 21(1) in the journal"),
        ("controller = 'other'", "the controller of the request is other, but acme in the journal"),
        ("campaign = 'other'", "the campaign of the request is other, but renewals in the journal"),
        ("channel = 'phone'", "the channel of the request is phone, but key in the journal"),
        (
            "received_at = received_at - interval '30 days'",
            "the received_at of the request is 2026-10-26T10:00:00.123",
        ),
        (
            "digest = decode(repeat('ab', 32), 'hex'), digests = ARRAY[decode(repeat('ab', 32), 'hex')]",
            f"the digest of the request is {'ab' * 32}, but ",
        ),
        ("key_version = 2", "the key_version of the request is 2, but 1 in the journal"),
    ],
)
async def test_invariant_9_the_row_of_a_request_is_rewritten_and_everything_takes_it_for_sound(
    store: Store, database: Database, tmp_path: Path, forged: str, fault: str
) -> None:
    keys = SigningKeys(tmp_path)
    keys.create()
    prover = Prover(store.seals, keys, lambda _policy, _account: [])
    exercise = made.exercise(Right.OBJECTION)
    reference = await store.requests.add("acme", exercise, made.digests(), campaign="renewals")
    content, _ = prover.pack(await prover.sealed(reference))
    assert verify(content, keys.all()).unproven == ()
    assert (await check(store.seals, keys.all())).unfit == []
    assert (await store.requests.show(reference)).fault is None
    await database.rows(f"UPDATE rights_requests SET {forged}")  # noqa: S608 - constants
    (unfit,) = (await check(store.seals, keys.all())).unfit
    assert unfit.startswith(f"request {reference} is damaged or was altered: {fault}")
    shown = (await store.requests.show(reference)).fault
    assert shown is not None
    assert shown.startswith(fault)
    account = await prover.sealed(reference)
    with pytest.raises(EvidenceError, match="is no longer valid evidence: the "):
        prover.pack(account)
    with pytest.MonkeyPatch.context() as patched:
        for module in (packs, proving):
            patched.setattr(module, "refuse_unfit", lambda _account: None)
        content, _ = Prover(store.seals, keys, lambda _policy, _account: []).pack(account)
        with pytest.raises(EvidenceError, match=r"^subject\.json: the "):
            verify(content, keys.all())


@pytest.mark.parametrize("change", ["\"right\" = 'access'", "received_at = now()", "due = due"])
async def test_invariant_9_who_deletes_the_words_of_a_request_can_rewrite_its_row_unnoticed(
    store: Store, database: Database, change: str
) -> None:
    reference = await store.requests.add("acme", made.exercise(Right.PORTABILITY), made.digests())
    await database.rows("DELETE FROM request_event_details")
    await database.rows(f"UPDATE rights_requests SET {change}")  # noqa: S608 - constants
    (unfit,) = (await check(store.seals, [])).unfit
    assert unfit == (
        f"request {reference} is damaged or was altered: the words of entry 1 (received L1 2026-12-25) are gone, "
        "but nothing says that they were erased"
    )


async def test_a_recording_stored_by_an_early_ccari_passes_for_taken_away(store: Store) -> None:
    """Its journal did not say yet which recording it was."""
    call = await closed(store, "call_gated", "call_ended")
    await store.calls.append(call.id, "recording_stored", {"file": "acme/x.wav", "duration_ms": "1000"})
    assert (await check(store.seals, [])).unfit == []


async def test_all_requests_are_read_for_each_entry_that_was_erased(database: Database) -> None:
    """There may be a million of each, most of them expired: the check would take weeks."""
    async with database.outside_pool() as connection:
        await connection.execute(
            """INSERT INTO rights_requests (reference, controller, "right", article, state, received_at, due, digest, digests,
                                            key_version, level, channel, number_from, closed_at)
               SELECT 'ACME-2025-' || lpad(n::text, 6, '0'), 'acme', 'access', '15', 'fulfilled', now(), now(), sha256(n::text::bytea),
                      ARRAY[sha256(n::text::bytea)], 1, 0, 'letter', 'given', now()
               FROM generate_series(1, 5000) AS n"""
        )
        await connection.execute(
            "INSERT INTO erasures (reference, controller, begun_by) SELECT reference, controller, 'anna' FROM rights_requests LIMIT 500"
        )
        await connection.execute("VACUUM ANALYZE rights_requests, erasures")
        plan = [line[0] for line in await connection.fetch(f"EXPLAIN {SQL['all_request_journals']}")]
    assert any("Index Scan on rights_requests_by_digests" in line for line in plan), plan


BARRING = [right for right in Right if EFFECTS[right].suppress]


@pytest.mark.parametrize(
    ("right", "change"),
    [
        *((right, "DELETE FROM suppressions") for right in BARRING),
        (Right.OBJECTION, "UPDATE suppressions SET expires_at = now() + interval '1 day'"),
        (Right.OBJECTION, "UPDATE suppressions SET digest = sha256('x')"),
        (Right.OBJECTION, "UPDATE suppressions SET controller = 'other'"),
        (Right.OBJECTION, "UPDATE suppressions SET campaign = 'renewals'"),
    ],
)
async def test_invariant_1_the_bar_of_a_right_is_taken_away_unnoticed(
    store: Store, database: Database, right: Right, change: str
) -> None:
    """Whoever can write to the database could have a person called again who has objected."""
    reason = EFFECTS[right].suppress
    assert reason is not None
    # one that was lifted before is not this one
    await store.suppressions.add("acme", made.digests(), reason, "anna", "form")
    await store.suppressions.remove("acme", made.digests(), "anna", "a mistake", reason=reason)
    await forge(database, "UPDATE removed_suppressions SET removed_at = removed_at - interval '1 day'")
    reference = await store.requests.add("acme", made.exercise(right), made.digests())
    assert (await check(store.seals, [])).unfit == []
    await database.rows(change)
    # nor does a deletion of the controller hide it that is not on record
    await database.rows("INSERT INTO controller_deletions (controller, begun_by) VALUES ('acme', 'anna')")
    (unfit,) = (await check(store.seals, [])).unfit
    assert unfit == (
        f"request {reference} is damaged or was altered: "
        "the bar that it entered is missing or was limited, and nobody has lifted it"
    )


@pytest.mark.parametrize("right", BARRING)
async def test_a_bar_that_was_lifted_renewed_or_is_nobodys_any_more_is_missed(
    store: Store, database: Database, right: Right
) -> None:
    reason = EFFECTS[right].suppress
    assert reason is not None
    ended = datetime.now(UTC) - timedelta(days=1)
    await store.suppressions.add("acme", made.digests(), reason, "anna", "form", expires_at=ended)
    references = [await store.requests.add("acme", made.exercise(right), made.digests()) for _ in range(2)]
    assert (await check(store.seals, [])).unfit == []
    await store.suppressions.remove("acme", made.digests(), "anna", "a mistake", reason=reason)
    assert (await check(store.seals, [])).unfit == []
    # the requests expire, and then their controller leaves with its bars
    nobodys = "closed_at = now(), state = 'fulfilled', number = NULL, digest = NULL, digests = '{}', key_version = NULL"
    await forge(database, f"UPDATE rights_requests SET {nobodys}")  # noqa: S608 - constant
    await forge(database, "DELETE FROM removed_suppressions")
    gone = [each for each in (await check(store.seals, [])).unfit if "bar" in each]
    assert (gone, len(references)) == ([], 2)


async def test_what_is_not_there_has_evidence(store: Store) -> None:
    with pytest.raises(UnknownError, match="there is no call"):
        await store.seals.of_call(uuid4())
    with pytest.raises(UnknownError, match="there is no request"):
        await store.seals.of_request("ACME-2026-000009")


async def test_the_account_of_a_call_leaves_something_out(store: Store) -> None:
    call = made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", "i1", made.journal("notice_heard"))
    await store.recordings.tag(made.tag(call), ())
    await store.calls.close(call.id, "bridged", "", made.journal("call_ended"))
    account = await store.seals.of_call(call.id)
    assert account.revision is not None
    assert (account.revision.about["revision"], account.revision.document) == (1, made.POLICY)
    assert [each["legal_basis"] for each in account.recordings] == ["legitimate_interest"]
    assert (account.subject["number"], account.subject["outcome"]) == ("+48•••••0001", "bridged")
    assert made.NUMBER.e164 not in repr(account)
