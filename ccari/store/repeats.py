"""What was answered to requests that may come again."""

from datetime import timedelta

from ccari.ports.repeats import Answered, Unanswered
from ccari.store.database import Database
from ccari.store.queries import SQL

#: For so long an answer is given again.
KEPT = timedelta(days=1)
#: Longer than any request is worked on: who has not answered by then died over it.
LOST = timedelta(minutes=2)


class Repeats:
    """:class:`ccari.ports.RepeatStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: bytes, asked: bytes) -> Answered | Unanswered:
        """What was answered before, or why nothing is; FIRST: go on, and settle or drop it."""
        async with self._database.connection() as connection:
            await connection.execute(SQL["forget_old_repeats"], KEPT)
            if await connection.fetchval(SQL["claim_repeat"], key, asked, LOST) is not None:
                return Unanswered.FIRST
            row = await connection.fetchrow(SQL["earlier_answer"], key)
        if row is None:
            # it came to nothing a moment ago
            return Unanswered.UNDER_WAY
        if row["asked"] != asked:
            return Unanswered.OTHER
        if row["status"] is None:
            return Unanswered.UNDER_WAY
        return Answered(row["status"], row["location"], row["kind"], row["body"])

    async def settle(self, key: bytes, answered: Answered) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                SQL["settle_repeat"], key, answered.status, answered.location, answered.kind, answered.body
            )

    async def drop(self, key: bytes) -> None:
        async with self._database.connection() as connection:
            await connection.execute(SQL["drop_repeat"], key)
