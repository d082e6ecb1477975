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
    "the database sorts texts in another order than when its indexes were made, so that bars may be missed: its server has another "
    "C library or ICU now. ccari db migrate, or a start of ccari serve, makes the indexes anew"
)


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
    """Make the indexes anew if they were made in another order, and put on record in which they are. Of a database that does not
    say it, as an earlier version has left it, they are taken to be right. No transaction may be open.
    """
    (row,) = await connection.fetch(f"SELECT {_NOW} AS now, coalesce({_MADE}, '') AS made")
    if row["made"] == row["now"]:
        return
    if row["made"].startswith(_SAYS):
        _log.warning("reindexing_begun")
        await connection.execute("REINDEX SCHEMA ccari")
    # who does not own the schema cannot say so, and goes without
    with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
        await connection.execute(f"COMMENT ON SCHEMA ccari IS '{row['now']}'")
