"""What people look through may be millions of rows, and takes longer than a statement of a call may."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import asyncpg
import pytest
import pytest_asyncio

from ccari.policy.retention import WITHDRAWING
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.ports.recordings import WantedRecordings
from ccari.ports.records import WantedCalls
from ccari.ports.requests import Clock
from ccari.store import holds
from ccari.store.database import as_it_is
from ccari.store.figures import count_given_up
from ccari.store.opened import Store
from ccari.store.queries import SQL
from tests.unit.policy.campaigns import campaign
from tests.unit.store import made
from tests.unit.store.made import elsewhere
from tests.unit.store.server import copied

#: More than can be looked through within the :data:`HURRIED` milliseconds that a call's statement has here.
ROWS, HURRIED = 20_000, 1


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowded(server: str, administrator: asyncpg.Connection) -> AsyncIterator[str]:
    """The name of a database with many calls, each with a recording: making them takes longer than copying them."""
    async with copied(administrator, "template") as name:
        await _crowd(elsewhere(server, name))
        yield name


async def _crowd(dsn: str) -> None:
    call = made.call()
    async with (
        as_it_is(dsn, 1, {"search_path": "ccari"}) as database,
        database.outside_pool() as connection,
    ):
        await Store(dsn, database).calls.open(call, made.question(call))
        await connection.execute(
            """INSERT INTO calls (id, asterisk, revision, controller, campaign, agent, number_masked, token, last_link, outcome,
                                  ended_at)
               SELECT gen_random_uuid(), asterisk, revision, controller, campaign, agent, number_masked, token, last_link,
                      'busy', now()
               FROM calls, generate_series(1, $1)""",
            ROWS,
        )
        await connection.execute(
            """INSERT INTO recordings (id, call_id, revision, controller, campaign, purpose, legal_basis, mode, notice_version,
                                       delete_at)
               SELECT gen_random_uuid(), id, revision, controller, campaign, 'p', 'contract', 'notice', 'v1', now()
               FROM calls"""
        )


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(server: str, administrator: asyncpg.Connection, crowded: str) -> AsyncIterator[str]:
    """A copy of the test's own."""
    async with copied(administrator, crowded) as name:
        yield elsewhere(server, name)


@pytest_asyncio.fixture
async def hurried(dsn: str) -> AsyncIterator[Store]:
    async with as_it_is(dsn, 1, {"search_path": "ccari"}) as database:
        await database.rows(f"SET statement_timeout = {HURRIED}")
        yield Store(dsn, database)


async def store_all(connection: asyncpg.Connection) -> None:
    """Mark every recording as stored."""
    await connection.execute(
        """UPDATE recordings SET state = 'stored', file = 'f', format = 'flac', duration_ms = 1, sha256 = sha256('x'),
                                 file_sha256 = sha256('x')"""
    )


@pytest.mark.parametrize("wanted", [WantedCalls(outcome="notice_failed"), WantedCalls(campaign="none")])
async def test_calls_that_are_rare_among_many_cannot_be_found(hurried: Store, wanted: WantedCalls) -> None:
    assert await hurried.records.list_calls(10, wanted) == []


async def test_the_newest_of_many_recordings_cannot_be_listed(hurried: Store) -> None:
    assert len(await hurried.records.page_of_recordings(10, WantedRecordings())) == 10


async def test_a_page_of_recordings_is_read_by_sorting_all_of_them(hurried: Store) -> None:
    async with hurried.database.outside_pool() as connection:
        await connection.execute("ANALYZE recordings")
        plan = await connection.fetch(f"EXPLAIN {SQL['page_of_recordings']}", 10, *[None] * 8)
    assert any("recordings_newest" in line for (line,) in plan)


async def test_many_calls_cannot_be_counted(hurried: Store) -> None:
    clock = Clock(datetime.now(UTC), {"acme": "PL"})
    found = await hurried.overview.since(
        made.LONG_AGO, None, by_hour=False, zone="Europe/Warsaw", clock=clock
    )
    assert sum(each.calls for each in found.counted) == ROWS + 1


