"""What somebody does who can write every table, and knows how to get past their triggers."""

from hashlib import sha256
from typing import Any

from ccari.store.database import Database
from ccari.store.opened import Store

#: What they may put in the place of an entry's fields.
NO_FIELDS = {
    "number": "5", "text": '"x"', "list": "[]", "null": "null", "no text": '{"reason": 5}',
    "great": f'{{"reason": {10**400}}}', "greater": f'{{"reason": {"9" * 5000}}}', "deep": "[" * 3000 + "]" * 3000,
}  # fmt: skip
#: What they may put in the place of a moment, and of a day.
NO_MOMENTS = ("-infinity", "infinity", "4713-01-01 BC", "0001-01-01", "9999-12-31", "12000-01-01")


async def forge(database: Database, change: str, *arguments: Any) -> None:
    async with database.connection() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(change, *arguments)
        await connection.execute("SET session_replication_role = origin")


async def apply_unread(store: Store, document: str) -> int:
    """As an older ccari has, which accepted what this one refuses. Gives the revision."""
    (row,) = await store.database.rows(
        "INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('anna', $1, $2) RETURNING revision",
        sha256(document.encode()).digest(),
        document,
    )
    return int(row["revision"])
