"""The order in which the database sorts texts, which its indexes rely on.

The order comes from the server's C library or ICU. It changes under existing indexes if the server's folder moves to another image,
another release of the system, or a standby with another library. PostgreSQL warns of some such changes, but keeps using the indexes: a
look-up then misses rows that exist, and a barred number looks unbarred.
"""

import contextlib
from collections.abc import Iterator

import asyncpg
import structlog

from ccari.errors import StoreError

_log = structlog.get_logger()

#: Prefix of the comment on the schema that records the order of its indexes. A dump includes the comment.
_SAYS = "ccari: the indexes are in the order "
#: Characters that occur in ids: the order of all their pairs identifies the sort order. They are ASCII, so the result does not depend on
#: the encoding, which is checked by name. Do not change them: every database would rebuild its indexes, and services of the previous
#: version would call nobody.
_LETTERS = "019aAbByYzZ_- .,:/("
_MADE = "obj_description(to_regnamespace('ccari'), 'pg_namespace')"
_EACH = f"unnest(string_to_array('{_LETTERS}', NULL))"
_NOW = f"(SELECT '{_SAYS}' || md5(string_agg(a || b, '' ORDER BY a || b)) FROM {_EACH} AS a, {_EACH} AS b)"  # noqa: S608 - constants
_REFUSED = "CCORD"
#: Raises an error if the order is not that of the indexes; sent with another statement, it costs no round trip.
REFUSE_ANOTHER = f"""
DO $$ BEGIN
    IF {_MADE} LIKE '{_SAYS}%' AND {_MADE} <> {_NOW} THEN
        RAISE EXCEPTION USING ERRCODE = '{_REFUSED}';
    END IF;
END $$
"""
ANOTHER = (
    "the database sorts texts in another order than when its indexes were made, so that bars may be missed; its server has another "
    "C library or ICU now: run ccari db migrate, or start ccari serve, which make the indexes anew"
)
NOT_OURS = (
    "the database may sort texts in another order than when its indexes were made, so that bars may be missed, and this user does not own "
    "the schema ccari, so that it cannot make them anew: run ALTER SCHEMA ccari OWNER TO …, and ALTER TABLE … OWNER TO … for its tables"
)
_OURS = "(SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'ccari')"
#: The first PostgreSQL version that records the C library's or ICU's version for a database.
_KEEPS_VERSIONS = 15
_VOUCHED_FOR = """
SELECT datcollversion IS NOT DISTINCT FROM pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = current_database()
"""
_SORTED = """
SELECT i.indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = to_regnamespace('ccari') AND EXISTS (SELECT FROM unnest(i.indcollation::oid[]) AS each WHERE each <> 0)
ORDER BY c.relpages
"""


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Turn the error raised by :data:`REFUSE_ANOTHER` into a StoreError."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate == _REFUSED:
            raise StoreError(ANOTHER) from None
        raise


async def settle(connection: asyncpg.Connection) -> None:
    """Rebuild the indexes if their order may differ from the database's, and record their order, before anything is looked up. Without a
    recorded order, PostgreSQL's own version record decides. Call it outside any transaction.

    Raises
    ------
    StoreError
        If they cannot be made anew: this user does not own them, others use their tables, or rows that must be one of a kind were
        entered twice meanwhile.
    """
    (row,) = await connection.fetch(
        f"SELECT {_NOW} AS now, coalesce({_MADE}, '') AS made, {_OURS} AS is_ours"
    )
    if row["made"] == row["now"]:
        return
    vouched = False if row["made"].startswith(_SAYS) else await _is_vouched_for(connection)
    if not row["is_ours"]:
        # a user who does not own the schema cannot set its comment either, and goes on without
        if vouched is False:
            raise StoreError(NOT_OURS)
        return
    if not vouched:
        await _make_anew(connection)
    await connection.execute(f"COMMENT ON SCHEMA ccari IS '{row['now']}'")


async def _is_vouched_for(connection: asyncpg.Connection) -> bool | None:
    """Whether the C library or ICU still has the version that the database was created with; None: the server keeps no version
    (PostgreSQL 14).
    """
    if connection.get_server_version().major < _KEEPS_VERSIONS:
        return None
    return bool(await connection.fetchval(_VOUCHED_FOR))


async def _make_anew(connection: asyncpg.Connection) -> None:
    """Rebuild, one by one, the indexes that depend on a sort order; indexes of journals and recordings by id do not. Each rebuild blocks
    the users of its table.
    """
    names = [row["name"] for row in await connection.fetch(_SORTED)]
    if names:
        _log.warning("reindexing_begun")
    for name in names:
        try:
            await connection.execute(f"REINDEX INDEX {name}")
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            raise StoreError(
                f"the index {name} could not be made anew, as others use its table: end what does (a report, a pg_dump, another node), and "
                "run this again"
            ) from None
        except asyncpg.UniqueViolationError:
            raise StoreError(
                f"the index {name} cannot be made anew: while it was in another order, rows that must be one of a kind were entered "
                "twice (docs/operations.md, A copy of the server's folder)"
            ) from None
