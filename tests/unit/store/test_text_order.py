"""Indexes that were made in another order than the one in which they are searched: what is there is not found."""

from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from ccari.errors import StoreError
from ccari.store.connecting import connect
from ccari.store.database import Database
from ccari.store.untouched import open_untouched, server
from tests.unit.store.server import execute
from tests.unit.store.test_database import opened_once

SAID = "SELECT obj_description('ccari'::regnamespace) AS order"
#: The files of the indexes, each of which is another once it was made anew.
FILES = """
SELECT relname, relfilenode FROM pg_class WHERE relnamespace = 'ccari'::regnamespace AND relkind = 'i' ORDER BY relname
"""


async def moved(dsn: str) -> None:
    """To a server with another C library, as it looks to ccari: where the order is another, the indexes are another's."""
    await execute(dsn, "COMMENT ON SCHEMA ccari IS 'ccari: the indexes are in the order 0123'")


async def test_invariant_1_bars_are_looked_up_in_indexes_of_another_order(
    dsn: str, database: Database
) -> None:
    """A service that runs, and connects to the server that has taken the place of the one before."""
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


async def test_indexes_are_made_anew_at_each_start_or_for_an_earlier_versions_database(
    dsn: str, database: Database
) -> None:
    said, before = await database.rows(SAID), await database.rows(FILES)
    for comment in ("NULL", "'what somebody else has written there'", f"'{said[0]['order']}'"):
        await execute(dsn, f"COMMENT ON SCHEMA ccari IS {comment}")
        await opened_once(dsn)
        assert await database.rows(SAID) == said
    assert await database.rows(FILES) == before


async def test_who_does_not_own_the_schema_is_kept_out(dsn: str, database: Database) -> None:
    await execute(
        dsn,
        f"COMMENT ON SCHEMA ccari IS NULL; CREATE ROLE guest LOGIN; GRANT ALL ON DATABASE {urlsplit(dsn).path[1:]} TO guest;"
        "GRANT ALL ON SCHEMA ccari, public TO guest; GRANT ALL ON ALL TABLES IN SCHEMA ccari, public TO guest",
    )
    try:
        await opened_once(dsn.replace("postgres@", "guest@"))
    finally:
        await execute(dsn, "DROP OWNED BY guest; DROP ROLE guest")