async def test_a_policy_cannot_be_applied_beside_many_consents_to_something_else(hurried: Store) -> None:
    """That is when it is looked up whether anybody has consented to what a campaign asks for, and nobody may have."""
    async with hurried.database.outside_pool() as connection:
        await connection.execute(
            """INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, proof, origin)
               SELECT 'acme', sha256(n::text::bytea), 1, 'else', 'phone', now(), 'form', 'list' FROM generate_series(1, $1) n""",
            ROWS,
        )
    assert not await hurried.policies.has_consents(campaign(legal_basis="consent"))


async def test_the_record_of_many_accesses_cannot_be_checked_or_looked_through(hurried: Store) -> None:
    """For a rare kind of access; and each entry of a record that was sealed just as often."""
    async with hurried.database.outside_pool() as connection:
        await connection.execute(
            """WITH made AS (
                   INSERT INTO accesses (seq, at, event, fields, salt, commitment, link)
                   SELECT n, now(), 'number_checked', '{}', decode(repeat('00', 16), 'hex'), sha256('x'), sha256(n::text::bytea)
                   FROM generate_series(1, $1) n RETURNING seq, link
               ), seal AS (
                   INSERT INTO seals (sealed_at, leaves, root, before, key, signature)
                   VALUES (now(), 1, sha256('x'), sha256('x'), 'x', '') RETURNING id
               )
               INSERT INTO sealed (seal, leaf, kind, id, events, link)
               SELECT seal.id, seq, 'accesses', 'accesses', seq, link FROM made, seal""",
            ROWS,
        )
    assert await hurried.accesses.list(10, WantedAccesses(None, Looked.SUBJECT_ERASED, None)) == []
    count, fault = await hurried.accesses.fault()
    assert (count, fault) == (0, "entry 1 (number_checked) was changed, or is not in its place")


async def test_recordings_cannot_be_verified_as_there_are_too_many_to_count(hurried: Store) -> None:
    async with hurried.database.outside_pool() as connection:
        await store_all(connection)
    assert await hurried.recordings.count_in_place() == ROWS + 1


async def ask_often(connection: asyncpg.Connection) -> None:
    """Closed requests, each of which was due on a different day."""
    await connection.execute(
        """INSERT INTO rights_requests (reference, controller, "right", article, state, digest, digests, key_version,
                                        received_at, due, closed_at)
           SELECT 'ACME-2026-' || n, 'acme', 'objection_marketing', '21(2)', 'fulfilled', sha256('x'), ARRAY[sha256('x')], 1,
                  now(), current_date - n, now()
           FROM generate_series(1, $1) n""",
        ROWS,
    )


@pytest.mark.parametrize(
    "after", [(None, None, None), (True, date(2000, 1, 1), "ACME-2026-9")], ids=["first", "later"]
)
async def test_a_page_of_requests_is_read_by_sorting_all_of_them(
    hurried: Store, after: tuple[object, ...]
) -> None:
    """Or by reading all those before it."""
    async with hurried.database.outside_pool() as connection:
        await ask_often(connection)
        await connection.execute("ANALYZE rights_requests")
        today = [date.today()]  # noqa: DTZ011 - any will do
        given = [["acme"], today, *today, None, None, None, False, None, 10, None, None, *after, None]
        plan = await connection.fetch(f"EXPLAIN {SQL['list_requests']}", *given)
    told = "\n".join(line for (line,) in plan)
    assert "rights_requests_by_due" in told
    assert f"Index Cond: (due >= '{after[1] or '-infinity'}'::date)" in told
    assert "Seq Scan on rights_requests" not in told


async def test_what_keeps_some_requests_is_looked_for_among_all_recordings(hurried: Store) -> None:
    """Once an hour, for each batch of closed requests; and nobody can place a hold meanwhile."""
    async with hurried.database.outside_pool() as connection:
        await ask_often(connection)
        await connection.execute("ANALYZE rights_requests, calls, recordings")
        some = [f"ACME-2026-{n}" for n in range(1, 50)]
        plan = await connection.fetch(
            f"EXPLAIN {SQL['requests_kept']}", some, True, holds.ON_RIGHTS, holds.ON_BARS
        )
    told = "\n".join(line for (line,) in plan)
    assert "Seq Scan on rights_requests q" not in told
    assert "Seq Scan on recordings" not in told


