"""Calls past their limit: what identifies the person is erased, and the commitments of the journals stay."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ccari.gating.journal import entry
from ccari.policy.bases import LegalBasis
from ccari.policy.erasure import is_held_by
from ccari.policy.limits import Limit
from ccari.policy.retention import OF_ITS_CALL, HoldKind
from ccari.policy.rights import Right
from ccari.ports.holds import Held
from ccari.store import holds, journals
from ccari.store.database import Connection
from ccari.store.expiry.kind import Keepers
from ccari.store.queries import SQL

_BASES = frozenset(each.value for each in LegalBasis)


class ExpiringCalls:
    """:class:`ccari.store.expiry.kind.ExpiringKind`, by the calls' ids."""

    async def past(
        self, connection: Connection, limit: Limit, until: datetime, after: tuple[datetime, Any] | None, most: int
    ) -> Sequence[tuple[datetime, UUID]]:  # fmt: skip
        rows = await connection.fetch(
            SQL["calls_past_limit"], limit.controller, until, limit.days, *(after or (None, None)), most
        )
        return [(row["ended_at"], row["id"]) for row in rows]

    async def lock(self, connection: Connection, limit: Limit, ids: Sequence[UUID]) -> Sequence[UUID]:  # noqa: ARG002 - ExpiringKind's
        # from here on no right can be pressed in these calls, and nothing appended to their journals
        return [row["id"] for row in await connection.fetch(SQL["hold_unexpired"], ids)]

    async def kept(self, connection: Connection, limit: Limit, ids: Sequence[UUID]) -> Keepers:  # noqa: ARG002 - ExpiringKind's
        keepers: Keepers = defaultdict(set)
        for row in await connection.fetch(SQL["holds_on_calls"], ids):
            keepers[row["call_id"]].add(Held(HoldKind.LEGAL, row["hold"], None, row["reason"]).words)
        for row in await connection.fetch(
            SQL["calls_kept"], ids, list(OF_ITS_CALL), holds.ON_RIGHTS, holds.ON_BARS
        ):
            if row["kind"] == "recording":
                keepers[row["id"]].add("a recording that is kept")
            elif row["kind"] != "request" or _is_needed(Right(row["reason"]), row["legal_basis"]):
                kind = HoldKind.LEGAL if row["kind"] == "legal" else HoldKind.REQUEST
                keepers[row["id"]].add(Held(kind, row["hold"], row["reference"], row["reason"]).words)
        return keepers

    async def erase(self, connection: Connection, limit: Limit, ids: Sequence[UUID], who: str) -> None:
        await connection.execute(SQL["expire_fields"], ids)
        fields = {limit.limited.setting: str(limit.days), "by": who}
        await journals.append_to_each(
            connection, {each: [entry("personal_data_erased", fields)] for each in ids}
        )
        await connection.execute(SQL["expire_calls"], ids)

    def changed(self, one: UUID) -> str:
        return f"its journal, which somebody has changed: ccari calls show {one}"


def _is_needed(right: Right, basis: str | None) -> bool:
    """Whether a request for the right needs data processed on ``basis``. A text that is not a basis, because it was edited, counts as
    needed.
    """
    if basis is not None and basis not in _BASES:
        return True
    return is_held_by(right, LegalBasis(basis) if basis else None)
