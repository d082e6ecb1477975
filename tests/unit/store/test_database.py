"""Connecting, migrating, and what a person is told when the server is not there."""

import asyncio
import contextlib
import re
import shutil
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from pogo_core.util import migrate
from structlog.testing import capture_logs

from ccari.errors import StoreError, UnsuitableError
from ccari.store import connecting, migrating
from ccari.store import database as databases
from ccari.store import fence as fences
from ccari.store.database import Database
from ccari.store.fence import PostgresFence
from ccari.store.migrating import migrations_folder, open_database
from ccari.store.queries import SQL
from ccari.store.translating import translated
from ccari.store.untouched import open_untouched
from ccari.store.untouched import schema as schema_in
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.postgres import since
from tests.unit.store.made import elsewhere
from tests.unit.store.relayed import relayed
from tests.unit.store.schema_of import schema_of
from tests.unit.store.server import connected, execute

#: What the first version may have left in each of its tables.
FIRST_TABLES = (
    "policy_revisions", "suppressions", "calls", "call_events", "recordings", "request_counters", "rights_requests",
)  # fmt: skip
FIRST_ROWS = """
INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('anna', decode(repeat('00', 32), 'hex'), 'x');
INSERT INTO suppressions (controller, digest, key_version, reason, origin)
VALUES ('acme', decode(repeat('ab', 32), 'hex'), 1, 'erasure', 'call');
INSERT INTO calls (id, asterisk, revision, controller, campaign, legal_basis, agent, digest, key_version, number_masked,
                   token, last_link, ended_at, outcome)
VALUES ('00000000-0000-4000-8000-000000000001', 'pbx', 1, 'acme', 'renewals', 'contract', 'anna',
        decode(repeat('ab', 32), 'hex'), 1, '+48•••••0001', '00000000-0000-4000-8000-000000000002', '', now(), 'bridged');
INSERT INTO recordings (id, call_id, revision, controller, campaign, purpose, legal_basis, mode, notice_version, delete_at)
VALUES ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000001', 1, 'acme', 'renewals', 'x',
        'contract', 'notice', 'v1', now());
"""
#: Journals from before entries were chained by commitments stop the migrations.
FIRST_JOURNALS = """
INSERT INTO call_events VALUES ('00000000-0000-4000-8000-000000000001', 1, now(), 'call_opened', '{}',
                                decode(repeat('ab', 32), 'hex'));
INSERT INTO rights_requests (reference, controller, campaign, call_id, "right", article, state, key, notice_version,
                             number, digest, key_version, received_at, due)
VALUES ('ACME-2026-000001', 'acme', 'renewals', '00000000-0000-4000-8000-000000000001', 'access', '15', 'received', '8',
        'v1', '+48600100001', decode(repeat('ab', 32), 'hex'), 1, now(), '2026-12-25'),
       ('ACME-2026-000002', 'acme', 'renewals', '00000000-0000-4000-8000-000000000001', 'refuse_recording', '7(3)',
        'fulfilled', '3', 'v1', NULL, decode(repeat('ab', 32), 'hex'), 1, now(), '2026-12-25');
"""
SECRET = "s3cret-p4ssword"  # noqa: S105 - of no server
#: These tests are to catch a wait without end, or one for a statement of half a minute.
BOUND_SECONDS = 20.0


MIGRATIONS = [
    "0001_calls_and_rights",
    "0002_consents_registers_and_request_work",
    "0003_access_tokens",
    "0004_directions",
    "0005_http_repeats",
    "0006_stored_recordings",
    "0007_holds",
    "0008_evidence",
    "0009_erasures",
    "0010_key_checks",
    "0011_stereo",
    "0012_exercises",
    "0013_accesses",
    "0014_left_talks",
    "0015_webhooks",
    "0016_webhooks_seen",
    "0017_repeats_claimed",
    "0018_counted_figures",
    "0019_gate_unchanged",
    "0020_sealed_accesses",
    "0021_newest_recordings",
    "0022_calls_updated_in_place",
    "0023_calls_expire",
    "0024_consents_end_with_an_erasure",
    "0025_let_through",
    "0026_given_up_numbers",
    "0027_requests_expire",
    "0028_contacts_and_consents_expire",
    "0029_contacts_in_order",
    "0030_bars_renewed",
    "0031_consents_in_one_look",
    "0032_bars_by_id",
    "0033_accesses_expire",
    "0034_time_stamps",
    "0035_ends_of_recordings",
    "0036_controllers_leave",
    "0037_lifted_bars_by_id",
    "0038_requests_say_what_was_asked",
]
#: All of the schema, as it was read and found right; whoever changes it changes this file, and is noticed.
SCHEMA = Path(__file__).with_name("schema.txt")


