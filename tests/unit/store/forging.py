"""What somebody does who can write every table, and knows how to get past their triggers."""

from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from ccari.policy import chain
from ccari.store.database import Database
from ccari.store.opened import Store

#: What they may put in place of an entry's fields.
NO_FIELDS = {
    "number": "5", "text": '"x"', "list": "[]", "null": "null", "no text": '{"reason": 5}',
    "great": f'{{"reason": {10**400}}}', "greater": f'{{"reason": {"9" * 5000}}}', "deep": "[" * 3000 + "]" * 3000,
}  # fmt: skip
#: What they may put in place of a moment, and of a day.
NO_MOMENTS = ("-infinity", "infinity", "4713-01-01 BC", "0001-01-01", "9999-12-31", "12000-01-01")


async def forge(database: Database, change: str, *arguments: Any) -> None:
    async with database.connection() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(change, *arguments)
        await connection.execute("SET session_replication_role = origin")


async def apply_unread(store: Store, document: str) -> int:
    """Apply it as an older ccari did, which accepted what this one refuses. Gives the revision."""
    (row,) = await store.database.rows(
        "INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('anna', $1, $2) RETURNING revision",
        sha256(document.encode()).digest(),
        document,
    )
    return int(row["revision"])


async def dated_back(database: Database, call: UUID, ago: timedelta) -> None:
    """Make a call, and its journal with it, older than it is by that much."""
    before = chain.start(call)
    for row in await database.rows(
        "SELECT seq, at, event, commitment FROM call_events WHERE call_id = $1 ORDER BY seq", call
    ):
        at = row["at"] - ago
        before = chain.next_link(before, row["seq"], at, row["event"], row["commitment"])
        change = "UPDATE call_events SET at = $3, link = $4 WHERE call_id = $1 AND seq = $2"
        await forge(database, change, call, row["seq"], at, before)
    moments = ", ".join(
        f"{each} = {each} - $2::interval" for each in ("opened_at", "dialled_at", "heard_at", "ended_at")
    )
    await forge(database, f"UPDATE calls SET {moments}, last_link = $3 WHERE id = $1", call, ago, before)  # noqa: S608 - constants
