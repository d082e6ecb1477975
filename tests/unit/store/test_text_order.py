"""Indexes that were made in another order than the one in which they are searched: what is there is not found."""

import math
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from ccari.errors import StoreError
from ccari.policy.suppression import Reason
from ccari.ports.keying import Digests
from ccari.store import migrating, text_order
from ccari.store.connecting import connect
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.untouched import open_untouched, server
from tests.postgres import since
from tests.unit.store.server import connected, execute
from tests.unit.store.test_database import MIGRATIONS, opened_once

SAID = "SELECT obj_description('ccari'::regnamespace) AS order"
VERSIONED = since(15, "the server keeps no version of its C library")
#: The files of the indexes on texts, each of which changes when it is made anew.
FILES = """
SELECT DISTINCT c.relname, c.relfilenode
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'ccari'::regnamespace AND c.relkind = 'i' AND a.attcollation <> 0 ORDER BY c.relname
"""


async def moved(dsn: str) -> None:
    """Moved, as it looks to ccari, to a server with another C library: the recorded order is not the server's own."""
    await execute(dsn, "COMMENT ON SCHEMA ccari IS 'ccari: the indexes are in the order 0123'")


async def test_invariant_1_bars_are_looked_up_in_indexes_of_another_order(
    dsn: str, database: Database
) -> None:
    """A running service connects to the server that has replaced the earlier one."""
    await moved(dsn)
    with pytest.raises(StoreError, match="in another order than when its indexes were made"):
        await connect(dsn)
    with pytest.raises(StoreError, match="ccari db migrate"):
        async with open_untouched(dsn) as untouched:
            await server(untouched.database)


async def test_indexes_of_another_order_stay_so(dsn: str, database: Database) -> None:
    said, before = await database.rows(SAID), await database.rows(FILES)
    await moved(dsn)
    with capture_logs() as logged:
        await opened_once(dsn)
    assert logged == [{"event": "reindexing_begun", "log_level": "warning"}]
    after = await database.rows(FILES)
    assert {each["relname"] for each in after} == {each["relname"] for each in before}
    assert not [each for each in after if each in before]
    assert await database.rows(SAID) == said
    await (await connect(dsn)).close()


@VERSIONED
async def test_indexes_are_made_anew_at_each_start_or_for_an_earlier_versions_database(
    dsn: str, database: Database
) -> None:
    said, before = await database.rows(SAID), await database.rows(FILES)
    for comment in ("NULL", "'what somebody else has written there'", f"'{said[0]['order']}'"):
        await execute(dsn, f"COMMENT ON SCHEMA ccari IS {comment}")
        await opened_once(dsn)
        assert await database.rows(SAID) == said
    assert await database.rows(FILES) == before


@VERSIONED
async def test_indexes_of_an_earlier_versions_database_are_taken_to_be_right_on_another_c_library(
    dsn: str, database: Database
) -> None:
    said, before = await database.rows(SAID), await database.rows(FILES)
    await execute(
        dsn,
        "COMMENT ON SCHEMA ccari IS NULL",
        # as in a folder from a system whose C library had a version
        "UPDATE pg_database SET datcollversion = '2.36' WHERE datname = current_database()",
    )
    await opened_once(dsn)
    assert not [each for each in await database.rows(FILES) if each in before]
    assert await database.rows(SAID) == said


