"""Things whose time is over, of whatever kind: a batch at a time, each looked at again under its own locks."""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ccari.errors import RefusedError
from ccari.policy import retention
from ccari.policy.retention import Limited
from ccari.ports.limits import Limit, PastLimit
from ccari.store.database import Connection, Database, translated
from ccari.store.expiry.calls import Calls
from ccari.store.expiry.consents import Consents
from ccari.store.expiry.contacts import Contacts
from ccari.store.expiry.kind import Kind
from ccari.store.expiry.requests import Requests
from ccari.store.queries import SQL

#: Things in one transaction, for which those wait who place holds.
BATCH = 250
_Kept = dict[Any, set[str]]


class Limits:
    """:class:`ccari.ports.limits.Limits` on PostgreSQL, over connections outside the pool: no call waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kinds: Mapping[Limited, Kind] = {
            Limited.CALLS: Calls(), Limited.REQUESTS: Requests(), Limited.CONTACTS: Contacts(), Limited.CONSENTS: Consents(),
        }  # fmt: skip

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        async with self._database.apart() as connection:
            yield bool(await connection.fetchval(SQL["turn_to_expire"]))

    async def past(self, limit: Limit, now: datetime) -> AsyncGenerator[PastLimit, None]:
        kind = self._kinds[limit.limited]
        async with self._database.apart() as connection:
            async for ids in _past(connection, kind, limit, now):
                kept = await kind.kept(connection, limit, ids)
                yield _told(len(ids) - len(kept), kept)

    async def expire(self, limit: Limit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        kind = self._kinds[limit.limited]
        async with self._database.apart() as connection:
            async for ids in _past(connection, kind, limit, now):
                kept: _Kept = dict(await kind.kept(connection, limit, ids))
                goes = [each for each in ids if each not in kept]
                try:
                    gone, still = await _expire(connection, kind, limit, goes, who)
                except RefusedError:
                    gone, still = await _one_by_one(connection, kind, limit, goes, who)
                yield _told(gone, kept | still)


async def _past(connection: Connection, kind: Kind, limit: Limit, now: datetime) -> AsyncIterator[list[Any]]:
    """Things whose time is over, the first that ended before the others."""
    until, after = retention.ended_until(now, limit.days), None
    while found := await kind.past(connection, limit, until, after, BATCH):
        yield [each for _, each in found]
        after = found[-1]


def _told(goes: int, kept: Mapping[Any, set[str]]) -> PastLimit:
    return PastLimit(goes, len(kept), Counter(words for each in kept.values() for words in each))


async def _expire(
    connection: Connection, kind: Kind, limit: Limit, ids: Sequence[Any], who: str
) -> tuple[int, _Kept]:
    """Have those of the things expire that nothing keeps any more; gives how many did, and what keeps others."""
    if not ids:
        return 0, {}
    with translated():
        async with connection.transaction():
            # from here on no hold is placed
            await connection.execute(SQL["alone_to_delete"])
            held = await kind.lock(connection, limit, ids)
            kept: _Kept = dict(await kind.kept(connection, limit, held))
            if goes := [each for each in held if each not in kept]:
                await kind.erase(connection, limit, goes, who)
    return len(goes), kept


async def _one_by_one(
    connection: Connection, kind: Kind, limit: Limit, ids: Sequence[Any], who: str
) -> tuple[int, _Kept]:
    """One of many cannot be gone on with, for somebody has changed it: it does not keep the others."""
    gone: int = 0
    kept: _Kept = {}
    for each in ids:
        try:
            went, still = await _expire(connection, kind, limit, [each], who)
        except RefusedError:
            went, still = 0, {each: {kind.changed(each)}}
        gone += went
        kept |= still
    return gone, kept
