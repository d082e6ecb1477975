"""Clears what deleted rows leave behind in PostgreSQL's files.

A deleted row stays in its table's file until another reuses its space, and in the write-ahead log until that segment is removed. Tables
that held the number are rewritten (VACUUM FULL). The others held digests and masked numbers: a plain VACUUM frees their space for reuse.
"""

import asyncio
from time import monotonic
from typing import Any

import asyncpg

from ccari.store.queries import SQL

#: Always rewritten: the numbers of requests, the notes on them, and purge reasons in free text. All are small.
_HELD_NUMBERS = ("rights_requests", "forwards", "request_event_details", "deletions")
#: Rewritten if a free text in them contained the number.
_HOLD_WORDS = (
    "suppressions",
    "removed_suppressions",
    "consents",
    "contacts",
    "recordings",
    "call_event_fields",
)
_OTHERS = ("calls", "consent_uses", "heard_notices", "http_repeats")
#: Larger tables are not rewritten: that would block running calls.
MOST_BYTES = 32 << 20
#: The time-out for one table, which may have hundreds of gigabytes. Without its own limit the connection would time out, and the erasure
#: never end.
MOST_SECONDS = 300
#: Shorter than the two seconds after which a call that waits for a table gives up.
_LOCK = "SET lock_timeout TO '1s'"
#: How long to wait for transactions that began before the erasure ended; those of calls take milliseconds.
PATIENCE_SECONDS = 5.0
_ASK_AGAIN_SECONDS = 0.1
_REFUSED = (asyncpg.LockNotAvailableError, asyncpg.InsufficientPrivilegeError, asyncpg.QueryCanceledError)


async def clear(connection: asyncpg.Connection, *, in_words: bool) -> dict[str, Any]:
    """Clear the space of deleted rows, as far as our role may. ``in_words``: the number was in free texts.

    Returns
    -------
    dict
        ``written_anew`` and ``given_back``: the tables that were rewritten, or whose space was freed. ``left``: the tables, and
        perhaps rows that somebody still sees, and the write-ahead log, that the database's administrator has to clear, each with the
        reason.
    """
    anew: list[str] = []
    back: list[str] = []
    left: dict[str, str] = {}
    await connection.execute(f"{_LOCK}; SET statement_timeout TO '{MOST_SECONDS}s'")
    held = {*_HELD_NUMBERS, *(_HOLD_WORDS if in_words else ())}
    if await _are_seen(connection):
        left["old versions of rows"] = (
            "a transaction that began before their end, such as a dump or an export, still sees them: when it is over, "
            f"VACUUM FULL {', '.join(sorted(held))}"
        )
    for table in (*_HELD_NUMBERS, *_HOLD_WORDS, *_OTHERS):
        try:
            # its size cannot be asked while somebody rewrites it: another erasure, or its administrator
            small = await connection.fetchval(SQL["size_of_table"], table) <= MOST_BYTES
            full = table in held and small
            await connection.execute(f"VACUUM {'(FULL)' if full else ''} {table}")
        except _REFUSED as error:
            left[table] = _why(error)
            continue
        (anew if full else back).append(table)
        if table in held and not small:
            left[table] = "too large to be rewritten while calls run: VACUUM FULL it in a quiet hour"
    if why := await _clear_log(connection):
        left["write-ahead log"] = why
    return {"written_anew": anew, "given_back": back, "left": left}


async def _are_seen(connection: asyncpg.Connection) -> bool:
    """Whether another transaction may still see the old rows, after waiting a while for it to end."""
    first, patient_until = await connection.fetchval(SQL["next_transaction"]), monotonic() + PATIENCE_SECONDS
    while await connection.fetchval(SQL["sees_what_was_erased"], first):
        if monotonic() > patient_until:
            return True
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
    return False


async def _clear_log(connection: asyncpg.Connection) -> str | None:
    """Switch to a new segment of the write-ahead log, so that a checkpoint removes the older ones. Returns the reason if that failed."""
    try:
        await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("CHECKPOINT")
    except _REFUSED as error:
        return _why(error)
    if await connection.fetchval("SELECT current_setting('wal_recycle')") == "on":
        return "segments are reused without being cleared (wal_recycle = on), and keep what was in them until it is overwritten"
    return None


def _why(error: asyncpg.PostgresError) -> str:
    return str(error.args[0]) if error.args else type(error).__name__