async def test_indexes_are_taken_to_be_right_on_a_server_that_keeps_no_version_or_are_made_anew_at_each_start(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL 14: nothing vouches for them but the order that ccari itself has recorded."""
    monkeypatch.setattr(text_order, "_KEEPS_VERSIONS", math.inf)
    said, before = await database.rows(SAID), await database.rows(FILES)
    await opened_once(dsn)
    assert await database.rows(FILES) == before
    await execute(dsn, "COMMENT ON SCHEMA ccari IS NULL")
    await opened_once(dsn)
    assert not [each for each in await database.rows(FILES) if each in before]
    assert await database.rows(SAID) == said


async def test_a_migration_looks_up_by_indexes_of_another_order(
    dsn: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would miss rows, and what it has changed stays so."""
    steps = tmp_path / "migrations"
    shutil.copytree(migrating.migrations_folder(), steps)
    (steps / "9999_next.sql").write_text(
        f"-- Looks up\n-- depends: {MIGRATIONS[-1]}\n\n-- migrate: apply\nSELECT 1;\n\n-- migrate: rollback\nSELECT 1;\n"
    )
    monkeypatch.setattr(migrating, "migrations_folder", lambda: steps)
    await moved(dsn)
    with capture_logs() as logged:
        await opened_once(dsn)
    assert [each["event"] for each in logged] == ["reindexing_begun", "migration_begun"]


async def test_bars_that_were_entered_twice_end_a_start_without_a_word_or_are_not_found_by_the_page(
    dsn: str, database: Database, store: Store
) -> None:
    """An index in another order does not find that they are there."""
    digests = Digests(bytes(32), 1, (bytes(32),))
    for reason in (Reason.OBJECTION, Reason.DO_NOT_CALL):
        await store.suppressions.add("acme", digests, reason, "cli:anna", "a letter")
    await execute(
        dsn,
        "ALTER TABLE suppressions DROP CONSTRAINT suppressions_one_each",
        "INSERT INTO suppressions OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(s, jsonb_build_object('id', id + 1000))).* FROM suppressions s WHERE reason = 'objection'",
        # a unique one cannot be made on such rows; this one is only named so
        "CREATE INDEX suppressions_one_each ON suppressions (controller, digest, campaign, reason)",
        "UPDATE pg_index SET indisunique = true WHERE indexrelid = 'suppressions_one_each'::regclass",
    )
    await moved(dsn)
    with pytest.raises(
        StoreError, match="suppressions_one_each cannot be made anew: while it was in another order"
    ):
        await opened_once(dsn)
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    quiet, find = page.partition("```sql\n")[2].partition("```")[0].split("\nSELECT", 1)
    async with connected(dsn) as connection:
        await connection.execute(quiet)
        found = await connection.fetch(f"SELECT{find}")
        assert [(each["controller"], each["reason"]) for each in found] == [("acme", "objection")] * 2
        await connection.execute("DELETE FROM suppressions WHERE id = $1", found[1]["id"])
    await opened_once(dsn)


@pytest.mark.parametrize(
    "versioned", [False, pytest.param(True, marks=VERSIONED)], ids=["keeping no version", "keeping a version"]
)
async def test_who_does_not_own_the_schema_is_kept_out(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch, *, versioned: bool
) -> None:
    if not versioned:
        monkeypatch.setattr(text_order, "_KEEPS_VERSIONS", math.inf)
    await execute(
        dsn,
        f"COMMENT ON SCHEMA ccari IS NULL; CREATE ROLE guest LOGIN; GRANT ALL ON DATABASE {urlsplit(dsn).path[1:]} TO guest;"
        "GRANT ALL ON SCHEMA ccari, public TO guest; GRANT ALL ON ALL TABLES IN SCHEMA ccari, public TO guest",
    )
    as_guest = dsn.replace("postgres@", "guest@")
    try:
        await opened_once(as_guest)
        # but not to indexes that may be wrong: they cannot make them anew, nor would they say so once that was done
        await moved(dsn)
        with pytest.raises(StoreError, match="run ALTER SCHEMA ccari OWNER TO"):
            await opened_once(as_guest)
        if versioned:
            await execute(
                dsn,
                "COMMENT ON SCHEMA ccari IS NULL",
                "UPDATE pg_database SET datcollversion = '2.36' WHERE datname = current_database()",
            )
            with pytest.raises(StoreError, match="run ALTER SCHEMA ccari OWNER TO"):
                await opened_once(as_guest)
    finally:
        await execute(dsn, "DROP OWNED BY guest; DROP ROLE guest")
