"""What a deleted row leaves behind in PostgreSQL's own files, and its end.

A deleted row lies in its table's file until the space is taken by another, and in the write-ahead log until that is
removed. The tables that held the number are written anew; the others held digests and masked numbers, and their space is
given back for use.
"""

from typing import Any

import asyncpg

from ccari.store.queries import SQL

#: Always: the numbers of requests, what was noted on them, and the words of who purges; none of them is large.
_HELD_NUMBERS = ("rights_requests", "forwards", "request_event_details", "deletions")
#: Where somebody has written it there.
_HOLD_WORDS = (
    "suppressions",
    "removed_suppressions",
    "consents",
    "contacts",
    "recordings",
    "call_event_fields",
)
_OTHERS = ("calls", "consent_uses", "heard_notices", "http_repeats")
#: A larger table would keep the running calls waiting while it is written anew.
MOST_BYTES = 32 << 20
#: For one table, of hundreds of gigabytes say: an erasure that waited until the connection gives up would never end.
MOST_SECONDS = 300
#: A call that waits for a table gives up after two seconds.
_LOCK = "SET lock_timeout TO '1s'"
_REFUSED = (asyncpg.LockNotAvailableError, asyncpg.InsufficientPrivilegeError, asyncpg.QueryCanceledError)


async def clear(connection: asyncpg.Connection, *, in_words: bool) -> dict[str, Any]:
    """Clear the space of deleted rows, as far as the server's owner lets us. ``in_words``: people had written the number.

    Returns
    -------
    dict
        ``written_anew`` and ``given_back``: tables. ``left``: tables, or the write-ahead log, whose traces the
        database's administrator has to clear, and why.
    """
    anew: list[str] = []
    back: list[str] = []
    left: dict[str, str] = {}
    await connection.execute(f"{_LOCK}; SET statement_timeout TO '{MOST_SECONDS}s'")
    held = {*_HELD_NUMBERS, *(_HOLD_WORDS if in_words else ())}
    for table in (*_HELD_NUMBERS, *_HOLD_WORDS, *_OTHERS):
        small = await connection.fetchval(SQL["size_of_table"], table) <= MOST_BYTES
        full = table in held and small
        try:
            await connection.execute(f"VACUUM {'(FULL)' if full else ''} {table}")
        except _REFUSED as error:
            left[table] = _why(error)
            continue
        (anew if full else back).append(table)
        if table in held and not small:
            left[table] = "too large to be written anew beside calls: VACUUM FULL it in a quiet hour"
    if why := await _clear_log(connection):
        left["write-ahead log"] = why
    return {"written_anew": anew, "given_back": back, "left": left}


async def _clear_log(connection: asyncpg.Connection) -> str | None:
    """Begin a new segment, so that a checkpoint removes those before it; why that could not be done."""
    try:
        await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("CHECKPOINT")
    except _REFUSED as error:
        return _why(error)
    if await connection.fetchval("SELECT current_setting('wal_recycle')") == "on":
        return "segments are used again as they are (wal_recycle = on), and hold what was written until then"
    return None


def _why(error: asyncpg.PostgresError) -> str:
    return str(error.args[0]) if error.args else type(error).__name__
