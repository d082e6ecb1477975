"""Calls whose time is over: what tells whose they were goes, and their commitments stay."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

from ccari.errors import RefusedError
from ccari.gating.journal import entry
from ccari.policy import retention
from ccari.policy.bases import LegalBasis
from ccari.policy.erasure import is_held_by
from ccari.policy.retention import OF_ITS_CALL, HoldKind
from ccari.policy.rights import Right
from ccari.ports.holds import Held
from ccari.ports.limits import CallLimit, PastLimit
from ccari.store import holds, journals
from ccari.store.database import Connection, Database, translated
from ccari.store.queries import SQL

#: Calls in one transaction, for which those wait who place holds.
BATCH = 250
_BASES = frozenset(each.value for each in LegalBasis)


class Limits:
    """:class:`ccari.ports.limits.CallLimits` on PostgreSQL, over connections outside the pool: no call waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        async with self._database.apart() as connection:
            yield bool(await connection.fetchval(SQL["turn_to_expire"]))

    async def past(self, limit: CallLimit, now: datetime) -> AsyncGenerator[PastLimit, None]:
        async with self._database.apart() as connection:
            async for ids in _past(connection, limit, now):
                yield _told(ids, await _kept(connection, ids))

    async def expire(self, limit: CallLimit, now: datetime, who: str) -> AsyncGenerator[PastLimit, None]:
        async with self._database.apart() as connection:
            async for ids in _past(connection, limit, now):
                kept = await _kept(connection, ids)
                goes = [each for each in ids if each not in kept]
                try:
                    kept |= await _expire(connection, goes, limit, who)
                except RefusedError:
                    kept |= await _one_by_one(connection, goes, limit, who)
                yield _told(ids, kept)


async def _past(connection: Connection, limit: CallLimit, now: datetime) -> AsyncIterator[list[UUID]]:
    """Calls whose time is over, the first that ended before the others."""
    until, after = retention.ended_until(now, limit.days), (None, None)
    while rows := await connection.fetch(
        SQL["calls_past_limit"], limit.controller, until, limit.days, *after, BATCH
    ):
        yield [row["id"] for row in rows]
        after = rows[-1]["ended_at"], rows[-1]["id"]


async def _kept(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, set[str]]:
    """What keeps each of the calls that something keeps, in words."""
    found: defaultdict[UUID, set[str]] = defaultdict(set)
    for row in await connection.fetch(SQL["holds_on_calls"], ids):
        found[row["call_id"]].add(Held(HoldKind.LEGAL, row["hold"], None, row["reason"]).words)
    for row in await connection.fetch(
        SQL["calls_kept"], ids, list(OF_ITS_CALL), holds.ON_RIGHTS, holds.ON_BARS
    ):
        if row["kind"] == "recording":
            found[row["id"]].add("a recording that is kept")
        elif row["kind"] != "request" or _is_needed(Right(row["reason"]), row["legal_basis"]):
            kind = HoldKind.LEGAL if row["kind"] == "legal" else HoldKind.REQUEST
            found[row["id"]].add(Held(kind, row["hold"], row["reference"], row["reason"]).words)
    return dict(found)


def _is_needed(right: Right, basis: str | None) -> bool:
    """Whether a request of the right needs what was processed on ``basis``; what somebody has written there that is none, too."""
    if basis is not None and basis not in _BASES:
        return True
    return is_held_by(right, LegalBasis(basis) if basis else None)


def _told(ids: Sequence[UUID], kept: dict[UUID, set[str]]) -> PastLimit:
    held_by = Counter(words for each in kept.values() for words in each)
    return PastLimit(len(ids) - len(kept), len(kept), held_by)


async def _expire(
    connection: Connection, ids: Sequence[UUID], limit: CallLimit, who: str
) -> dict[UUID, set[str]]:
    """Have those of the calls expire that nothing keeps any more; gives what keeps the others."""
    if not ids:
        return {}
    with translated():
        async with connection.transaction():
            await connection.execute(SQL["alone_to_delete"])
            # from here on no hold is placed on them, nothing is pressed in them, and nobody adds to their journals
            held = [row["id"] for row in await connection.fetch(SQL["hold_unexpired"], ids)]
            kept = await _kept(connection, held)
            if goes := [each for each in held if each not in kept]:
                await connection.execute(SQL["expire_fields"], goes)
                told = {"calls_days": str(limit.days), "by": who}
                await journals.append_to_each(
                    connection, {each: [entry("personal_data_erased", told)] for each in goes}
                )
                await connection.execute(SQL["expire_calls"], goes)
    return kept


async def _one_by_one(
    connection: Connection, ids: Sequence[UUID], limit: CallLimit, who: str
) -> dict[UUID, set[str]]:
    """One of many cannot be gone on with, for somebody has changed it: it does not keep the others."""
    kept: dict[UUID, set[str]] = {}
    for each in ids:
        try:
            kept |= await _expire(connection, [each], limit, who)
        except RefusedError:
            kept[each] = {f"its journal, which somebody has changed: ccari calls show {each}"}
    return kept