async def status_of(dsn: str) -> list[tuple[str, bool]]:
    """Each migration, and whether it is applied."""
    async with open_untouched(dsn) as store:
        found = await schema_in(store.database)
    return sorted([*((each, True) for each in found.applied), *((each, False) for each in found.pending)])


async def test_the_schema_is_another_than_was_reviewed(empty: str, tmp_path: Path) -> None:
    async with open_database(empty):
        found = await schema_of(empty)
    (tmp_path / "schema.txt").write_text(found)
    assert found == SCHEMA.read_text(), f"if it is meant: cp {tmp_path / 'schema.txt'} {SCHEMA}"


async def test_a_second_start_migrates_again_or_differently(empty: str) -> None:
    for _ in range(2):
        async with open_database(empty):
            assert await schema_of(empty) == SCHEMA.read_text()
            assert await status_of(empty) == [(each, True) for each in MIGRATIONS]


@pytest.mark.parametrize(
    ("last", "begun"), [("0007_holds", FIRST_ROWS + FIRST_JOURNALS), (MIGRATIONS[-1], FIRST_ROWS)]
)
async def test_a_database_in_use_becomes_another_than_a_fresh_one_or_loses_rows(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, begun: str
) -> None:
    """Each step on what the steps before it have left, there and back."""
    folder, steps = migrations_folder(), tmp_path / "migrations"
    steps.mkdir()
    monkeypatch.setattr(migrating, "migrations_folder", lambda: steps)
    shutil.copy(folder / f"{MIGRATIONS[0]}.sql", steps)
    async with open_database(empty):
        pass
    await execute(empty, begun)
    schema, rows = await schema_of(empty), await rows_of(empty, FIRST_TABLES)
    told_of = {table for table, found in rows.items() if found}
    assert told_of >= set(FIRST_TABLES) - {"request_counters", "call_events", "rights_requests"}

    through = MIGRATIONS[: MIGRATIONS.index(last) + 1]
    for later in through[1:]:
        shutil.copy(folder / f"{later}.sql", steps)
    async with open_database(empty):
        assert (await schema_of(empty) == SCHEMA.read_text()) is (last == MIGRATIONS[-1])
    assert await told(empty, "SELECT campaign, expires_at FROM suppressions") == [("", None)]
    if FIRST_JOURNALS in begun:
        assert await told(
            empty,
            "SELECT reference, closed_at = registered_at, channel, level FROM rights_requests ORDER BY 1",
        ) == [("ACME-2026-000001", None, "key", 1), ("ACME-2026-000002", True, "key", 1)]
        assert await told(empty, "SELECT reference, seq, who, state FROM request_events ORDER BY 1") == [
            ("ACME-2026-000001", 1, "call", "received"),
            ("ACME-2026-000002", 1, "call", "fulfilled"),
        ]

    await roll_back(empty, steps, len(through) - 1)
    assert await schema_of(empty) == schema
    assert await rows_of(empty, FIRST_TABLES) == rows
    assert await status_of(empty) == [(each, each == MIGRATIONS[0]) for each in through]


#: Consents, and an erasure at which some of them already existed.
KEPT_AS_PROOF = """
INSERT INTO rights_requests (reference, controller, call_id, "right", article, state, digest, key_version, digests, received_at,
                             due, closed_at, number_from, channel, level)
VALUES ('ACME-2026-000001', 'acme', NULL, 'erasure', '17', 'fulfilled', {mine}, 1, ARRAY[{mine}], '2026-02-01',
        '2026-03-01', '2026-02-04', 'given', 'letter', 2);
INSERT INTO erasures (reference, controller, begun_by, begun_at) VALUES ('ACME-2026-000001', 'acme', 'x', '2026-02-02');
INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, entered_at, withdrawn_at, proof, origin)
VALUES ('acme', {mine}, 1, 'kept', 'phone', '2026-01-01', '2026-01-02', NULL, 'x', 'x'),
       ('acme', {mine}, 1, 'ended', 'phone', '2026-01-01', '2026-01-02', '2026-01-03', 'x', 'x'),
       ('acme', {mine}, 1, 'entered since', 'phone', '2026-01-01', '2026-02-03', NULL, 'x', 'x'),
       ('acme', {mine}, 1, 'given since', 'phone', '2026-02-03', '2026-02-03', NULL, 'x', 'x'),
       ('acme', {others}, 1, 'of another', 'phone', '2026-01-01', '2026-01-02', NULL, 'x', 'x'),
       ('beta', {mine}, 1, 'of another', 'phone', '2026-01-01', '2026-01-02', NULL, 'x', 'x');
"""