async def test_all_consents_are_read_to_see_which_recordings_are_due(hurried: Store) -> None:
    """Every five minutes."""
    async with hurried.database.outside_pool() as connection:
        await store_all(connection)
        await connection.execute("UPDATE recordings SET legal_basis = 'consent'")
        await connection.execute(
            """INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, withdrawn_at, proof, origin)
               SELECT 'acme', sha256(n::text::bytea), 1, 'marketing', 'phone', now(), now(), 'form', 'list'
               FROM generate_series(1, $1) n""",
            ROWS,
        )
        await connection.execute(
            """INSERT INTO consent_uses (call_id, consent_id)
               SELECT calls.id, consents.id FROM (SELECT id, row_number() OVER () AS n FROM calls) AS calls
               JOIN (SELECT id, row_number() OVER () AS n FROM consents) AS consents USING (n)"""
        )
        await connection.execute("ANALYZE consents, consent_uses, calls, recordings")
        plan = await connection.fetch(
            f"EXPLAIN {SQL['recordings_perhaps_due']}", datetime.now(UTC), sorted(WITHDRAWING)
        )
    assert "Seq Scan on consents" not in "\n".join(line for (line,) in plan)


async def test_what_many_controllers_were_told_cannot_be_listed(hurried: Store) -> None:
    async with hurried.database.outside_pool() as connection:
        await ask_often(connection)
        await connection.execute(
            """WITH noted AS (
                   INSERT INTO request_events (reference, seq, at, state, level, due, commitment, link)
                   SELECT reference, 1, now(), state, 1, due, sha256('x'), sha256('x') FROM rights_requests RETURNING reference
               )
               INSERT INTO forwards (reference, seq, state, settled_at) SELECT reference, 1, 'delivered', now() FROM noted"""
        )
    assert len(await hurried.forwards.list(["acme"], 10)) == 10


async def test_messages_that_were_given_up_cannot_be_found_among_many(hurried: Store) -> None:
    """Doctor and an alert tell people to look for them."""
    async with hurried.database.outside_pool() as connection:
        await connection.execute(
            """INSERT INTO webhook_deliveries (endpoint, event, subject, state, settled_at)
               SELECT 'crm', 'call.ended', n::text, 'delivered', now() FROM generate_series(1, $1) n""",
            ROWS,
        )
    assert await hurried.webhooks.page(10, state="given_up") == []


async def test_what_many_webhooks_were_not_told_cannot_be_counted(hurried: Store) -> None:
    async with hurried.database.outside_pool() as connection:
        await connection.execute(
            """INSERT INTO webhook_deliveries (endpoint, event, subject, state, settled_at)
               SELECT 'crm', 'call.ended', n, CASE n WHEN 1 THEN 'given_up' ELSE 'delivered' END, now() FROM generate_series(1, $1) n""",
            ROWS,
        )
    assert (await count_given_up(hurried.database)).webhooks == {"crm": 1}


async def test_the_sources_of_many_contacts_cannot_be_told(hurried: Store) -> None:
    """The prompts are built from them, and doctor checks whether they are."""
    async with hurried.database.outside_pool() as connection:
        await connection.execute(
            """INSERT INTO contacts (controller, digest, key_version, source, obtained_on, legal_basis, origin)
               SELECT CASE n % 5 WHEN 0 THEN 'other' ELSE 'acme' END, sha256(n::text::bytea), 1, 'fair ' || n % 3,
                      '2026-01-31', 'contract', 'import:anna'
               FROM generate_series(1, $1) n""",
            ROWS,
        )
    every = ["fair 0", "fair 1", "fair 2"]
    assert await hurried.contacts.sources() == {"acme": every, "other": every}


async def test_recordings_that_are_deserted_beside_many_calls_stay_so(hurried: Store) -> None:
    """They seem to run for ever, and keep their calls from being erased."""
    async with hurried.database.outside_pool() as connection:
        await connection.execute(
            """WITH deserted AS (
                   UPDATE recordings SET tagged_at = now() - interval '8 days' WHERE id IN (SELECT id FROM recordings LIMIT 3)
                   RETURNING call_id
               )
               UPDATE calls SET asterisk = 'gone', opened_at = now() - interval '8 days', ended_at = now(), outcome = 'failed'
               WHERE id IN (SELECT call_id FROM deserted)"""
        )
    assert len(await hurried.recordings.deserted([])) == 3
