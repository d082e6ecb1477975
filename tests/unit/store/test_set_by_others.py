"""What an administrator has set for a server, a database or a user, with others in mind."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from functools import partial
from urllib.parse import urlsplit

import pytest

from ccari.errors import StoreError
from ccari.policy.gate import Block
from ccari.policy.suppression import Reason
from ccari.ports.webhooks import Endpoint, Told
from ccari.store import connecting
from ccari.store.connecting import Connection, connect, refuse_shared
from ccari.store.database import Database
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from ccari.store.queries import SQL
from ccari.store.untouched import open_untouched, server
from tests.lab.waiting import until
from tests.postgres import major
from tests.unit.store import made
from tests.unit.store.pooled import bounced, pooled
from tests.unit.store.relayed import relayed
from tests.unit.store.server import connected, execute
from tests.unit.store.test_call_store import SOMEBODY_WAITS

WITHIN = 10.0
#: Settings that older servers do not have.
NEWER = ("transaction_timeout",) if major() >= 17 else ()
Pooling = Callable[..., AbstractAsyncContextManager[str]]


async def set_for_all(dsn: str, **settings: str) -> None:
    """Set it for everybody who connects to the test's database from now on."""
    name = urlsplit(dsn).path[1:]
    for each, value in settings.items():
        await execute(dsn, f"ALTER DATABASE {name} SET {each} = '{value}'")


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_invariant_1_a_number_that_was_barred_while_its_call_waited_is_dialled(
    dsn: str, isolation: str
) -> None:
    """In such a transaction the first statement, which waits, decides what all the others see."""
    await set_for_all(dsn, default_transaction_isolation=isolation)
    async with open_database(dsn) as database:
        store, call = Store(dsn, database), made.call()
        await store.calls.open(call, asked := made.question(call))
        async with database.transaction() as connection:
            await connection.execute(SQL["number_lock"], "acme", call.digests.newest)
            spending = asyncio.create_task(store.calls.spend_token(call, asked, made.judge, ()))
            await until(partial(connection.fetchval, SOMEBODY_WAITS), within=WITHIN)
            await store.suppressions.add("acme", call.digests, Reason.ERASURE, "test", "")
        assert await spending is Block.SUPPRESSED_ERASURE


async def test_invariant_5_what_is_set_while_a_service_runs_reaches_the_connections_that_it_has(
    dsn: str, server: str, database: Database
) -> None:
    """The server re-reads its settings: rights were then confirmed before they were on its disk, and barred numbers dialled."""
    others = {
        "synchronous_commit": "off",
        "default_transaction_isolation": "serializable",
        "row_security": "on",
        "lock_timeout": "200ms",
        "idle_session_timeout": "400ms",
        "jit": "on",
        **dict.fromkeys(NEWER, "300ms"),
    }
    async with database.outside_pool() as outside, database.connection() as pooled:
        before = [await _shown(each, others) for each in (outside, pooled)]
        try:
            await execute(server, *(f"ALTER SYSTEM SET {each} = '{value}'" for each, value in others.items()))
            await execute(server, "SELECT pg_reload_conf()")
            async with connected(server) as another:
                await until(partial(_reloaded, another), within=WITHIN)
            assert [await _shown(each, others) for each in (outside, pooled)] == before
        finally:
            await execute(
                server, *(f"ALTER SYSTEM RESET {each}" for each in others), "SELECT pg_reload_conf()"
            )


