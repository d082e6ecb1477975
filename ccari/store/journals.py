"""The journals of calls and of requests, in PostgreSQL."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from secrets import token_bytes
from typing import Any
from uuid import UUID

import asyncpg

from ccari.errors import RefusedError, StoreError
from ccari.policy import chain
from ccari.policy.chain import SALT_BYTES, Entry, Linked
from ccari.store.database import Connection
from ccari.store.queries import SQL


async def append(
    connection: Connection,
    call_id: UUID,
    event: str,
    fields: Mapping[str, str],
    *,
    at: datetime | None = None,
) -> None:
    """Go on with the journal of a call, in the transaction that ``connection`` is in.

    Raises
    ------
    StoreError
        If there is no such call.
    """
    await write(connection, call_id, [Entry(at or datetime.now(UTC), event, fields, token_bytes(SALT_BYTES))])


async def write(connection: Connection, call_id: UUID, entries: Sequence[Entry]) -> None:
    """Put ``entries`` at the end of the call's journal, in the transaction that ``connection`` is in.

    The same entries a second time are none. Raises StoreError if there is no such call.
    """
    if not entries:
        return
    # apart from what follows, which must see what another transaction has written that held the row
    held = await connection.fetchrow(SQL["lock_chain"], call_id)
    if held is None:
        raise RefusedError(f"there is no call {call_id}")
    known = await _write(connection, call_id, held, entries)
    if known:
        new = [entry for entry in entries if entry.commitment not in known]
        if new:
            await _write(connection, call_id, held, new)


async def _write(
    connection: Connection, call_id: UUID, held: asyncpg.Record, entries: Iterable[Entry]
) -> set[bytes]:
    linked = chain.follow(bytes(held["last_link"]), held["events"], entries)
    rows = await connection.fetch(
        SQL["append_events"], call_id, [each.seq for each in linked], [each.at for each in linked],
        [each.event for each in linked], [each.commitment for each in linked], [each.link for each in linked],
        [each.salt for each in linked], [json.dumps(dict(each.fields or {})) for each in linked],
        linked[-1].seq, linked[-1].link,
    )  # fmt: skip
    return {bytes(row["commitment"]) for row in rows}


async def append_to_request(
    connection: Connection, reference: str, state: str, level: int, due: date, who: str, reason: str
) -> int:
    """Go on with the journal of a request, whose row the transaction holds from now on; gives the entry's number.

    ``state``, ``level`` and ``due`` stay for good; ``who`` and ``reason`` can be erased.

    Raises
    ------
    StoreError
        If there is no such request.
    """
    held = await connection.fetchrow(SQL["lock_request_chain"], reference)
    if held is None:
        raise StoreError(f"there is no request {reference!r}")
    before = chain.start_of_request(reference) if held["last_link"] is None else bytes(held["last_link"])
    event = chain.request_event(state, level, due)
    entry = Entry(held["at"], event, {"who": who, "reason": reason}, token_bytes(SALT_BYTES))
    (new,) = chain.follow(before, held["events"], [entry])
    await connection.execute(
        SQL["add_request_event"], reference, new.seq, new.at, state, level, due, new.commitment, new.link,
        new.salt, who, reason,
    )  # fmt: skip
    return new.seq


def linked(row: Mapping[str, Any]) -> Linked:
    """A row of ``call_journal``."""
    fields = None if row["fields"] is None else json.loads(row["fields"])
    return Linked(
        row["seq"], row["at"], row["event"], bytes(row["commitment"]), bytes(row["link"]), fields, row["salt"]
    )


def request_linked(row: Mapping[str, Any]) -> Linked:
    """A row of ``request_journal``."""
    told = {"who": row["who"], "reason": row["reason"]}
    return Linked(
        row["seq"], row["at"], chain.request_event(row["state"], row["level"], row["due"]),
        bytes(row["commitment"]), bytes(row["link"]), None if row["salt"] is None else told, row["salt"],
    )  # fmt: skip