async def test_a_consent_that_an_erasure_had_kept_is_in_force_after_the_update_or_another_is_not(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, steps = migrations_folder(), tmp_path / "migrations"
    steps.mkdir()
    for earlier in MIGRATIONS[:23]:
        shutil.copy(folder / f"{earlier}.sql", steps)
    with monkeypatch.context() as before:
        before.setattr(migrating, "migrations_folder", lambda: steps)
        async with open_database(empty):
            mine, others = (f"decode(repeat('{each}', 32), 'hex')" for each in ("ab", "cd"))
            await execute(empty, KEPT_AS_PROOF.format(mine=mine, others=others))
    async with open_database(empty):
        found = await told(empty, "SELECT purpose, withdrawn_at::date::text FROM consents ORDER BY id")
    assert found == [
        ("kept", "2026-02-02"), ("ended", "2026-01-03"), ("entered since", None), ("given since", None),
        ("of another", None), ("of another", None),
    ]  # fmt: skip


async def test_journals_that_cannot_be_carried_over_are_lost(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, steps = migrations_folder(), tmp_path / "migrations"
    steps.mkdir()
    shutil.copy(folder / f"{MIGRATIONS[0]}.sql", steps)
    with monkeypatch.context() as first:
        first.setattr(migrating, "migrations_folder", lambda: steps)
        async with open_database(empty):
            await execute(empty, FIRST_ROWS + FIRST_JOURNALS)
    with pytest.raises(StoreError, match=r"0008_evidence.*cannot be carried over: give .* a new database"):
        async with open_database(empty):
            pass
    assert len(await told(empty, "SELECT link FROM call_events")) == 1
    assert len(await told(empty, "SELECT who, reason FROM request_events")) == 2


async def test_starts_at_the_same_moment_trip_over_one_another(empty: str) -> None:
    async def start() -> bool:
        async with open_database(empty) as database, database.connection() as connection:
            return await connection.fetchval("SELECT count(*) = 0 FROM calls") is True

    assert await asyncio.gather(*(start() for _ in range(6))) == [True] * 6


async def test_each_write_of_a_journal_puts_the_calls_row_anew_into_all_its_indexes(
    database: Database,
) -> None:
    """PostgreSQL writes a row in place only if nothing has changed that an index looks at, in its predicate too."""
    rows = await database.rows(
        """SELECT DISTINCT attname::text FROM pg_index
           JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = indexrelid AND refobjid = indrelid
           JOIN pg_attribute ON attrelid = indrelid AND attnum = refobjsubid WHERE indrelid = 'calls'::regclass"""
    )
    looked_at = {row["attname"] for row in rows}
    assert {"ended_at", "sealed"} <= looked_at
    assert looked_at.isdisjoint({"events", "last_link", "heard_at", "notice_version", "talk"})


async def test_a_service_runs_on_what_a_newer_one_has_made_of_the_database(
    dsn: str, database: Database
) -> None:
    """For example if an update was taken back, or if a node of a fleet was not updated and has died."""
    await database.rows(
        "INSERT INTO public._pogo_migration (migration_hash, migration_id, schema_name) VALUES ('x', '9999_new', 'ccari')"
    )
    with pytest.raises(
        StoreError, match=r"^a newer ccari has changed the database: 9999_new: install that version "
    ):
        await opened_once(dsn)


async def test_the_status_of_an_empty_database_is_an_error(empty: str) -> None:
    assert await status_of(empty) == [(each, False) for each in MIGRATIONS]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must look like postgresql://"),
        ("localhost", "must look like postgresql://"),
        (f"mysql://ccari:{SECRET}@127.0.0.1/ccari", "must look like postgresql://"),
        (f"postgresql://ccari:{SECRET}/x@127.0.0.1/ccari", "must look like postgresql://"),
        (f"postgresql://ccari:{SECRET}@127.0.0.1:port/ccari", "must look like postgresql://"),
        (f"postgresql://ccari:{SECRET}@127.0.0.1:99999/ccari", "must look like postgresql|cannot be reached"),
        (f"postgresql://ccari:{SECRET}@no-such-host.invalid/ccari", "cannot be reached"),
        ("postgresql://ccari@/ccari?host=/nowhere", "cannot be reached"),
    ],
)
async def test_a_url_that_leads_nowhere_ends_in_a_traceback_or_tells_the_password(
    url: str, words: str
) -> None:
    with pytest.raises(StoreError, match=words) as wrong:
        async with asyncio.timeout(10), open_database(url):
            pass
    assert SECRET not in str(wrong.value)
    assert "\n" not in str(wrong.value)