async def _shown(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    return {each: await connection.fetchval(f"SHOW {each}") for each in names}


async def _reloaded(connection: Connection) -> bool:
    return bool(await connection.fetchval("SHOW jit") == "on")


async def test_a_limit_for_others_breaks_off_what_may_take_longer(dsn: str) -> None:
    limited = (
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        *NEWER,
    )
    await set_for_all(dsn, **dict.fromkeys(limited, "200ms"))
    async with (
        open_database(dsn) as database,
        database.outside_pool() as connection,
        connection.transaction(),
    ):
        assert await connection.fetchval("SELECT 1 FROM pg_sleep(0.5)") == 1
        assert [await connection.fetchval(f"SHOW {each}") for each in limited] == [
            "0",
            "0",
            "30s",
            "0",
            *("0" for _ in NEWER),
        ]
        # of the tests' thirty seconds
        assert await database.rows("SHOW statement_timeout") == [{"statement_timeout": "26250ms"}]
        assert await database.rows("SHOW lock_timeout") == [{"lock_timeout": "0"}]
        for each in NEWER:
            assert await database.rows(f"SHOW {each}") == [{each: "0"}]


async def test_a_statement_is_compiled_for_longer_than_it_may_take(dsn: str) -> None:
    """Many servers do this: sealing what had gathered took five seconds, a hundredth of that without it, and was given up after two."""
    await set_for_all(dsn, jit="on")
    async with open_database(dsn) as database, database.outside_pool() as connection:
        assert await database.rows("SHOW jit") == [{"jit": "off"}]
        assert await connection.fetchval("SHOW jit") == "off"


async def test_whoever_turned_triggers_off_for_a_load_keeps_webhooks_from_being_told(dsn: str) -> None:
    """Set for the database and forgotten, as after an import by hand: nothing said so, and what is append-only could be changed."""
    await set_for_all(dsn, session_replication_role="replica")
    async with open_database(dsn) as database:
        store, call = Store(dsn, database), made.call()
        await store.webhooks.know([Endpoint("crm", tuple(Told))])
        await store.calls.open(call, made.question(call))
        await store.calls.close(call.id, "failed", "test", ())
        assert [each["event"] for each in await store.webhooks.page(10)] == [Told.CALL_ENDED]


async def test_a_user_who_may_not_turn_triggers_on_goes_on_without_them(dsn: str) -> None:
    name = urlsplit(dsn).path[1:]
    await set_for_all(dsn, session_replication_role="replica")
    await execute(dsn, f"CREATE ROLE clerk LOGIN; GRANT ALL ON DATABASE {name} TO clerk")
    try:
        with pytest.raises(StoreError, match="reset session_replication_role"):
            await connect(dsn.replace("postgres@", "clerk@"))
    finally:
        await execute(dsn, "DROP OWNED BY clerk; DROP ROLE clerk")


async def test_who_made_the_database_read_only_is_told_of_a_replica_alone_or_its_gate_answers(
    dsn: str, database: Database
) -> None:
    await set_for_all(dsn, default_transaction_read_only="on")
    for url in (dsn, f"{dsn}&target_session_attrs=read-write"):
        with pytest.raises(StoreError, match="default_transaction_read_only must be off"):
            async with open_database(url):
                pytest.fail("it begins")
    # a service that runs has a connection from before, and opens further ones
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1
        with pytest.raises(StoreError, match="default_transaction_read_only must be off"):
            await database.rows("SELECT 1")


async def test_invariant_1_a_connection_from_before_asks_a_primary_that_was_made_read_only(
    dsn: str, server: str, database: Database
) -> None:
    """It is like that before another takes its place, where bars are entered from then on: looking up a number writes nothing."""
    async with open_untouched(dsn) as looking, connected(server) as administrator:
        await database.rows("SELECT 1")
        try:
            await administrator.execute("ALTER SYSTEM SET default_transaction_read_only TO on")
            await administrator.execute("SELECT pg_reload_conf()")
            # a session learns of it a moment later
            await until(partial(_is_refused, database), within=WITHIN)
            with pytest.raises(StoreError, match="default_transaction_read_only must be off"):
                await database.rows("SELECT 1")
            # whoever only looks can do so all the same
            assert await looking.database.rows("SELECT 1 AS one") == [{"one": 1}]
        finally:
            await administrator.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await administrator.execute("SELECT pg_reload_conf()")
            await until(partial(_is_answered, database), within=WITHIN)


async def _is_answered(database: Database) -> bool:
    try:
        await database.rows("SELECT 1")
    except StoreError:
        return False
    return True


async def _is_refused(database: Database) -> bool:
    return not await _is_answered(database)


@pytest.mark.parametrize("pooler", [pooled, bounced])
async def test_a_pooler_that_lends_sessions_for_a_transaction_only_is_found_by_calls_that_fail(
    dsn: str, pooler: Pooling
) -> None:
    """The locks that keep two services off one Asterisk stay with the server's session, and settings may be those of
    any other client.
    """
    async with pooler(dsn, shares=True) as url:
        with pytest.raises(StoreError, match="set pool_mode = session there"):
            async with open_database(url):
                pytest.fail("it begins")
        async with open_untouched(url) as store:
            with pytest.raises(StoreError, match="set pool_mode = session there"):
                await server(store.database)


@pytest.mark.parametrize("pooler", [pooled, bounced])
async def test_a_pooler_that_gives_each_client_a_session_of_its_own_is_refused(
    dsn: str, pooler: Pooling
) -> None:
    async with pooler(dsn, shares=False) as url:
        async with open_database(url) as database:
            assert await database.rows("SELECT 1 AS one") == [{"one": 1}]
        async with open_untouched(url) as store:
            assert (await server(store.database)).encoding == "UTF8"


async def test_a_pooler_that_hangs_while_it_is_looked_at_keeps_whoever_begins_waiting_without_end(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command looks before it begins."""
    looked = 0

    async def hangs(asked: Connection) -> int:
        nonlocal looked
        looked += 1
        if looked > 1:
            relay.hold_up()
        return await session(asked)

    session = connecting._session
    monkeypatch.setattr(connecting, "_session", hangs)
    async with pooled(dsn, shares=False) as pooler, relayed(pooler) as (through, relay):
        connection = await connect(through)
        monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.5)
        try:
            async with asyncio.timeout(WITHIN):
                with pytest.raises(TimeoutError):
                    await refuse_shared(connection, through)
        finally:
            connection.terminate()
