"""A call's rows: what must be durable, what the database itself refuses, and what happens twice."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from ccari.errors import StoreError
from ccari.gating import registering
from ccari.gating.journal import Journal, entry, persistently
from ccari.policy.call import Direction
from ccari.policy.call.events import RightOnRecord
from ccari.policy.gate import AttemptsMade, Block, Facts
from ccari.policy.numbers import Number
from ccari.policy.recording import RecordingState
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason
from ccari.ports.access import Bearer, Role
from ccari.ports.calls import OpenedCall, RefusedCall
from ccari.ports.keying import Sought
from ccari.ports.pressed import Pressed
from ccari.ports.recordings import Unfinished, WantedRecordings
from ccari.ports.requests import Intake
from ccari.store import database as databases
from ccari.store import journals
from ccari.store.calls import PostgresCallStore
from ccari.store.connecting import connect
from ccari.store.database import Database
from ccari.store.journals import Journals
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from ccari.store.queries import SQL
from tests.lab.waiting import until
from tests.unit.store import made
from tests.unit.store.forging import NO_FIELDS, NO_MOMENTS, forge
from tests.unit.store.relayed import relayed

WITHIN = 10.0
IN_UTC = {"search_path": "ccari", "timezone": "UTC"}
SOMEBODY_WAITS = (
    "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def rows(database: Database, query: str) -> list[dict[str, object]]:
    async with database.connection() as connection:
        return [dict(row) for row in await connection.fetch(query)]


async def whole_journal(store: Store, call: OpenedCall) -> list[str]:
    """The events of the call's journal, which is intact."""
    shown = await store.records.show_call(call.id)
    assert shown.fault is None
    return [each["event"] for each in shown.events]


async def test_invariant_1_a_number_suppressed_between_gate_and_token_is_dialled(
    calls: PostgresCallStore, store: Store
) -> None:
    call = made.call()
    facts, _ = await calls.open(call, made.question(call))
    assert not facts.suppressions
    assert await store.suppressions.add("acme", call.digests, Reason.DO_NOT_CALL, "test", "")
    assert await calls.spend_token(call, made.question(call), made.judge, ()) is Block.SUPPRESSED_DO_NOT_CALL
    facts, _ = await calls.open(made.call(), made.QUESTION)
    assert facts.attempts == AttemptsMade()


async def test_after_a_right_the_call_takes_its_own_journal_for_changed_by_others(
    database: Database, dsn: str
) -> None:
    """It costs each right, and what the call writes next, round trips to a database that may be far away."""
    async with relayed(dsn) as (through, relay), databases.as_it_is(through, 1, IN_UTC) as far:
        store, call = Store(through, far), made.call()
        await store.calls.open(call, made.question(call))
        await store.calls.register_right(call, made.exercise(), made.journal("key_pressed"))
        before = relay.questions
        await store.calls.write(call.id, made.journal("key_pressed"))
        # one to prepare the statement, and one to run it
        assert relay.questions - before <= 2
    assert len(await rows(database, "SELECT FROM call_events")) == 2


@pytest.mark.parametrize("versions", [1, 2])
@pytest.mark.parametrize("listings", [0, 1, 3])
async def test_each_call_has_the_database_plan_its_look_anew(
    calls: PostgresCallStore, database: Database, *, versions: int, listings: int
) -> None:
    """That takes six times as long as the look. The first five on a connection are planned to find out the cost."""
    await rows(
        database,
        "INSERT INTO suppressions (controller, digest, key_version, reason, origin) SELECT 'acme', sha256(int8send(each)), "
        "1, 'do_not_call', 'list' FROM generate_series(1, 20000) AS each",
    )
    await rows(database, "ANALYZE suppressions")
    listed_as = tuple((f"register-{index % 2}", bytes([index]) * 32) for index in range(listings))
    for _ in range(12):
        older = replace(made.digests(), all=tuple(bytes([index]) * 32 for index in range(versions)))
        call = replace(made.call(), keyed=older, listed_as=listed_as)
        await calls.open(call, made.question(call))
        await calls.facts(made.question(call), Sought(older, listed_as))
        await calls.facts_and_bearer(made.question(call), Sought(older, listed_as), bytes(32))
    plans = await rows(
        database,
        "SELECT generic_plans > custom_plans AS once FROM pg_prepared_statements WHERE statement ~ 'gate_fact[s]'",
    )
    assert plans == [{"once": True}] * 2


@pytest.mark.parametrize("before", [0, 1, 2])
async def test_a_bar_under_an_older_secret_or_in_another_register_is_taken_for_another_argument(
    calls: PostgresCallStore, store: Store, before: int
) -> None:
    barred = made.digests()
    older = replace(barred, all=(*(bytes([index]) * 32 for index in range(before)), *barred.all))
    await store.suppressions.add("acme", barred, Reason.DO_NOT_CALL, "test", "")
    call = replace(made.call(), keyed=older)
    found = (
        (await calls.open(call, made.question(call)))[0],
        (await calls.facts(made.question(call), Sought(older)))[0],
    )
    assert [[each.reason for each in facts.suppressions] for facts in found] == [[Reason.DO_NOT_CALL]] * 2


