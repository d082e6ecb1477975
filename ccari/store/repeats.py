"""The stored answers to HTTP requests with an Idempotency-Key, in PostgreSQL."""

from datetime import timedelta
from uuid import UUID

from ccari.ports.repeats import Answered, Unanswered
from ccari.store.database import Database
from ccari.store.queries import SQL

#: How long an answer is kept for repetition.
KEPT = timedelta(days=1)
#: A claim not renewed for this long is free: its holder has died.
LOST = timedelta(minutes=2)


class Repeats:
    """:class:`ccari.ports.repeats.RepeatStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: bytes, asked: bytes, claim: UUID) -> Answered | Unanswered:
        async with self._database.connection() as connection:
            await connection.execute(SQL["forget_old_repeats"], KEPT)
            if await connection.fetchval(SQL["claim_repeat"], key, asked, claim, LOST) is not None:
                return Unanswered.FIRST
            row = await connection.fetchrow(SQL["earlier_answer"], key)
        if row is None:
            # the claim was dropped a moment ago
            return Unanswered.UNDER_WAY
        if row["asked"] != asked:
            return Unanswered.OTHER
        if row["status"] is None:
            return Unanswered.UNDER_WAY
        return Answered(row["status"], row["location"], row["kind"], row["body"], row["listed"])

    async def hold(self, key: bytes, claim: UUID) -> None:
        await self._database.execute(SQL["hold_repeat"], key, claim)

    async def settle(self, key: bytes, claim: UUID, answered: Answered) -> None:
        """Does nothing if another request holds the claim by now."""
        await self._database.execute(
            SQL["settle_repeat"], key, claim, answered.status, answered.location, answered.kind, answered.body,
            answered.listed,
        )  # fmt: skip

    async def drop(self, key: bytes, claim: UUID) -> None:
        """Like :meth:`settle`."""
        await self._database.execute(SQL["drop_repeat"], key, claim)
