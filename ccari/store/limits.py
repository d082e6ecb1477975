"""Storage limits in PostgreSQL: rows past their limit expire in batches, and each row is checked again under the batch's locks."""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ccari.errors import RefusedError
from ccari.policy import retention
from ccari.policy.limits import Limit
from ccari.policy.retention import Limited
from ccari.ports.limits import PastLimit
from ccari.store import repeats
from ccari.store.database import Connection, Database, in_transaction
from ccari.store.expiry.accesses import ExpiringAccesses
from ccari.store.expiry.calls import ExpiringCalls
from ccari.store.expiry.consents import ExpiringConsents
from ccari.store.expiry.contacts import ExpiringContacts
from ccari.store.expiry.kind import ExpiringKind, Keepers
from ccari.store.expiry.requests import ExpiringRequests
from ccari.store.queries import SQL
from ccari.store.translating import translated

#: How many rows expire in one transaction, which blocks new holds.
BATCH = 250


class Limits:
    """:class:`ccari.ports.limits.Limits` on PostgreSQL, over connections outside the pool: no call waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kinds: Mapping[Limited, ExpiringKind] = {
            Limited.CALLS: ExpiringCalls(),
            Limited.REQUESTS: ExpiringRequests(),
            Limited.CONTACTS: ExpiringContacts(),
            Limited.CONSENTS: ExpiringConsents(),
            Limited.ACCESSES: ExpiringAccesses(),
        }

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        async with self._database.outside_pool() as connection:
            mine = bool(await connection.fetchval(SQL["turn_to_expire"]))
            if mine:
                # otherwise only the next request with a key would do so
                await connection.execute(SQL["forget_old_repeats"], repeats.KEPT)
            yield mine

    async def past(self, limit: Limit, now: datetime) -> AsyncGenerator[PastLimit, None]:
        kind = self._kinds[limit.limited]
        async with self._database.outside_pool() as connection:
            async for ids in _past(connection, kind, limit, now):
                kept = await kind.kept(connection, limit, ids)
                yield _past_limit(len(ids) - len(kept), kept)

    async def expire(self, limit: Limit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        kind = self._kinds[limit.limited]
        async with self._database.outside_pool() as connection:
            async for ids in _past(connection, kind, limit, now):
                kept = await kind.kept(connection, limit, ids)
                goes = [each for each in ids if each not in kept]
                try:
                    gone, still = await _expire(connection, kind, limit, goes, who)
                except RefusedError:
                    gone, still = await _one_by_one(connection, kind, limit, goes, who)
                yield _past_limit(gone, kept | still)


async def _past(
    connection: Connection, kind: ExpiringKind, limit: Limit, now: datetime
) -> AsyncIterator[list[Any]]:
    """The ids of rows past their limit, in batches, in the order of their kind."""
    until, after = retention.ended_until(now, limit.days), None
    while batch := await kind.past(connection, limit, until, after, BATCH):
        yield [each for _, each in batch]
        after = batch[-1]


def _past_limit(goes: int, kept: Keepers) -> PastLimit:
    return PastLimit(goes, len(kept), Counter(words for each in kept.values() for words in each))


async def _expire(
    connection: Connection, kind: ExpiringKind, limit: Limit, ids: Sequence[Any], who: str
) -> tuple[int, Keepers]:
    """Expire the rows that nothing keeps. Returns how many did, and what keeps the others."""
    if not ids:
        return 0, {}
    with translated():
        async with in_transaction(connection):
            # no hold can be placed from here to the commit
            await connection.execute(SQL["alone_to_delete"])
            held = await kind.lock(connection, limit, ids)
            kept = await kind.kept(connection, limit, held)
            if goes := [each for each in held if each not in kept]:
                await kind.erase(connection, limit, goes, who)
    return len(goes), kept


async def _one_by_one(
    connection: Connection, kind: ExpiringKind, limit: Limit, ids: Sequence[Any], who: str
) -> tuple[int, Keepers]:
    """Like :func:`_expire`, row by row: a row whose journal was tampered with cannot expire, and must not block the others."""
    gone = 0
    kept: Keepers = {}
    for each in ids:
        try:
            went, still = await _expire(connection, kind, limit, [each], who)
        except RefusedError:
            went, still = 0, {each: {kind.changed(each)}}
        gone += went
        kept |= still
    return gone, kept
