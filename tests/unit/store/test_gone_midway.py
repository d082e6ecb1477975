"""Whoever vanishes in the middle of a transaction, or is stopped there, keeps what is locked from the others for a
while only.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pogo_core.util import sql

from ccari.errors import StoreError
from ccari.policy.rights import Right
from ccari.recordings.housekeeping import due
from ccari.store import connecting, migrating
from ccari.store import database as databases
from ccari.store.bulk import staging
from ccari.store.database import Database, as_it_is
from ccari.store.deletions import Deletions
from ccari.store.fence import PostgresFence
from ccari.store.opened import Store
from ccari.store.queries import SQL
from ccari.store.requests import Requests
from ccari.store.untouched import open_untouched
from tests.lab.waiting import until
from tests.unit.store import listed, made
from tests.unit.store.importing import GIVEN
from tests.unit.store.relayed import relayed
from tests.unit.store.test_requests import letter

WITHIN = 30.0
#: For this long, here, may a connection idle in a transaction.
IDLE_SECONDS = 0.5
CONSENTS = 3


async def persist(deed: Callable[[], Awaitable[Any]]) -> Any:
    """Do it as soon as the database allows it."""
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                return await deed()
            except StoreError:
                await asyncio.sleep(0)


async def withdraw(store: Store) -> int:
    return await store.consents.withdraw(
        "acme", listed.digests(listed.number(0)), datetime.now(UTC), purpose=None, purposes={}, origin="cli:anna", proof="letter 7"
    )  # fmt: skip


async def test_a_node_that_vanishes_in_a_transaction_of_a_call_keeps_its_controllers_rights_out(
    dsn: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "IDLE_SECONDS", IDLE_SECONDS)
    async with as_it_is(dsn, 1, {"search_path": "ccari"}) as gone, gone.connection() as connection:
        await connection.execute("BEGIN")
        await connection.execute(SQL["next_reference"], "acme", 2026)
        assert await persist(lambda: store.requests.add("acme", letter(Right.ACCESS), made.digests()))


@contextlib.asynccontextmanager
async def importing(dsn: str) -> AsyncIterator[asyncio.subprocess.Process]:
    begun = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.store.importing", dsn, str(IDLE_SECONDS), str(CONSENTS),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield begun
    finally:
        if begun.returncode is None:
            begun.kill()
        await begun.communicate()


async def test_an_import_that_is_stopped_keeps_withdrawals_out_or_loses_what_it_was_to_bring(
    dsn: str, store: Store, database: Database
) -> None:
    async with importing(dsn) as stopped:
        async with database.outside_pool() as other:
            entering = other.transaction()
            await entering.start()
            # one of the same, which the import waits for
            await other.execute(
                "INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, proof, origin)"
                " VALUES ('acme', $1, 1, 'marketing', 'phone', $2, 'x', 'x')",
                listed.digests(listed.number(0)).newest, GIVEN,
            )  # fmt: skip
            async with asyncio.timeout(WITHIN):
                while not await database.rows("SELECT FROM pg_locks WHERE NOT granted"):
                    assert stopped.returncode is None
            stopped.send_signal(signal.SIGSTOP)
            await entering.rollback()
        # what it waited for it has now, and goes no further
        assert await persist(lambda: withdraw(store)) == 0
        stopped.send_signal(signal.SIGCONT)
        async with asyncio.timeout(WITHIN):
            told, _ = await stopped.communicate()
    assert "stopped" in told.decode()
    assert "load the list again" in told.decode()
    assert await database.rows("SELECT FROM consents") == []
    lines = [listed.agreed(listed.number(n), given=GIVEN) for n in range(CONSENTS)]
    done = await store.consents.load("acme", {}, listed.whole(lines), origin="import:anna", keep_going=False)
    assert done.report.accepted == CONSENTS


#: As a session received them: over a Unix socket, nothing is shown of the keepalive.
_SETTINGS = """
SELECT name, reset_val FROM pg_settings
WHERE name LIKE 'tcp_keepalives%' OR name = 'idle_in_transaction_session_timeout'
"""


async def asked_of(connection: Any) -> dict[str, str]:
    return {row["name"]: row["reset_val"] for row in await connection.fetch(_SETTINGS)}


async def of_the_pool(dsn: str, store: Store) -> dict[str, str]:
    async with store.database.connection() as connection:
        return await asked_of(connection)


async def of_doctor(dsn: str, store: Store) -> dict[str, str]:
    async with open_untouched(dsn) as looked_at, looked_at.database.connection() as connection:
        return await asked_of(connection)


async def apart(dsn: str, store: Store) -> dict[str, str]:
    async with store.database.outside_pool() as connection:
        return await asked_of(connection)


async def of_an_import(dsn: str, store: Store) -> dict[str, str]:
    async with staging(store.database, {"digest": "bytea"}) as staged:
        return await asked_of(staged.connection)


async def of_a_migration(dsn: str, store: Store) -> dict[str, str]:
    found: dict[str, str] = {}

    async def look(connection: Any, **_: Any) -> None:
        found.update(await asked_of(connection))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql, "create_schema", look)
        async with migrating.open_database(dsn):
            return found


async def of_an_export(dsn: str, store: Store) -> dict[str, str]:
    return {row["name"]: row["reset_val"] async for rows in store.database.stream(_SETTINGS) for row in rows}


async def of_the_lock_on_asterisk(dsn: str, store: Store) -> dict[str, str]:
    fence = PostgresFence(dsn)
    async with fence.hold("one asterisk", "calls of one asterisk"):
        assert fence._held is not None
        return await asked_of(fence._held._connection)


@pytest.mark.parametrize(
    ("session", "seconds"),
    [
        (of_the_pool, 5), (of_doctor, 5), (apart, 30), (of_an_import, 30), (of_a_migration, 30),
        # whoever reads it may be slow, and holds nothing that others wait for
        (of_an_export, 0),
        (of_the_lock_on_asterisk, 0),
    ],
)  # fmt: skip
async def test_who_vanishes_keeps_a_session_for_hours(
    bounded: None,
    dsn: str,
    store: Store,
    session: Callable[[str, Store], Awaitable[dict[str, str]]],
    seconds: int,
) -> None:
    """``seconds``: how long it may idle in a transaction; 0: as long as it likes."""
    assert await session(dsn, store) == {
        "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3",
        "idle_in_transaction_session_timeout": str(seconds * 1000),
    }  # fmt: skip


async def idle_until_it_is_ended(store: Store) -> None:
    async with store.database.outside_pool() as connection, connection.transaction():
        await connection.execute("SELECT 1")
        await until(connection.is_closed, within=WITHIN)


async def test_a_slow_reader_of_an_export_does_not_get_to_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "OUTSIDE_IDLE_SECONDS", 0.05)
    monkeypatch.setattr(databases, "IDLE_SECONDS", 0.05)
    rows = databases.STREAM_ROWS + 1
    export = store.database.stream("SELECT generate_series(1, $1::integer) AS n", rows)
    async with contextlib.aclosing(export):
        read = len(await anext(export))
        # for longer than another's connection may idle
        with pytest.raises(StoreError):
            await idle_until_it_is_ended(store)
        assert read + sum([len(each) async for each in export]) == rows


async def test_what_was_done_is_told_as_failed_where_the_server_is_silent_at_the_end(
    bounded: None, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of millions, for example, which somebody would then enter again."""
    async with relayed(dsn) as (through, relay), databases.as_it_is(through, 1, {}) as database:
        async with database.outside_pool() as connection:
            await connection.execute("SELECT 1")
            monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.1)
            relay.fall_silent()
        assert connection.is_closed()


