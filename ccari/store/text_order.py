"""The order in which the database sorts texts, by which the indexes are searched.

It comes from the server's C library or ICU, and changes under the indexes where the server's folder is moved: to another image, to another
release of the system, to a standby there. PostgreSQL warns of some such changes, and uses the indexes all the same: a look-up then
misses rows that are there, and a barred number counts as one that is not.
"""

import contextlib
from collections.abc import Iterator

import asyncpg
import structlog

from ccari.errors import StoreError

_log = structlog.get_logger()

#: How the comment begins, on the schema, that says in which order its indexes were made. A dump has it, too.
_SAYS = "ccari: the indexes are in the order "
#: Of what the ids of indexes are made of, so that their pairs are sorted as those are. In any encoding: another one is refused by its name.
#: With other letters here, each database would have its indexes made anew, and services of the version before would call nobody.
_LETTERS = "019aAbByYzZ_- .,:/("
_MADE = "obj_description(to_regnamespace('ccari'), 'pg_namespace')"
_EACH = f"unnest(string_to_array('{_LETTERS}', NULL))"
_NOW = f"(SELECT '{_SAYS}' || md5(string_agg(a || b, '' ORDER BY a || b)) FROM {_EACH} AS a, {_EACH} AS b)"  # noqa: S608 - constants
_REFUSED = "CCORD"
#: Refuses an order that is not the one of the indexes, with no round trip of its own.
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
#: The first PostgreSQL that keeps the version of the C library or ICU by which a database sorts.
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
    """Turn what :data:`REFUSE_ANOTHER` raises into a StoreError."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate == _REFUSED:
            raise StoreError(ANOTHER) from None
        raise


async def settle(connection: asyncpg.Connection) -> None:
    """Make the indexes anew if they may be in another order, and put on record in which they are: before anything is looked up by them.
    If nobody has said it yet, PostgreSQL's own record counts. No transaction may be open.

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
        # who does not own the schema cannot say so either, and goes without
        if vouched is False:
            raise StoreError(NOT_OURS)
        return
    if not vouched:
        await _make_anew(connection)
    await connection.execute(f"COMMENT ON SCHEMA ccari IS '{row['now']}'")


async def _is_vouched_for(connection: asyncpg.Connection) -> bool | None:
    """Whether the C library or ICU has the version that the database was made with; None: the server keeps none (PostgreSQL 14)."""
    if connection.get_server_version().major < _KEEPS_VERSIONS:
        return None
    return bool(await connection.fetchval(_VOUCHED_FOR))


async def _make_anew(connection: asyncpg.Connection) -> None:
    """Those that depend on an order, as those of journals and recordings by id do not. One by one: each holds up whoever uses its table."""
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