async def test_a_closed_port_is_waited_for() -> None:
    port = free_port(socket.SOCK_STREAM, "127.0.0.1")
    began = time.monotonic()
    with pytest.raises(StoreError, match="cannot be reached"):
        async with open_database(f"postgresql://ccari:{SECRET}@127.0.0.1:{port}/ccari"):
            pass
    assert time.monotonic() - began < BOUND_SECONDS


async def told(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    async with connected(dsn) as connection:
        return [tuple(row) for row in await connection.fetch(statement)]


async def rows_of(dsn: str, tables: Iterable[str]) -> dict[str, list[tuple[Any, ...]]]:
    return {table: await told(dsn, f"SELECT * FROM {table} ORDER BY 1") for table in tables}  # noqa: S608 - ours


async def roll_back(dsn: str, folder: Path, steps: int) -> None:
    """Take the newest ``steps`` migrations back."""
    async with connected(dsn) as connection:
        await migrate.rollback(connection, folder, schema_name=databases.SCHEMA, count=steps)


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(8)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def gone(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


@pytest.mark.parametrize("manners", [mute, rude, gone])
async def test_another_program_at_the_port_holds_the_service_or_ends_in_a_traceback(
    manners: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.3)

    guests: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guests.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await manners(reader, writer)
            writer.close()
            await writer.wait_closed()

    began = time.monotonic()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(StoreError):
            async with open_database(f"postgresql://ccari:{SECRET}@127.0.0.1:{port}/ccari"):
                pass
        await asyncio.gather(*filter(None, guests))
    assert time.monotonic() - began < BOUND_SECONDS


async def test_a_missing_database_is_not_named(dsn: str) -> None:
    with pytest.raises(StoreError, match='database "missing" does not exist'):
        async with open_database(elsewhere(dsn, "missing")):
            pass


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "LATIN2"])
async def test_a_database_in_which_names_cannot_be_kept_is_taken(server: str, encoding: str) -> None:
    """A server that was set up without a locale makes SQL_ASCII databases unless it is told otherwise."""
    name = f"x{encoding.lower()}"
    await execute(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    try:
        with pytest.raises(StoreError, match=f"has the encoding {encoding}, .*createdb --encoding=UTF8 "):
            async with open_database(elsewhere(server, name)):
                pass
    finally:
        await execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    ("granted", "denied"),
    [
        pytest.param("", "schema public", marks=since(15, "whoever may connect may create tables there")),
        # for example if another user has restored the dump
        (
            "CREATE SCHEMA ccari; ALTER DATABASE {0} OWNER TO guest; CREATE TABLE public._pogo_version (version int)",
            "table _pogo_version",
        ),
    ],
)
async def test_a_user_to_whom_not_all_belongs_is_not_told_what_to_do(
    empty: str, granted: str, denied: str
) -> None:
    name = urlsplit(empty).path[1:]
    await execute(
        empty, f"CREATE ROLE guest LOGIN; GRANT ALL ON DATABASE {name} TO guest; {granted.format(name)}"
    )
    try:
        with pytest.raises(
            StoreError, match=rf"{denied}\): make it the database's owner .*restore a dump as this user$"
        ):
            async with open_database(empty.replace("postgres@", "guest@")):
                pass
    finally:
        await execute(empty, f"ALTER DATABASE {name} OWNER TO postgres; DROP OWNED BY guest; DROP ROLE guest")


