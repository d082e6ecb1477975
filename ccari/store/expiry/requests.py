"""Requests past their limit: what identifies the person is erased, and the proof that they were answered stays."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ccari.policy.erasure import is_held_by
from ccari.policy.limits import Limit
from ccari.policy.rights import Level, Right
from ccari.store import holds, journals
from ccari.store.database import Connection
from ccari.store.expiry.kind import Keepers
from ccari.store.queries import SQL

_WORDS = {
    "recording": "a recording that it is about, and that is kept",
    "lost": "a recording that it is about, and that was lost and may be found again",
    "untold": "a step that its controller was not told of: ccari requests forwards",
    "erasure": "an erasure that is under way",
}


class ExpiringRequests:
    """:class:`ccari.store.expiry.kind.ExpiringKind`, by the requests' references."""

    async def past(
        self, connection: Connection, limit: Limit, until: datetime, after: tuple[datetime, Any] | None, most: int
    ) -> Sequence[tuple[datetime, str]]:  # fmt: skip
        rows = await connection.fetch(
            SQL["requests_past_limit"], limit.controller, until, limit.days, *(after or (None, None)), most
        )
        return [(row["closed_at"], row["reference"]) for row in rows]

    async def lock(self, connection: Connection, limit: Limit, ids: Sequence[str]) -> Sequence[str]:  # noqa: ARG002 - ExpiringKind's
        return [row["reference"] for row in await connection.fetch(SQL["lock_unexpired_requests"], ids)]

    async def kept(self, connection: Connection, limit: Limit, ids: Sequence[str]) -> Keepers:
        keepers: Keepers = defaultdict(set)
        for row in await connection.fetch(
            SQL["requests_kept"], ids, limit.forwarded, holds.ON_RIGHTS, holds.ON_BARS
        ):
            if row["kind"] in _WORDS:
                keepers[row["id"]].add(_WORDS[row["kind"]])
            elif row["kind"] == "legal" or is_held_by(Right(row["reason"]), None):
                keepers[row["id"]].add(holds.held(row).words)
        return keepers

    async def erase(self, connection: Connection, limit: Limit, ids: Sequence[str], who: str) -> None:
        # before the requests' rows are changed, the lock order of an erasure's first step, so that the two do not deadlock
        await connection.execute(SQL["remember_erasures"], ids)
        await connection.execute(SQL["erase_notes"], ids)
        words = f"{limit.limited.setting} = {limit.days}: from now on it does not show whose it was"
        for row in await connection.fetch(SQL["requests_to_go_on_with"], ids):
            expired = journals.RequestEntry(row["state"], Level(row["level"]), row["due"], who, words)
            await journals.append_to_request(connection, row["reference"], expired)
        await connection.execute(SQL["expire_requests"], ids)

    def changed(self, one: str) -> str:
        return f"its journal, which somebody has changed: ccari requests show {one}"