Deed = Callable[[], Awaitable[object]]


@contextlib.asynccontextmanager
async def deciding(database: Database) -> AsyncIterator[Deed]:
    async with Deletions(database).sweep() as sweep:
        yield lambda: sweep.decide([uuid4()], due(datetime.now(UTC), []), "housekeeping")


@contextlib.asynccontextmanager
async def showing(database: Database) -> AsyncIterator[Deed]:
    yield lambda: Requests(database).show("ACME-2026-000001")


@pytest.mark.parametrize("transaction", [deciding, showing])
async def test_who_is_told_to_end_in_a_transaction_waits_for_a_database_that_hangs_or_takes_it_for_its_failure(
    dsn: str, store: Store, transaction: Callable[[Database], contextlib.AbstractAsyncContextManager[Deed]]
) -> None:
    """A service that stops would wait ten minutes for its own deletions, and be cut off before it has heard the last keys over FastAGI."""
    async with relayed(dsn) as (through, relay), as_it_is(through, 1, {"search_path": "ccari"}) as database:

        async def work() -> None:
            async with transaction(database) as deed:
                # the transaction begins, and then nothing is answered
                relay.answered = relay.questions + 1
                await deed()

        ending = asyncio.create_task(work())
        await relay.withheld.wait()
        ending.cancel()
        await asyncio.wait([ending], timeout=WITHIN)
        assert ending.cancelled()