async def test_a_user_who_may_not_update_what_another_has_made_is_not_told_what_to_do(
    dsn: str, database: Database
) -> None:
    """For example if somebody has changed the user in [database] url, or has restored a dump as another one, and the
    next update comes.
    """
    name = urlsplit(dsn).path[1:]
    await database.rows("DELETE FROM public._pogo_migration WHERE migration_id = '0033_accesses_expire'")
    await execute(
        dsn,
        f"CREATE ROLE guest LOGIN; GRANT ALL ON DATABASE {name} TO guest; GRANT ALL ON SCHEMA ccari, public TO guest;"
        "GRANT ALL ON ALL TABLES IN SCHEMA ccari, public TO guest",
    )
    try:
        with pytest.raises(
            StoreError,
            match=r"0033_accesses_expire: .*owner of table accesses\): make it the database's owner ",
        ):
            await opened_once(dsn.replace("postgres@", "guest@"))
    finally:
        await execute(dsn, "DROP OWNED BY guest; DROP ROLE guest")


async def test_a_disk_that_the_database_cannot_use_is_said_to_need_another_owner_and_a_restore(
    dsn: str, database: Database
) -> None:
    """PostgreSQL has the same code for a file that it cannot open as for a table that its user may not read."""
    (row,) = await database.rows("SELECT pg_relation_filepath('time_stamps') AS file")
    folder = Path(parse_qs(urlsplit(dsn).query)["host"][0])
    file = folder.with_name("cluster") / row["file"]
    file.chmod(0)
    try:
        async with databases.as_it_is(dsn, 1, {"search_path": databases.SCHEMA}) as another:
            with pytest.raises(
                StoreError, match=r"^the database failed: could not open file .*: Permission denied$"
            ):
                await another.rows("SELECT * FROM time_stamps")
    finally:
        file.chmod(0o600)


async def test_nobody_is_told_what_a_long_migration_is_waited_for(dsn: str, database: Database) -> None:
    """Until it is done no call is allowed, and neither the service nor a command says anything else. A new database is
    not worth reporting.
    """
    await database.rows("DELETE FROM public._pogo_migration WHERE migration_id = '0033_accesses_expire'")
    async with connected(dsn) as connection, connection.transaction():
        await connection.execute("LOCK TABLE accesses IN ACCESS EXCLUSIVE MODE")
        with capture_logs() as logged:
            migrating = asyncio.create_task(opened_once(dsn))
            try:
                await until(lambda: bool(logged), within=BOUND_SECONDS)
            finally:
                migrating.cancel()
                await asyncio.wait([migrating])
    assert logged == [
        {"event": "migration_begun", "log_level": "warning", "migration": "0033_accesses_expire"}
    ]


async def test_a_new_database_is_told_of_migration_by_migration(empty: str) -> None:
    with capture_logs() as logged:
        await opened_once(empty)
    assert logged == []


async def opened_once(dsn: str) -> None:
    async with open_database(dsn):
        pass


