"""The record of accesses, in PostgreSQL: a chain of entries, so that any entry that is changed, removed, moved or erased too early is
detected.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from secrets import token_bytes
from typing import Any

import structlog

from ccari.errors import StoreError
from ccari.policy import accesses as law
from ccari.policy import chain
from ccari.policy.chain import SALT_BYTES, Entry, Linked
from ccari.policy.seal import mismatch
from ccari.ports.accesses import Access, Looked, WantedAccesses
from ccari.store.database import Connection, Database
from ccari.store.journals import entry_fields, linked
from ccari.store.queries import SQL, by_controller

_log = structlog.get_logger()

#: How many contradictions are named. Each may stand before one that matters more, so that all are counted.
MOST_NAMED = 5


class Accesses:
    """:class:`ccari.ports.accesses.AccessLog` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, access: Access) -> None:
        fields = {**access.target, "who": access.who, "why": access.why}
        async with self._database.transaction() as connection:
            new = await add(connection, access.looked, fields)
        log(access.looked, access.who, new)

    async def list(self, limit: int, wanted: WantedAccesses) -> list[dict[str, Any]]:
        """The entries that match, the newest first."""
        # a person's, or a rare kind, may have to be looked for among millions of entries
        rows = await self._database.rows(
            SQL["list_accesses"], limit, wanted.who, wanted.looked, wanted.since, wanted.of, wanted.known_as is not None,
            *by_controller(wanted.known_as or {}), outside_pool=True,
        )  # fmt: skip
        return [_as_listed(row) for row in rows]

    async def expired_before(self) -> datetime | None:
        """The moment before which accesses have expired, unless something keeps them; None if none has. Raises StoreError."""
        async with self._database.connection() as connection:
            return await newest_expiry(connection)

    async def fault(self) -> tuple[int, str | None]:
        """How many entries there are, and the first fault in words: a broken chain, an entry that differs from what was sealed, or an
        entry that was erased too early.

        The entries are read in batches. :func:`ccari.recordings.evidence.checking.check` checks the signatures of the seals.
        """
        count, fault = await self._chain_fault()
        if fault is None:
            async for rows in self._database.stream(SQL["accesses_not_as_sealed"]):
                for row in rows:
                    fault = mismatch(row["events"], row["sealed_at"])
        return count, fault

    async def contradictions(self) -> tuple[int, Sequence[str]]:
        """How many policies, tokens, holds and bars are missing, are others than the record says, or are not on it, and the first
        :data:`MOST_NAMED` in words. The record itself must be intact (:meth:`fault`).
        """
        rows = await self._database.rows(SQL["decided_otherwise"], MOST_NAMED, outside_pool=True)
        return (rows[0]["all"] if rows else 0), [_contradicted(row) for row in rows]

    async def _chain_fault(self) -> tuple[int, str | None]:
        seq, link, count, last = 0, chain.start_of_accesses(), 0, b""
        # the newest erased entry, and the moment up to which entries may be erased
        erased, before = None, None
        async for rows in self._database.stream(SQL["all_accesses"]):
            for row in rows:
                count, last = row["count"], bytes(row["last"])
                if row["seq"] is None:
                    continue
                if row["seq"] != seq + 1:
                    return count, f"entry {seq + 1} is missing"
                entry, seq = linked(row), row["seq"]
                link = chain.next_link(link, seq, entry.at, entry.event, entry.commitment)
                if link != entry.link or (entry.fields is not None and not chain.fits_commitment(entry)):
                    return count, f"entry {seq} ({entry.event}) was changed, or is not in its place"
                if entry.fields is None:
                    erased = entry if erased is None else max(erased, entry, key=lambda each: each.at)
                elif entry.event == law.EXPIRED:
                    # anyone who can write to the record could forge such an entry, dated in the future
                    before = law.expired_before(min(entry.at, row["now"]), entry.fields)
        if erased is not None and (fault := law.fault_of_erased(erased.seq, erased.at, before)):
            return count, fault
        if seq != count:
            return count, f"the record ends at entry {seq}, but there were {count}"
        return (
            count,
            None if link == last else "the record was rewritten: its last link is not the one that was kept",
        )


async def add(connection: Connection, event: str, fields: Mapping[str, str]) -> Linked:
    """Add an entry in ``connection``'s transaction: no other entry can be added until it ends. Raises StoreError."""
    head = await connection.fetchrow(SQL["lock_access_chain"])
    if head is None:
        raise StoreError("the row that ends the record of accesses is missing from the database")
    entry = Entry(head["at"], event, fields, token_bytes(SALT_BYTES))
    (new,) = chain.follow(bytes(head["link"]), head["events"], [entry])
    await connection.execute(
        SQL["add_access"],
        new.seq,
        new.at,
        new.event,
        json.dumps(dict(fields)),
        new.salt,
        new.commitment,
        new.link,
    )
    return new


def log(looked: Looked, who: str, added: Linked) -> None:
    """Log the entry's link, out of reach of anyone who edits the table. Call it after the commit."""
    _log.info("data_accessed", access=looked, who=who, entry=added.seq, link=added.link.hex())


async def newest_expiry(connection: Connection) -> datetime | None:
    """Like :meth:`Accesses.expired_before`, in ``connection``'s transaction."""
    row = await connection.fetchrow(SQL["newest_expiry"])
    return law.expired_before(row["at"], entry_fields(row["fields"], b"")[0]) if row is not None else None


def _contradicted(row: Mapping[str, Any]) -> str:
    if row["seq"] is None:
        return f"{row['what']} {row['unentered']} without an entry"
    return f"entry {row['seq']} ({row['what']})"


def _as_listed(row: Mapping[str, Any]) -> dict[str, Any]:
    fields, _ = entry_fields(row["fields"], b"")
    return {
        "seq": row["seq"],
        "at": row["at"],
        "who": fields.get("who", ""),
        "access": row["event"],
        "what": {name: value for name, value in fields.items() if name not in {"who", "why"}},
        "why": fields.get("why", ""),
    }
