"""What webhooks have missed in a long outage is more than one statement can do in a call's time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from ccari.errors import StoreError
from ccari.forward.courier import LONGEST_PAUSE
from ccari.ports.webhooks import Endpoint, Told
from ccari.store import connecting
from ccari.store import database as database_module
from ccari.store.database import Connection, Database
from ccari.store.opened import Store
from ccari.store.queries import SQL

#: As many rows as a statement changes in a call's time, here; and a number that is too many.
MOST, BACKLOG = 5000, 6000
AN_HOUR, A_MONTH = timedelta(hours=1), timedelta(days=30)

_PATIENCE = f"""
CREATE FUNCTION lose_patience() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM changed) > {MOST} THEN RAISE query_canceled; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER written AFTER UPDATE ON webhook_deliveries REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lose_patience();
CREATE TRIGGER deleted AFTER DELETE ON webhook_deliveries REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION lose_patience();
"""  # noqa: S608 - ours


async def backlog(store: Store, state: str, *, settled: timedelta | None = None) -> None:
    await store.webhooks.know([Endpoint("crm", tuple(Told)), Endpoint("erp", tuple(Told))])
    async with store.database.outside_pool() as connection:
        await connection.execute(
            """INSERT INTO webhook_deliveries (endpoint, event, subject, state, settled_at)
               SELECT 'crm', 'call.ended', gen_random_uuid()::text, $1, now() - $2::interval FROM generate_series(1, $3)""",
            state, settled, BACKLOG,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO webhook_deliveries (endpoint, event, subject) VALUES ('erp', 'call.ended', 'another')"
        )
        await connection.execute(_PATIENCE)


async def counted(database: Database, endpoint: str = "crm") -> dict[str, int]:
    rows = await database.rows(
        "SELECT state, count(*) FROM webhook_deliveries WHERE endpoint = $1 GROUP BY state", endpoint
    )
    return {row["state"]: row["count"] for row in rows}


async def unseen(database: Database) -> None:
    await database.rows(
        "UPDATE webhook_endpoints SET seen_at = now() - interval '1 day' WHERE name = 'crm' RETURNING 1"
    )


async def endpoints(database: Database) -> list[str]:
    return [row["name"] for row in await database.rows("SELECT name FROM webhook_endpoints ORDER BY name")]


async def test_a_webhook_with_a_long_backlog_is_never_dropped(store: Store, database: Database) -> None:
    await backlog(store, "waiting")
    await unseen(database)
    assert await store.webhooks.drop_unseen(AN_HOUR) == {"crm": BACKLOG}
    assert await endpoints(database) == ["erp"]
    assert (await counted(database), await counted(database, "erp")) == (
        {"given_up": BACKLOG},
        {"waiting": 1},
    )
    assert await store.webhooks.drop_unseen(AN_HOUR) == {}


async def test_a_webhook_is_written_to_until_its_backlog_is_given_up(
    store: Store, database: Database
) -> None:
    await backlog(store, "waiting")
    await unseen(database)
    never = "ALTER TABLE webhook_deliveries ADD CONSTRAINT never CHECK (state <> 'given_up')"
    await database.rows(never)
    with pytest.raises(StoreError, match="never"):
        await store.webhooks.drop_unseen(AN_HOUR)
    assert await endpoints(database) == ["erp"]
    # whoever comes next goes on with it
    await database.rows("ALTER TABLE webhook_deliveries DROP CONSTRAINT never")
    assert await store.webhooks.drop_unseen(AN_HOUR) == {"crm": BACKLOG}


async def test_a_message_that_is_being_tried_keeps_its_webhook_from_being_dropped(
    store: Store, database: Database
) -> None:
    await backlog(store, "waiting")
    await unseen(database)
    async with database.outside_pool() as other, other.transaction():
        # as whoever tries it does for a moment
        (tried,) = await other.fetch(
            "SELECT id FROM webhook_deliveries WHERE endpoint = 'crm' LIMIT 1 FOR UPDATE"
        )
        assert await store.webhooks.drop_unseen(AN_HOUR) == {"crm": BACKLOG - 1}
    rows = await database.rows(
        "SELECT id FROM webhook_deliveries WHERE endpoint = 'crm' AND state = 'waiting'"
    )
    assert rows == [dict(tried)]


DEEDS: dict[str, Callable[[Store], Awaitable[list[int]]]] = {
    "waiting": lambda store: store.webhooks.retry(endpoint="crm"),
    "discarded": lambda store: store.webhooks.discard(endpoint="crm"),
}


@pytest.mark.parametrize("state", DEEDS)
async def test_what_was_given_up_in_a_long_outage_can_neither_be_tried_again_nor_discarded(
    store: Store, database: Database, state: str
) -> None:
    await backlog(store, "given_up", settled=AN_HOUR)
    done = await DEEDS[state](store)
    assert len(set(done)) == BACKLOG
    assert await counted(database) == {state: BACKLOG}
    assert await DEEDS[state](store) == []


async def test_two_who_retry_the_same_wait_for_one_another_or_do_it_twice(
    store: Store, database: Database
) -> None:
    await backlog(store, "given_up", settled=AN_HOUR)
    one, another = await asyncio.gather(*(DEEDS["waiting"](store) for _ in range(2)))
    assert sorted(one + another) == sorted({*one, *another})
    assert await counted(database) == {"waiting": BACKLOG}


async def test_what_was_settled_within_a_moment_is_kept_for_ever(store: Store, database: Database) -> None:
    await backlog(store, "delivered", settled=2 * A_MONTH)
    await store.webhooks.forget(A_MONTH)
    assert (await counted(database), await counted(database, "erp")) == ({}, {"waiting": 1})


async def test_each_webhook_costs_the_database_a_connection_every_minute(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backlog(store, "waiting")
    connects, opened = connecting.connect, 0

    async def counted(*given: Any, **settings: Any) -> Connection:
        nonlocal opened
        opened += 1
        return await connects(*given, **settings)

    monkeypatch.setattr(database_module, "connect", counted)
    narrowed = [Endpoint(each, (Told.REQUEST_OVERDUE,)) for each in ("crm", "erp", "bi")]
    assert await store.webhooks.know(narrowed) == {"crm": BACKLOG, "erp": 1}
    assert await store.webhooks.know([]) == {}
    assert opened == 1


async def test_what_a_fast_clock_has_queued_or_tried_waits_until_that_time_has_come(
    store: Store, database: Database
) -> None:
    crm, lease = Endpoint("crm", tuple(Told)), timedelta(seconds=60)

    async def put_right() -> None:
        await database.rows(
            "UPDATE webhook_deliveries SET at = at + $1::interval, next_try_at = next_try_at + $1, first_try_at = first_try_at + $1 RETURNING 1",
            timedelta(days=365),
        )

    await store.webhooks.know([crm])
    await database.rows(
        "INSERT INTO webhook_deliveries (endpoint, event, subject) VALUES ('crm', 'call.ended', gen_random_uuid()::text) RETURNING 1"
    )
    await put_right()
    assert await store.webhooks.know([crm]) == {}
    queued = await store.webhooks.claim(crm, lease)
    assert queued is not None
    assert not await store.webhooks.failed(queued, "away", LONGEST_PAUSE, timedelta(days=3))
    # a pause after a failure is kept
    assert await store.webhooks.know([crm]) == {}
    assert await store.webhooks.claim(crm, lease) is None
    await put_right()
    assert await store.webhooks.know([crm]) == {}
    tried = await store.webhooks.claim(crm, lease)
    assert tried is not None
    assert (tried.id, tried.tries) == (queued.id, 2)
    ((since,),) = [
        row.values()
        for row in await database.rows("SELECT first_try_at <= clock_timestamp() FROM webhook_deliveries")
    ]
    assert since


async def test_all_that_a_webhook_has_refused_is_read_every_two_seconds(
    store: Store, database: Database
) -> None:
    """It waits for up to six hours."""
    crm = Endpoint("crm", tuple(Told))
    await store.webhooks.know([crm])
    await database.rows(
        "INSERT INTO webhook_deliveries (endpoint, event, subject, tries, first_try_at, next_try_at) "
        "SELECT 'crm', 'call.ended', gen_random_uuid()::text, 1, now(), now() + random() * interval '5 hours' + interval '1 hour' "
        "FROM generate_series(1, $1) RETURNING 1",
        BACKLOG,
    )
    await database.execute("ANALYZE webhook_deliveries")
    async with database.transaction() as connection:
        plan = await connection.fetch(
            f"EXPLAIN ANALYZE {SQL['claim_delivery']}", "crm", AN_HOUR, [each.value for each in Told], None
        )
    read = [line[0].strip() for line in plan]
    assert any("webhook_deliveries_to_do" in each for each in read)
    assert not [each for each in read if each.startswith("Rows Removed by Filter")]
