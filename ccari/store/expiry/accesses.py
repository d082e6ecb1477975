"""Accesses past their limit: who looked, at what, and why is erased. The fact and time of the access stay, with the entry's link."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ccari.policy import accesses as law
from ccari.policy.erasure import is_held_by
from ccari.policy.limits import Limit
from ccari.policy.rights import Right
from ccari.store import accesses, holds
from ccari.store.database import Connection
from ccari.store.expiry.kind import Keepers
from ccari.store.queries import SQL


class ExpiringAccesses:
    """:class:`ccari.store.expiry.kind.ExpiringKind`, by the entries' numbers."""

    async def past(
        self, connection: Connection, limit: Limit, until: datetime, after: tuple[datetime, Any] | None, most: int
    ) -> Sequence[tuple[datetime, int]]:  # fmt: skip
        rows = await connection.fetch(
            SQL["accesses_past_limit"], until, limit.days, *(after or (None, None)), most
        )
        return [(row["at"], row["seq"]) for row in rows]

    async def lock(self, connection: Connection, limit: Limit, ids: Sequence[int]) -> Sequence[int]:  # noqa: ARG002 - ExpiringKind's
        return [row["seq"] for row in await connection.fetch(SQL["lock_unexpired_accesses"], ids)]

    async def kept(self, connection: Connection, limit: Limit, ids: Sequence[int]) -> Keepers:
        keepers: Keepers = defaultdict(set)
        unreached = sorted(limit.unreached)
        for row in await connection.fetch(
            SQL["accesses_kept"], ids, holds.ON_RIGHTS, holds.ON_BARS, unreached
        ):
            if row["kind"] == "legal":
                keepers[row["id"]].add(holds.held(row).words)
            elif row["kind"] == "unreached":
                keepers[row["id"]].add(f"a lost secret of {row['reason']!r}, whose open requests may need it")
            elif is_held_by(Right(row["reason"]), None):
                keepers[row["id"]].add(holds.held(row).words)
        return keepers

    async def erase(self, connection: Connection, limit: Limit, ids: Sequence[int], who: str) -> None:
        before = await connection.fetchval(SQL["accesses_expire_before"], limit.days)
        declared = await accesses.newest_expiry(connection)
        if declared is None or declared < before:
            await accesses.add(connection, law.EXPIRED, law.declaration(before, limit.days, who))
        await connection.execute(SQL["expire_accesses"], ids)

    def changed(self, one: int) -> str:
        return f"entry {one}, which somebody has changed"