async def test_invariant_1_numbers_that_are_looked_at_at_once_are_told_each_others_bars_or_bearers(
    calls: PostgresCallStore, store: Store
) -> None:
    tokens = [bytes([each]) * 32 for each in range(3)]
    for token in tokens[:2]:
        await store.tokens.add(Bearer(f"dialer-{token[0]}", Role.DIALER), token, "test", None)
    numbers = [made.digests(number=each) for each in made.numbers(24)]
    reasons = list(Reason)
    for n, each in enumerate(numbers):
        if n % 3:
            campaign = "renewals" if n % 2 else None
            await store.suppressions.add("acme", each, reasons[n % 5], "test", "", campaign=campaign)
    looks = [
        (
            replace(made.QUESTION, campaign=["renewals", "other"][n % 4 == 0]),
            Sought(
                replace(each, all=(*([bytes(32)] * (n % 3)), *each.all)),
                ((f"register-{n % 2}", bytes([n]) * 32),) * (n % 3),
            ),
            tokens[n % 3],
        )
        for n, each in enumerate(numbers)
    ]
    alone = [await calls.facts_and_bearer(*each) for each in looks]
    assert await asyncio.gather(*(calls.facts_and_bearer(*each) for each in looks)) == alone
    assert {len(facts.suppressions) for facts, _, _ in alone} == {0, 1}
    assert [bearer and bearer.name for _, _, bearer in alone[:3]] == ["dialer-0", "dialer-1", None]


async def test_invariant_1_a_bar_that_is_committed_after_the_statement_began_is_not_seen(
    calls: PostgresCallStore, store: Store, dsn: str
) -> None:
    """A single statement would not see it: it sees what was committed before it began."""
    call = made.call()
    await calls.open(call, asked := made.question(call))
    holder, waiter = [await connect(dsn, server_settings=IN_UTC) for _ in range(2)]
    await holder.execute("SELECT pg_advisory_lock(1)")
    statement = """
        SELECT gate_unchanged($1, $2, $3, $4, $5, $6, $7, '{}', '{}', '{}', $8, $9)
        FROM (SELECT pg_advisory_lock(1) OFFSET 0) AS waited
    """
    asking = asyncio.create_task(
        waiter.fetchval(
            statement, calls._seen[call.id].text, call.digests.newest, asked.controller, call.digests.all, asked.campaign,
            asked.purpose, asked.channel, asked.counts_since, asked.rules_count_since,
        )
    )  # fmt: skip
    await until(partial(holder.fetchval, SOMEBODY_WAITS), within=WITHIN)
    await store.suppressions.add("acme", call.digests, Reason.ERASURE, "test", "")
    await holder.execute("SELECT pg_advisory_unlock(1)")
    assert await asking is False
    for each in (holder, waiter):
        await each.close()


async def test_invariant_1_a_limit_of_attempts_lets_two_calls_through_at_once(
    calls: PostgresCallStore,
) -> None:
    asked = [made.call() for _ in range(8)]
    for call in asked:
        await calls.open(call, made.question(call))

    def once(facts: Facts) -> Block | None:
        return Block.ATTEMPTS_CAPPED if facts.attempts.recent else None

    verdicts = await asyncio.gather(
        *(calls.spend_token(call, made.question(call), once, ()) for call in asked)
    )
    assert sorted(map(str, verdicts)) == ["None", *[str(Block.ATTEMPTS_CAPPED)] * 7]


async def test_a_token_is_spent_in_more_than_a_statement_or_while_another_call_to_the_number_is_judged(
    calls: PostgresCallStore, database: Database
) -> None:
    first, second = (made.call(number=number) for number in made.numbers(2))
    for call in (first, second):
        await calls.open(call, made.question(call))
    judged: list[Facts] = []

    def judge(facts: Facts) -> Block | None:
        judged.append(facts)
        return None

    assert await calls.spend_token(first, made.question(first), judge, made.journal("call_gated")) is None
    assert len(judged) == 1
    async with database.transaction() as connection:
        await connection.execute(SQL["number_lock"], "acme", second.digests.newest)
        spending = asyncio.create_task(calls.spend_token(second, made.question(second), judge, ()))
        await until(partial(connection.fetchval, SOMEBODY_WAITS), within=WITHIN)
    assert await spending is None
    # with the facts of the gate, and once more when the number was free
    assert len(judged) == 1 + 2


