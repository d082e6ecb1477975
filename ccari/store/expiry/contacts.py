"""Contacts that no list has contained, and nobody has called, for long: they are deleted, and the gate no longer knows their source."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ccari.policy.bases import LegalBasis
from ccari.policy.erasure import is_held_by
from ccari.policy.limits import Limit
from ccari.policy.rights import Right
from ccari.store import holds
from ccari.store.database import Connection
from ccari.store.expiry.kind import Keepers
from ccari.store.queries import SQL, columns

#: A number's keyed digest, and one of its sources.
Contact = tuple[bytes, str]


class ExpiringContacts:
    """:class:`ccari.store.expiry.kind.ExpiringKind`, by digest and source."""

    async def past(
        self, connection: Connection, limit: Limit, until: datetime, after: tuple[datetime, Any] | None, most: int
    ) -> Sequence[tuple[datetime, Contact]]:  # fmt: skip
        place = (after[0], *after[1]) if after else (None, None, None)
        rows = await connection.fetch(
            SQL["contacts_past_limit"], limit.controller, until, limit.days, *place, most
        )
        return [(row["told_at"], (row["digest"], row["source"])) for row in rows]

    async def lock(self, connection: Connection, limit: Limit, ids: Sequence[Contact]) -> Sequence[Contact]:
        # no list of contacts can be merged until they are deleted: merging rekeys contacts in no fixed order, so the two could deadlock
        await connection.execute(SQL["lock_contacts"], limit.controller)
        # a contact that a list has brought, or that was called, since the look-up is no longer past its limit
        rows = await connection.fetch(
            SQL["lock_contacts_past_limit"], limit.controller, *columns(ids), limit.days
        )
        return [(row["digest"], row["source"]) for row in rows]

    async def kept(self, connection: Connection, limit: Limit, ids: Sequence[Contact]) -> Keepers:
        keepers: Keepers = defaultdict(set)
        for row in await connection.fetch(
            SQL["contacts_kept"],
            limit.controller,
            *columns(ids),
            limit.sourced,
            holds.ON_RIGHTS,
            holds.ON_BARS,
        ):
            by = keepers[row["digest"], row["source"]]
            if row["kind"] == "end":
                by.add("its last day (valid_until), after which it bars calls")
            elif row["kind"] == "legal" or is_held_by(Right(row["reason"]), LegalBasis(row["legal_basis"])):
                by.add(holds.held(row).words)
        return {each: by for each, by in keepers.items() if by}

    async def erase(self, connection: Connection, limit: Limit, ids: Sequence[Contact], who: str) -> None:  # noqa: ARG002 - ExpiringKind's
        await connection.execute(SQL["expire_contacts"], limit.controller, *columns(ids))

    def changed(self, one: Contact) -> str:  # noqa: ARG002 - ExpiringKind's
        return "another row, which somebody has changed"