async def test_a_migration_that_waits_for_others_does_not_say_so_or_holds_up_calls_for_ever(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.rows("DELETE FROM public._pogo_migration WHERE migration_id = '0033_accesses_expire'")
    monkeypatch.setattr(migrating, "MIGRATE_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(migrating, "MIGRATE_LOCK_SECONDS", 1.0)
    async with connected(dsn) as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE accesses IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(
                StoreError, match="0033_accesses_expire: something else has used its tables for 1 s"
            ):
                await opened_once(dsn)
        await connection.execute("SELECT pg_advisory_lock($1)", migrating._MIGRATION_LOCK)
        with (
            capture_logs() as logged,
            pytest.raises(StoreError, match="another ccari has been changing the database for 1 s"),
        ):
            await opened_once(dsn)
    assert logged == [{"event": "migrations_awaited", "log_level": "warning"}]


async def test_a_migration_of_a_large_table_is_given_up_each_time_that_it_is_begun(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is at work, and waits for nobody."""
    steps = tmp_path / "migrations"
    shutil.copytree(migrations_folder(), steps)
    (steps / "9999_large.sql").write_text(
        f"-- Takes long\n-- depends: {MIGRATIONS[-1]}\n\n-- migrate: apply\nSELECT pg_sleep(1.5);\n\n-- migrate: rollback\nSELECT 1;\n"
    )
    monkeypatch.setattr(migrating, "migrations_folder", lambda: steps)
    monkeypatch.setattr(migrating, "MIGRATE_LOCK_SECONDS", 1.0)
    await opened_once(dsn)
    assert await status_of(dsn) == [(each, True) for each in (*MIGRATIONS, "9999_large")]


async def test_who_has_restored_a_dump_of_the_schema_alone_is_not_told_what_to_do(dsn: str) -> None:
    """The record of what was migrated is in another schema."""
    await execute(dsn, "DROP TABLE public._pogo_migration, public._pogo_version")
    with pytest.raises(StoreError, match=r'"policy_revisions" already exists: .*one of the whole database'):
        async with open_database(dsn):
            pass


async def test_invariant_5_a_right_is_confirmed_that_is_not_on_the_servers_disk_yet(
    dsn: str,
) -> None:
    """Whoever else uses the server may have made it confirm commits too early; or wait for a standby in their own way."""
    name = urlsplit(dsn).path[1:]
    for theirs, ours in (("off", "on"), ("remote_apply", "remote_apply")):
        await execute(dsn, f"ALTER DATABASE {name} SET synchronous_commit = {theirs}")
        async with open_database(dsn) as opened:
            assert await opened.rows("SHOW synchronous_commit") == [{"synchronous_commit": ours}]


#: As PostgreSQL 18 said it when it was brought to that point.
RUN_OUT = 'database is not accepting commands that assign new transaction IDs to avoid wraparound data loss in database "x"'


async def test_a_server_whose_transaction_ids_have_run_out_is_told_of_by_the_name_of_an_error(
    database: Database,
) -> None:
    """Without autovacuum it comes to that after two thousand million of them, and nobody is called until somebody runs VACUUM."""
    with pytest.raises(StoreError, match=f"the database failed: {RUN_OUT}"):
        await database.execute(f"DO $$ BEGIN RAISE EXCEPTION '{RUN_OUT}' USING ERRCODE = '54000'; END $$")


@pytest.mark.usefixtures("bounded")
async def test_a_query_that_takes_too_long_holds_a_call(database: Database) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError, match="did not answer in time"):
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_sleep(30)", timeout=0.5)
    assert time.monotonic() - began < 0.5 + BOUND_SECONDS
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


@pytest.mark.usefixtures("bounded")
async def test_what_nobody_waits_for_any_more_holds_its_rows_on(database: Database, dsn: str) -> None:
    """It holds one row and waits for another, which somebody else does not release."""
    await execute(dsn, "CREATE TABLE pair (n integer); INSERT INTO pair VALUES (1), (2)")
    held, wanted = (f"SELECT FROM pair WHERE n = {n} FOR UPDATE" for n in (2, 1))

    async def both(first: str, second: str) -> None:
        async with database.transaction() as connection:
            await connection.execute(first)
            await connection.execute(second, timeout=0.2)

    async with connected(dsn) as holder, connected(dsn) as other, holder.transaction():
        await holder.execute(held)
        with pytest.raises(StoreError, match="did not answer in time"):
            await both(wanted, held)
        async with asyncio.timeout(20):
            await other.execute(wanted)


async def test_a_statement_that_the_server_gave_up_on_is_told_as_a_failure_of_it(database: Database) -> None:
    with pytest.raises(StoreError, match="did not answer in time"):
        async with database.connection() as connection:
            await connection.execute("SET statement_timeout = 100; SELECT pg_sleep(30)")


async def test_a_reader_of_the_output_who_has_seen_enough_is_taken_for_the_database(
    database: Database,
) -> None:
    with pytest.raises(BrokenPipeError):
        async with database.outside_pool():
            raise BrokenPipeError


async def test_a_connection_that_the_server_ended_breaks_the_pool(database: Database, dsn: str) -> None:
    async with database.connection() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    async with connected(dsn) as executioner:
        await executioner.execute("SELECT pg_terminate_backend($1, 1000)", pid)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_lost_connection_is_told_by_the_name_of_an_error(dsn: str) -> None:
    """As happens to each call that was just asking when the server's host lost its power."""
    async with relayed(dsn) as (through, relay), databases.as_it_is(through, 1, {}) as database:

        async def ask() -> None:
            await database.rows("SELECT pg_sleep(30)")

        relay.asked.clear()
        asking = asyncio.create_task(ask())
        await relay.asked.wait()
        await relay.close()
        with pytest.raises(StoreError, match=r"^the connection to the database was lost$"):
            await asking


async def test_a_connection_that_is_lost_in_a_transaction_is_told_by_the_name_of_an_error(
    dsn: str, database: Database
) -> None:
    """As happens to an import, an export or a round of deletions when PostgreSQL is restarted."""
    ended = asyncio.Event()

    async def work() -> None:
        async with database.outside_pool() as connection, connection.transaction():
            connection.add_termination_listener(lambda _: ended.set())
            await execute(dsn, f"SELECT pg_terminate_backend({connection.get_server_pid()})")
            await ended.wait()
            await connection.execute("SELECT 1")

    with pytest.raises(StoreError, match=r"^the connection to the database was lost$"):
        await work()


@pytest.mark.parametrize("refusal", [asyncpg.ProtocolViolationError, asyncpg.ConnectionRejectionError])
def test_what_refuses_a_connection_is_told_as_a_lost_one(refusal: type[asyncpg.PostgresError]) -> None:
    """PgBouncer says everything that it has to say in this way."""
    with pytest.raises(StoreError, match="unsupported startup parameter"), translated():
        raise refusal("unsupported startup parameter: statement_timeout")


async def test_a_connection_costs_a_call_more_than_its_statement(database: Database) -> None:
    asked: list[str] = []
    async with database.connection() as connection:
        connection.add_query_logger(lambda record: asked.append(record.query))
    await database.rows("SELECT 1")
    # what is logged appears at the loop's next turn
    await asyncio.sleep(0)
    assert asked == ["SELECT 1"]


async def test_a_transaction_that_was_left_open_is_gone_on_with_by_the_next_on_its_connection(
    database: Database,
) -> None:
    async with database.connection() as connection:
        await connection.execute("BEGIN; CREATE TABLE left_open ()")
    assert await database.rows("SELECT to_regclass('left_open') AS found") == [{"found": None}]
    async with database.connection() as connection:
        assert not connection.is_in_transaction()


def test_a_statement_leaves_what_the_next_on_its_connection_runs_into() -> None:
    """A lock, or a setting: nothing undoes it when the connection goes back to the pool."""
    lasting = re.compile(
        r"advisory_(un)?lock\b|^\s*(SET|LISTEN|DECLARE|PREPARE)\b|\bTEMP(ORARY)?\b", re.MULTILINE
    )
    # on a connection of its own, for as long as it is open
    assert {name for name, statement in SQL.items() if lasting.search(statement)} == {
        "turn_to_count",
        "turn_to_delete",
        "turn_to_expire",
        "turn_to_stamp",
    }


async def test_two_services_hold_the_same_asterisk(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = PostgresFence(dsn), PostgresFence(dsn)
    async with first.hold("pbx/run-1", "calls of pbx/run-1") as lost:
        async with second.hold("pbx/run-2", "calls of pbx/run-2"):
            pass
        with monkeypatch.context() as patch:
            patch.setattr(fences, "PATIENCE_SECONDS", 0.2)
            with pytest.raises(UnsuitableError, match="another ccari controls this Asterisk"):
                async with second.hold("pbx/run-1", "calls of pbx/run-1"):
                    pass
        assert not lost.is_set()
    async with second.hold("pbx/run-1", "calls of pbx/run-1"):
        pass


async def test_a_service_that_starts_again_at_once_is_refused_by_its_own_shadow(dsn: str) -> None:
    """PostgreSQL needs a moment to notice that the killed one is gone."""
    shadow = PostgresFence(dsn).hold("pbx", "calls of pbx")
    await shadow.__aenter__()
    leaving = asyncio.get_running_loop().call_later(
        0.5, lambda: tasks.append(asyncio.ensure_future(shadow.__aexit__(None, None, None)))
    )
    tasks: list[asyncio.Future[object]] = []
    async with PostgresFence(dsn).hold("pbx", "calls of pbx"):
        assert tasks
    leaving.cancel()
    await asyncio.gather(*tasks)