async def test_a_reason_that_does_not_bar_this_campaign_bars_it(
    calls: PostgresCallStore, store: Store
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await store.suppressions.add("acme", call.digests, Reason.OBJECTION_MARKETING, "test", "")
    assert await calls.spend_token(call, made.question(call), made.judge, ()) is None


async def test_a_token_is_spent_more_than_once(calls: PostgresCallStore) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    verdicts = await asyncio.gather(
        *(calls.spend_token(call, made.question(call), made.judge, ()) for _ in range(20))
    )
    assert sorted(map(str, verdicts)) == ["None", *[str(Block.TOKEN_SPENT)] * 19]


async def test_a_token_is_spent_for_another_call_or_after_the_end(calls: PostgresCallStore) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    assert (
        await calls.spend_token(replace(call, token=uuid4()), made.question(call), made.judge, ())
        is Block.TOKEN_SPENT
    )
    await calls.close(call.id, "failed", "", ())
    assert await calls.spend_token(call, made.question(call), made.judge, ()) is Block.TOKEN_SPENT
    assert await calls.spend_token(made.call(), made.question(call), made.judge, ()) is Block.TOKEN_SPENT


async def test_an_attempt_is_counted_before_it_is_dialled_or_for_another_campaign(
    calls: PostgresCallStore,
) -> None:
    first, second = made.call(), made.call()
    await calls.open(first, made.question(first))
    assert (await calls.open(second, made.question(second)))[0].attempts.recent == 0
    await calls.spend_token(first, made.question(first), made.judge, ())
    assert (await calls.open(second, made.question(second)))[0].attempts.recent == 1
    assert (
        await calls.open(replace(made.call(), campaign="offers"), replace(made.QUESTION, campaign="offers"))
    )[0].attempts.recent == 0


async def test_a_number_is_found_only_under_the_newest_secret(calls: PostgresCallStore, store: Store) -> None:
    old = made.digests()
    await store.suppressions.add("acme", old, Reason.ERASURE, "test", "")
    newer = made.digests("acme-2")
    call = replace(made.call(), keyed=replace(newer, key_version=2, all=(*old.all, *newer.all)))
    facts, _ = await calls.open(call, made.question(call))
    assert [each.reason for each in facts.suppressions] == [Reason.ERASURE]
    assert await calls.spend_token(call, made.question(call), made.judge, ()) is Block.SUPPRESSED_ERASURE


async def test_invariant_7_one_controllers_suppression_bars_anothers_call(
    calls: PostgresCallStore, store: Store
) -> None:
    """Even if the two controllers had the same secret."""
    acme, other = made.call("acme"), replace(made.call("other"), keyed=made.digests("acme"))
    await store.suppressions.add("acme", acme.digests, Reason.ERASURE, "test", "")
    facts, _ = await calls.open(other, made.question(other))
    assert not facts.suppressions
    assert await calls.spend_token(other, made.question(other), made.judge, ()) is None
    assert await store.suppressions.of("other", acme.digests) == []


@pytest.mark.parametrize("table", ["call_events", "policy_revisions"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {} CASCADE", "DELETE FROM {} WHERE false"]
)
async def test_invariant_9_what_was_written_can_be_changed_in_place(
    calls: PostgresCallStore, database: Database, table: str, statement: str
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.close(call.id, "failed", "", made.journal("call_gated"))
    column = {"call_events": "event = 'x'", "policy_revisions": "document = 'x'"}[table]
    whole = f"TABLE {table}"
    before = await rows(database, whole)
    async with database.connection() as connection:
        with pytest.raises(asyncpg.RaiseError, match=f"{table} is append-only"):
            await connection.execute(statement.format(table, column))
    assert await rows(database, whole) == before


async def test_invariant_9_an_edit_behind_the_triggers_is_not_detected(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.close(call.id, "failed", "", made.journal("call_gated", "callee_answered", "call_ended"))
    assert (await store.records.show_call(call.id)).fault is None
    async with database.connection() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE call_events SET event = 'callee_rang' WHERE seq = 2")
        assert (await store.records.show_call(call.id)).fault == "entry 2 (callee_rang) was changed"
        await connection.execute("DELETE FROM call_events WHERE seq = 2")
        assert (await store.records.show_call(call.id)).fault == "entry 2 is missing"
        await connection.execute("DELETE FROM call_events WHERE seq = 3")
        fault = (await store.records.show_call(call.id)).fault
    assert fault == "the journal ends at entry 1, but there were 3"


async def test_a_write_whose_reply_was_lost_bars_all_later_ones(
    calls: PostgresCallStore, store: Store
) -> None:
    """The caller does not know that it is durable, and passes the same entries again with the next."""
    call = made.call()
    await calls.open(call, made.question(call))
    first = made.journal("call_gated", "notice_heard")
    # the second time the journal ends where this node has left it
    for _ in range(2):
        await calls.commit_heard(call.id, "v1", "i1", first)
    more = made.journal("key_pressed")
    reference = await calls.register_right(call, made.exercise(), [*first, *more])
    again = made.journal("key_pressed")
    assert await calls.register_right(call, made.exercise(), [*first, *more, *again]) == reference
    await calls.close(call.id, "right_exercised", "erasure", [*first, *more, *again])
    await calls.close(call.id, "right_exercised", "erasure", [*first, *more, *again])
    assert await whole_journal(store, call) == ["call_gated", "notice_heard", "key_pressed", "key_pressed"]


async def test_what_others_add_to_a_running_calls_journal_breaks_it_or_is_lost(
    calls: PostgresCallStore, store: Store
) -> None:
    """A part of the recording is stored while the talk goes on, and deleted long after it."""
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.commit_heard(call.id, "v1", "i1", made.journal("notice_heard"))
    await calls.append(call.id, "recording_stored", {"recording": "1"})
    await calls.close(call.id, "bridged", "", made.journal("call_ended"))
    await calls.append(call.id, "recording_deleted", {"why": "retention"})
    shown = await store.records.show_call(call.id)
    assert ([each["event"] for each in shown.events], shown.fault) == (
        ["notice_heard", "recording_stored", "call_ended", "recording_deleted"], None,
    )  # fmt: skip
    assert shown.events[-1]["fields"] == {"why": "retention"}


async def test_a_journal_whose_end_is_no_longer_remembered_breaks_or_loses_what_comes_next(
    calls: PostgresCallStore, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "MOST_ENDS", 2)
    opened = [made.call() for _ in range(4)]
    for call in opened:
        await calls.open(call, made.question(call))
    for event in ("notice_heard", "key_pressed"):
        for call in opened:
            await calls.append(call.id, event, {})
    for call in opened:
        assert await whole_journal(store, call) == ["notice_heard", "key_pressed"]


async def test_where_the_journal_of_a_call_that_is_over_ended_is_remembered_for_ever(
    database: Database, store: Store
) -> None:
    call, kept = made.call(), Journals(database)
    calls = PostgresCallStore(database, kept)
    await calls.open(call, made.question(call))
    assert await kept.write_as_remembered(call.id, made.journal("notice_heard"), "add_entries")
    await calls.close(call.id, "bridged", "", made.journal("call_ended"))
    late = made.journal("recording_stored")
    assert not await kept.write_as_remembered(call.id, late, "add_entries")
    await kept.write(call.id, late)
    assert await whole_journal(store, call) == ["notice_heard", "call_ended", "recording_stored"]


async def test_what_was_rolled_back_is_taken_for_the_journals_end(database: Database, store: Store) -> None:
    call, kept = made.call(), Journals(database)
    await PostgresCallStore(database, kept).open(call, made.question(call))
    entries = made.journal("call_gated", "notice_heard")

    async def roll_back() -> None:
        async with kept.transaction() as within:
            await within.write(call.id, entries)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await roll_back()
    await kept.write(call.id, entries)
    await kept.write(call.id, made.journal("key_pressed"))
    assert await whole_journal(store, call) == ["call_gated", "notice_heard", "key_pressed"]


async def test_two_that_add_to_one_journal_at_once_break_it(calls: PostgresCallStore, store: Store) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await asyncio.gather(
        *(calls.append(call.id, "recording_stored", {"n": str(n)}) for n in range(8)),
        calls.commit_heard(call.id, "v1", "i1", made.journal("notice_heard", "key_pressed")),
    )
    shown = await store.records.show_call(call.id)
    assert (len(shown.events), shown.fault) == (10, None)


async def test_a_retry_that_overtakes_the_first_try_is_written_twice(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    """The first try is still waiting on the server when its caller has given it up and tries again."""
    call, entries = made.call(), made.journal("notice_heard", "key_pressed")
    await calls.open(call, made.question(call))
    await asyncio.gather(*(calls.commit_heard(call.id, "v1", None, entries) for _ in range(4)))
    assert await whole_journal(store, call) == ["notice_heard", "key_pressed"]


async def test_a_journal_is_begun_for_a_call_that_was_never_opened(
    calls: PostgresCallStore, database: Database
) -> None:
    for write in (
        calls.append(uuid4(), "recording_stored", {}),
        calls.close(uuid4(), "failed", "", made.journal("call_ended")),
    ):
        with pytest.raises(StoreError, match="there is no call"):
            await write
    assert await rows(database, "SELECT * FROM call_events") == []


async def test_invariant_9_fields_are_changed_in_place(calls: PostgresCallStore, database: Database) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.append(call.id, "key_pressed", {"key": "7"})
    async with database.connection() as connection:
        for statement in ("UPDATE call_event_fields SET fields = '{}'", "TRUNCATE call_event_fields"):
            with pytest.raises(asyncpg.RaiseError, match="can be erased, but not changed"):
                await connection.execute(statement)


async def test_erased_fields_break_the_journal_or_changed_ones_pass(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.close(call.id, "failed", "x", made.journal("call_gated", "call_ended", reason="x"))
    async with database.connection() as connection:
        await connection.execute("DELETE FROM call_event_fields WHERE seq = 1")
        shown = await store.records.show_call(call.id)
        gone = (
            "the fields of entry 1 (call_gated) are gone, but the journal does not say that they were erased"
        )
        assert ([each["fields"] for each in shown.events], shown.fault) == ([None, {"reason": "x"}], gone)
        await store.calls.append(call.id, "personal_data_erased", {})
        assert (await store.records.show_call(call.id)).fault is None
        await connection.execute("SET session_replication_role = replica")
        for changed in ('{"reason": "y"}', f'{{"reason": {10**400}}}'):
            await connection.execute("UPDATE call_event_fields SET fields = $1", changed)
            fault = (await store.records.show_call(call.id)).fault
            assert fault == "the fields of entry 2 (call_ended) were changed"


@pytest.mark.parametrize("edit", NO_FIELDS.values(), ids=NO_FIELDS)
async def test_invariant_9_fields_that_were_made_none_break_off_who_reads_them_or_pass(
    calls: PostgresCallStore, store: Store, database: Database, edit: str
) -> None:
    """Even if there was nothing in them: what is not a set of fields must not be taken for none."""
    for reason in ({}, {"reason": "5"}):
        call = made.call()
        await calls.open(call, made.question(call))
        await calls.close(call.id, "failed", "", made.journal("call_ended", **reason))
        await forge(database, "UPDATE call_event_fields SET fields = $1 WHERE call_id = $2", edit, call.id)
        shown = await store.records.show_call(call.id)
        assert shown.fault == "the fields of entry 1 (call_ended) were changed"
        (entry,) = shown.events
        assert all(isinstance(each, str) for each in entry["fields"].values())


@pytest.mark.parametrize("edit", NO_MOMENTS)
async def test_invariant_9_a_moment_that_python_does_not_hold_breaks_off_who_reads_the_journal_or_passes(
    calls: PostgresCallStore, store: Store, database: Database, edit: str
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.close(call.id, "failed", "", made.journal("call_ended"))
    await forge(database, "UPDATE call_events SET at = $1::text::timestamptz", edit)
    assert (await store.records.show_call(call.id)).fault == "entry 1 (call_ended) was changed"


async def test_invariant_2_a_recording_that_needs_an_agreement_is_tagged_without_it(
    calls: PostgresCallStore, store: Store
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    tag = replace(made.tag(call), mode="opt_in", legal_basis="consent")
    heard = made.journal("notice_heard")
    await calls.commit_heard(call.id, "v1", None, heard)
    with pytest.raises(StoreError, match="or in opt_in before the key"):
        await store.recordings.tag(tag, made.journal("recording_tagged"))
    # the agreement may come with the tag: it is one transaction
    await store.recordings.tag(tag, made.journal("recording_agreed", "recording_tagged"))


async def test_invariant_4_a_recording_is_tagged_before_the_notice_was_heard(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    with pytest.raises(StoreError, match="cannot be tagged before the notice was heard"):
        await store.recordings.tag(made.tag(call), made.journal("recording_tagged"))
    assert await rows(database, "SELECT * FROM recordings") == []
    assert await rows(database, "SELECT * FROM call_events") == []


async def test_a_refusal_is_forgotten_with_the_service_that_was_to_stop_the_recorder(
    calls: PostgresCallStore, store: Store
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.commit_heard(call.id, "v1", "i1", ())
    await store.recordings.tag(made.tag(call), ())
    await calls.register_right(call, made.exercise(Right.ACCESS), ())
    (unfinished,) = await store.recordings.unfinished(made.ASTERISK)
    assert (unfinished.begun, unfinished.until) == (False, None)
    refusal = made.exercise(Right.REFUSE_RECORDING)
    await calls.register_right(call, refusal, ())
    (unfinished,) = await store.recordings.unfinished(made.ASTERISK)
    assert (unfinished.until, unfinished.may_be_kept) == (refusal.received_at, False)


@pytest.mark.parametrize(("mode", "stops"), [("opt_in", True), ("opt_out", False)])
async def test_a_withdrawal_from_what_was_agreed_to_is_forgotten_with_the_service_or_one_from_what_was_not_heeded(
    calls: PostgresCallStore, store: Store, mode: str, *, stops: bool
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.commit_heard(call.id, "v1", "i1", ())
    tag = replace(made.tag(call), mode=mode)
    await store.recordings.tag(tag, made.journal("recording_agreed", "recording_tagged"))
    withdrawal = made.exercise(Right.WITHDRAW_CONSENT)
    await calls.register_right(call, withdrawal, ())
    (unfinished,) = await store.recordings.unfinished(made.ASTERISK)
    assert unfinished.until == (withdrawal.received_at if stops else None)
    await store.recordings.finished(tag, None, ())
    (waiting,) = await store.recordings.waiting([tag.recording_id])
    assert waiting.until == unfinished.until


async def test_an_unfinished_recording_is_forgotten_or_a_finished_one_comes_back(
    calls: PostgresCallStore, store: Store
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.commit_heard(call.id, "v1", "i1", ())
    tag = made.tag(call)
    await store.recordings.tag(tag, ())
    await store.recordings.started(tag.recording_id, tag.started_at)
    assert await store.recordings.unfinished(made.ASTERISK) == [Unfinished(tag, begun=True, until=None)]
    assert await store.recordings.unfinished("another") == []
    await store.recordings.stored(tag, made.KEPT, ())
    assert await store.recordings.unfinished(made.ASTERISK) == []
    for state in (RecordingState.FAILED, RecordingState.DISCARDED):
        await store.recordings.ended(tag, state, ())
    (row,) = await store.records.page_of_recordings(10, WantedRecordings(controllers=["acme"]))
    assert (row["state"], row["file"]) == ("stored", made.KEPT.file)


async def test_segments_of_a_call_are_shown_as_several_recordings_or_in_no_order(
    calls: PostgresCallStore, store: Store
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.commit_heard(call.id, "v1", "i1", ())
    assert (await store.records.show_call(call.id)).recorded is None
    begun = [made.NOW + timedelta(seconds=seconds) for seconds in (60, 0, 30)]
    for at in begun:
        tag = made.tag(call)
        await store.recordings.tag(tag, ())
        await store.recordings.started(tag.recording_id, at)
        # the second of three was refused
        await (
            store.recordings.ended(tag, RecordingState.DISCARDED, ())
            if at == begun[2]
            else store.recordings.stored(tag, made.KEPT, ())
        )
    shown = await store.records.show_call(call.id)
    assert [each["started_at"] for each in shown.recordings] == sorted(begun)
    assert shown.recorded == {
        "segments": 2, "duration_ms": 2 * made.KEPT.duration_ms, "started_at": begun[1],
        "ended_at": begun[0] + timedelta(milliseconds=made.KEPT.duration_ms),
    }  # fmt: skip


async def test_a_recording_that_waits_is_forgotten_or_one_that_is_settled_waits_on(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    """``until`` is the earliest moment that anybody has reported: a stop that Asterisk missed, or the stop itself."""
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.commit_heard(call.id, "v1", "i1", ())
    tag, other = made.tag(call), made.tag(call)
    first, later = tag.started_at + timedelta(seconds=1), tag.started_at + timedelta(seconds=2)
    for each in (tag, other):
        await store.recordings.tag(each, ())
        await store.recordings.started(each.recording_id, each.started_at)
    await store.recordings.keep_until(tag.recording_id, first)
    bounds = [await store.recordings.kept_until(each.recording_id) for each in (tag, other)]
    assert bounds == [first, None]
    (missed, _) = sorted(await store.recordings.unfinished(made.ASTERISK), key=lambda each: each.tag != tag)
    assert missed == Unfinished(tag, begun=True, until=first)
    await store.recordings.finished(tag, later, made.journal("recording_delayed"))
    both = [tag.recording_id, other.recording_id]
    assert [each.tag for each in await store.recordings.unfinished(made.ASTERISK)] == [other]
    assert await store.recordings.waiting(both) == [Unfinished(tag, begun=True, until=first)]
    assert await store.recordings.settled(both) == []
    await store.recordings.stored(tag, made.KEPT, ())
    assert (await store.recordings.waiting(both), await store.recordings.settled(both)) == ([], both[:1])
    (row,) = await rows(database, "SELECT * FROM recordings WHERE state = 'stored'")
    assert (row["format"], row["bytes"], row["silent"]) == ("flac", made.KEPT.size, False)
    assert (row["sha256"], row["file_sha256"]) == (made.KEPT.sha256, made.KEPT.file_sha256)
    assert row["recipients"] == list(made.KEPT.recipients)


async def test_a_right_and_its_suppression_are_two_transactions(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE suppressions ADD CONSTRAINT never CHECK (false)")
        with pytest.raises(StoreError, match="never"):
            await calls.register_right(call, made.exercise(), made.journal("key_pressed"))
        assert await store.requests.list(None, 10) == []
        assert await rows(database, "SELECT * FROM request_counters") == []
        assert await rows(database, "SELECT * FROM call_events") == []
        await connection.execute("ALTER TABLE suppressions DROP CONSTRAINT never")
    reference = await calls.register_right(call, made.exercise(), made.journal("key_pressed"))
    assert reference == "ACME-2026-000001"
    (bar,) = await store.suppressions.of("acme", call.digests)
    assert (bar["reason"], bar["origin"], bar["proof"]) == ("erasure", "call", reference)


async def test_invariant_5_a_right_is_lost_whose_call_went_with_the_server(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    """A standby that is not waited for has taken over, and does not have what was written last."""
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.write(call.id, made.journal("call_gated"))
    for table in ("call_event_fields", "call_events", "calls"):
        await forge(database, f"DELETE FROM {table}")  # noqa: S608 - ours
    reference = await calls.register_right(call, made.exercise(), made.journal("key_pressed", key="7"))
    assert [each["reference"] for each in await store.requests.list("acme", 10)] == [reference]
    assert [each["reason"] for each in await store.suppressions.of("acme", call.digests)] == ["erasure"]
    await calls.close(call.id, "right_exercised", "erasure", made.journal("call_ended"))
    assert await whole_journal(store, call) == ["key_pressed", "call_ended"]


async def test_a_right_pressed_twice_at_once_makes_two_requests_or_an_error(
    calls: PostgresCallStore, store: Store
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    given = await asyncio.gather(*(calls.register_right(call, made.exercise(), ()) for _ in range(5)))
    assert set(given) == {"ACME-2026-000001"}
    assert len(await store.requests.list(None, 10)) == 1
    assert await calls.register_right(call, made.exercise(Right.ACCESS), ()) == "ACME-2026-000002"


async def test_references_have_a_gap_or_a_double(calls: PostgresCallStore, store: Store) -> None:
    """Even if some fail; and they are counted separately for each controller and year."""
    good = [made.call(number=Number(f"+4860010{n:04}")) for n in range(20)]
    for call in good:
        await calls.open(call, made.question(call))
    refused = [replace(made.call(), revision=99) for _ in range(10)]
    given = await asyncio.gather(
        *(calls.register_right(call, made.exercise(), ()) for pair in zip(good, refused * 2, strict=True)
          for call in pair),
        return_exceptions=True,
    )  # fmt: skip
    references = sorted(each for each in given if isinstance(each, str))
    assert references == [f"ACME-2026-{n:06}" for n in range(1, 21)]
    assert all(isinstance(each, StoreError) for each in given if not isinstance(each, str))
    other, next_year = made.call("other"), made.call()
    await calls.open(other, made.question(other))
    await calls.open(next_year, made.question(next_year))
    assert await calls.register_right(other, made.exercise(), ()) == "OTHER-2026-000001"
    assert await calls.register_right(next_year, made.exercise(year=2027), ()) == "ACME-2027-000001"
    assert len(await store.requests.list("other", 10)) == 1


async def test_a_fulfilled_right_keeps_the_number_without_need(
    calls: PostgresCallStore, store: Store
) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    await calls.register_right(call, made.exercise(Right.REFUSE_RECORDING), ())
    await calls.register_right(call, made.exercise(Right.ACCESS), ())
    kept = {row["right"]: row["number"] for row in await store.requests.list(None, 10)}
    assert kept == {"refuse_recording": None, "access": made.NUMBER.e164}
    assert await store.suppressions.of("acme", call.digests) == []


async def test_a_call_that_was_opened_by_a_right_does_not_say_whom_it_was_with(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    """In the dialplan's keys menu, or while the database is away: the gate was not asked, or its row was not written."""
    pressed, kept = made.call(), made.call()
    journal = Journal(pressed.id, "anna")
    await registering.register(calls, journal, pressed, made.exercise(Right.ACCESS))
    journal.note("right_registered", {"right": "access"})
    await calls.close(pressed.id, "right_exercised", "access", journal.pending())
    await calls.replay(Pressed(kept, made.exercise(Right.ERASURE)))
    for call in (pressed, kept):
        assert (await store.records.show_call(call.id)).fault is None
    await database.rows("UPDATE calls SET digest = decode(repeat('ab', 32), 'hex')")
    for call in (pressed, kept):
        fault = (await store.records.show_call(call.id)).fault
        assert (
            fault == f"the digest of the call is {'ab' * 32}, but {call.digests.newest.hex()} in the journal"
        )


async def test_a_call_that_is_asked_about_again_keeps_the_agent_of_an_older_policy(
    calls: PostgresCallStore, store: Store
) -> None:
    """In the end its journal says what it was opened with."""
    call = made.call()
    await calls.open(call, made.question(call))
    again = replace(call, agent="barbara", number_masked="+48•••••0002")
    await calls.open(again, made.question(again))
    await calls.close(call.id, "failed", "", made.journal("call_gated", **again.asserted))
    assert (await store.records.show_call(call.id)).fault is None


async def test_an_abandoned_call_stays_open_or_its_journal_does_not_fit(
    calls: PostgresCallStore, store: Store
) -> None:
    left, ended, foreign = made.call(), made.call(), made.call(asterisk="another")
    for call in (left, ended, foreign):
        await calls.open(call, made.question(call))
    await calls.commit_heard(left.id, "v1", "i1", made.journal("call_gated", "notice_heard"))
    await calls.close(ended.id, "busy", "", made.journal("call_ended"))
    assert await calls.close_abandoned(made.ASTERISK, datetime.now(UTC)) == 1
    assert await calls.close_abandoned(made.ASTERISK, datetime.now(UTC)) == 0
    shown = await store.records.show_call(left.id)
    assert (shown.call["outcome"], shown.call["reason"]) == ("failed", "service_died")
    assert ([each["event"] for each in shown.events][-1], shown.fault) == ("call_ended", None)
    assert (await store.records.show_call(ended.id)).call["outcome"] == "busy"
    assert (await store.records.show_call(foreign.id)).call["ended_at"] is None


async def test_a_call_that_is_being_run_is_closed_by_the_sweep_or_one_that_nobody_runs_is_not(
    calls: PostgresCallStore, store: Store
) -> None:
    """A call that began after the sweep looked for the running calls is too young for it."""
    run, left = made.call(), made.call()
    for call in (run, left):
        await calls.open(call, made.question(call))
    assert await calls.close_abandoned(made.ASTERISK, made.NOW, (), older_than=60) == 0
    assert await calls.close_abandoned(made.ASTERISK, made.NOW, (run.id,)) == 1
    assert (await store.records.show_call(run.id)).call["ended_at"] is None
    assert (await store.records.show_call(left.id)).call["ended_at"] is not None


async def test_a_call_of_an_asterisk_that_has_another_name_now_stays_open_for_ever(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    """No leg lives that long; what runs on another node meanwhile is younger."""
    old, young = made.call(asterisk="pbx-before"), made.call(asterisk="pbx-before")
    for call in (old, young):
        await calls.open(call, made.question(call))
    await database.rows("UPDATE calls SET opened_at = now() - interval '25 hours' WHERE id = $1", old.id)
    assert await calls.close_abandoned(made.ASTERISK, made.NOW, (old.id,)) == 0
    assert await calls.close_abandoned(made.ASTERISK, datetime.now(UTC)) == 1
    assert (await store.records.show_call(old.id)).call["ended_at"] is not None
    assert (await store.records.show_call(young.id)).call["ended_at"] is None


@pytest.mark.parametrize("events", [0, 2**31 - 1])
async def test_a_call_that_somebody_has_changed_keeps_others_open(
    calls: PostgresCallStore, database: Database, events: int
) -> None:
    run = [made.call() for _ in range(3)]
    for call in run:
        await calls.open(call, made.question(call))
        await calls.append(call.id, "call_gated", {})
    await database.rows("UPDATE calls SET events = $2 WHERE id = $1", run[0].id, events)
    assert await calls.close_abandoned(made.ASTERISK, datetime.now(UTC)) == 2
    (left,) = await database.rows("SELECT id FROM calls WHERE ended_at IS NULL")
    assert left["id"] == run[0].id


async def test_a_talk_cannot_be_taken_up_or_is_after_its_end(calls: PostgresCallStore, store: Store) -> None:
    talk, over, unheard = made.call(), made.call(), made.call()
    for call in (talk, over, unheard):
        await calls.open(call, made.question(call))
        await calls.keep_talk(call.id, {"version": 1, "paused": False}, made.journal("call_bridged"))
    for call in (talk, over):
        await calls.commit_heard(call.id, "v1", None, made.journal("notice_heard"))
    await calls.close(over.id, "bridged", "", ())
    await calls.keep_talk(over.id, {"version": 1}, ())
    await calls.keep_talk(talk.id, {"version": 1, "paused": True}, ())
    (left,) = await calls.left_talks(made.ASTERISK)
    assert (left.id, left.campaign, left.notice_version) == (talk.id, talk.campaign, "v1")
    assert (left.kept, left.recordings) == ({"version": 1, "paused": True}, 0)
    assert await calls.left_talks("another") == []
    # what was a talk has ended as one, though nobody saw its end
    assert await calls.close_abandoned(made.ASTERISK, datetime.now(UTC)) == 2
    shown = await store.records.show_call(talk.id)
    assert (shown.call["outcome"], shown.call["reason"], shown.fault) == ("bridged", "service_died", None)
    assert await calls.left_talks(made.ASTERISK) == []


async def test_a_right_that_was_registered_in_a_talk_is_unknown_to_whoever_takes_it_up(
    calls: PostgresCallStore,
) -> None:
    """Whoever registered it may have died before the callee was told."""
    call, other = made.call(), made.call()
    for each in (call, other):
        await calls.open(each, made.question(each))
        await calls.keep_talk(each.id, {"version": 1}, ())
        await calls.commit_heard(each.id, "v1", None, made.journal("notice_heard"))
    pressed = await calls.register_right(call, made.exercise(Right.ACCESS), ())
    by_agent = replace(made.exercise(Right.ERASURE), intake=Intake.AGENT, key="*7")
    entered = await calls.register_right(call, by_agent, ())
    await calls.write(call.id, made.journal("right_registered", right="erasure", reference=entered))
    left = {each.id: each.registered for each in await calls.left_talks(made.ASTERISK)}
    assert set(left[call.id]) == {
        RightOnRecord(Right.ACCESS, pressed, by_agent.due),
        RightOnRecord(Right.ERASURE, entered, by_agent.due, by_agent=True, noted=True),
    }
    assert left[other.id] == ()


async def test_two_who_have_talked_are_on_record_as_a_failed_call_where_the_service_dies_after_the_talk(
    calls: PostgresCallStore, store: Store
) -> None:
    """In a transfer, or in the last words: nothing is kept of a talk that could be taken up."""
    talked, other = made.call(), made.call()
    for call in (talked, other):
        await calls.open(call, made.question(call))
        await calls.commit_heard(call.id, "v1", None, made.journal("notice_heard"))
    await calls.keep_talk(talked.id, {"version": 1}, made.journal("call_bridged"))
    await calls.keep_talk(talked.id, None, made.journal("transfer_asked"))
    assert await calls.close_abandoned(made.ASTERISK, datetime.now(UTC)) == 2
    outcomes = [(await store.records.show_call(each.id)).call["outcome"] for each in (talked, other)]
    assert outcomes == ["bridged", "failed"]
    assert (await store.records.show_call(talked.id)).events[-1]["fields"]["outcome"] == "bridged"


async def test_a_call_that_no_policy_covers_leaves_no_row_or_a_number(
    calls: PostgresCallStore, store: Store
) -> None:
    refused = RefusedCall(uuid4(), uuid4(), made.ASTERISK, "anna", "nonsense", datetime.now(UTC))
    await calls.open_refused(refused)
    await calls.close(refused.id, "blocked", "unknown_campaign", made.journal("call_blocked"))
    shown = await store.records.show_call(refused.id)
    assert (shown.call["number"], shown.call["reason"], shown.fault) == ("—", "unknown_campaign", None)


async def test_a_failure_of_the_database_quotes_the_number(calls: PostgresCallStore) -> None:
    call = made.call()
    await calls.open(call, made.question(call))
    with pytest.raises(StoreError) as wrong:
        await calls.register_right(call, replace(made.exercise(), due=made.NUMBER.e164), ())  # type: ignore[arg-type]
    chain: BaseException | None = wrong.value
    while chain is not None:
        assert "600100001" not in str(chain)
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)


async def test_the_end_of_a_call_whose_row_is_gone_is_tried_for_minutes(
    store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example if a standby took over that did not have it yet: the call would count as under way all that time, and
    keep a lost connection waiting.
    """
    monkeypatch.setattr("ccari.gating.journal.CLOSE_RETRY_SECONDS", 3600.0)
    call = made.call()
    await store.calls.open(call, made.question(call))
    await database.rows("DELETE FROM calls WHERE id = $1", call.id)
    ended = entry("call_ended", {"outcome": "bridged", "reason": ""})
    with capture_logs() as logged:
        async with asyncio.timeout(WITHIN):
            assert not await persistently(call.id, lambda: store.calls.close(call.id, "bridged", "", [ended]))
    assert [(each["event"], each["call_id"]) for each in logged] == [("call_not_closed", str(call.id))]


async def test_a_call_stays_open_until_the_day_that_a_fast_clock_of_the_database_showed(
    calls: PostgresCallStore, store: Store, database: Database
) -> None:
    """Its service has died, and the clock was set right: an open call is never sealed, does not expire, and is not erased."""
    left, run, foreign = made.call(), made.call(), made.call(asterisk="another")
    for call in (left, run, foreign):
        await calls.open(call, made.question(call))
    await database.rows("UPDATE calls SET opened_at = now() + interval '1 year'")
    before = await calls.clock()
    assert await calls.close_abandoned(made.ASTERISK, datetime.now(UTC), (run.id,), opened_before=before) == 1
    shown = await store.records.show_call(left.id)
    assert (shown.call["outcome"], shown.fault) == ("failed", None)
    assert await calls.close_abandoned(made.ASTERISK, datetime.now(UTC), older_than=60) == 1


async def test_callees_are_abandoned_unnoticed_since_a_clock_that_was_fast_was_put_right(
    calls: PostgresCallStore, database: Database
) -> None:
    """Its calls would stay the most recent ones until the corrected clock has caught up."""
    ahead, abandoned, next_one = (replace(made.call(), direction=Direction.CALLEE_FIRST) for _ in range(3))
    for each in (ahead, abandoned):
        await calls.open(each, made.question(each))
    await database.rows(
        "UPDATE calls SET dialled_at = opened_at, heard_at = opened_at, ended_at = opened_at, outcome = 'failed'"
    )
    await database.rows(
        "UPDATE calls SET opened_at = now() + interval '1 hour', dialled_at = now() + interval '1 hour' WHERE id = $1",
        ahead.id,
    )
    await database.rows("UPDATE calls SET reason = 'abandoned' WHERE id = $1", abandoned.id)
    lately = await calls.lately(next_one, 1)
    assert (lately.heard, lately.abandoned) == (1, 1)
    assert lately.last is not None
    assert lately.last < datetime.now(UTC)


async def test_two_nodes_that_find_an_old_call_at_the_same_moment_end_it_twice(
    dsn: str, database: Database, store: Store
) -> None:
    old, at = made.call(), datetime.now(UTC)
    await store.calls.open(old, made.question(old))
    await database.rows("UPDATE calls SET opened_at = now() - interval '2 days'")
    async with open_database(dsn) as other:
        async with database.outside_pool() as holding, holding.transaction():
            await holding.execute("SELECT FROM calls FOR UPDATE")
            ending = [
                asyncio.create_task(each.close_abandoned("another asterisk", at))
                for each in (store.calls, PostgresCallStore(other))
            ]
            await until(partial(_waiting, database, 2), within=WITHIN)
        assert sum(await asyncio.gather(*ending)) == 1
    shown = await store.records.show_call(old.id)
    assert [each["event"] for each in shown.events] == ["call_ended"]


async def _waiting(database: Database, count: int) -> bool:
    """Whether that many wait for a row."""
    rows = await database.rows(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return len(rows) == count
