"""The journals of calls and of requests, in PostgreSQL."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from ccari.errors import NoCallError, RefusedError, StoreError
from ccari.gating.journal import entry
from ccari.policy import chain
from ccari.policy.chain import Entry, Linked
from ccari.store.database import Connection, Database
from ccari.store.queries import SQL, bytea

#: How many calls' journal ends are remembered: more than one Asterisk has at a time. About 400 bytes each.
MOST_ENDS = 10_000


@dataclass(frozen=True, slots=True)
class End:
    """How many entries a journal has, and the link of its last entry."""

    events: int
    link: bytes


class Journals:
    """The journals of calls. A write is one SQL statement that appends entries to a journal and makes the change that they are about.

    The optimistic path: the end of each journal is remembered as last written here, and the statement changes nothing if the journal has
    been written elsewhere since. Only then is the call's row locked and the end read. An end is remembered once it is known to be
    committed. So after a lost reply the same entries may come again; those already in the journal are left out.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ends: dict[UUID, End] = {}

    def begin(self, call_id: UUID) -> None:
        """A call's row was created, with an empty journal."""
        self._remember(call_id, End(0, chain.start(call_id)))

    async def write(
        self, call_id: UUID, entries: Sequence[Entry], statement: str = "add_entries", *arguments: Any
    ) -> bool:
        """Append ``entries`` to the call's journal with the named SQL ``statement``, in its own transaction.

        ``arguments``: the statement's own, after those of the entries. Entries already in the journal are left out. False if the
        statement's own conditions are not met: then nothing is written.

        Raises
        ------
        NoCallError
            If there is no such call to write entries of.
        StoreError
            If the database fails.
        """
        if await self.write_as_remembered(call_id, entries, statement, *arguments):
            return True
        async with self.transaction() as transaction:
            return await transaction.lock_and_write(call_id, entries, statement, *arguments)

    async def write_as_remembered(
        self, call_id: UUID, entries: Sequence[Entry], statement: str, *arguments: Any
    ) -> bool:
        """Like :meth:`write`, but without a lock: also False if the journal does not end where remembered."""
        if (end := self._ends.get(call_id)) is None:
            return False
        async with self._database.connection() as connection:
            new_end = await _append(connection, call_id, end, entries, statement, arguments)
        if new_end is None:
            return False
        self._remember(call_id, new_end)
        return True

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["JournalTransaction"]:
        """A transaction that writes journals and other rows; the journals' new ends are remembered once it commits."""
        async with self._database.transaction() as connection:
            transaction = JournalTransaction(connection, self._ends)
            yield transaction
        for call_id, end in transaction.new_ends.items():
            self._remember(call_id, end)

    def forget(self, call_id: UUID) -> None:
        """A call is over. Later writes to its journal, for a recording say, lock the row."""
        self._ends.pop(call_id, None)

    def _remember(self, call_id: UUID, end: End) -> None:
        self._ends[call_id] = end
        if len(self._ends) > MOST_ENDS:
            # drop the oldest call's end
            del self._ends[next(iter(self._ends))]


class JournalTransaction:
    """Writes journals in one transaction with other rows. ``remembered``: ends of journals, as :class:`Journals` keeps them;
    ``new_ends``: those written here, valid once the transaction commits.
    """

    def __init__(self, connection: Connection, remembered: Mapping[UUID, End]) -> None:
        self.connection = connection
        self.new_ends: dict[UUID, End] = {}
        self._remembered = remembered

    async def write(
        self, call_id: UUID, entries: Sequence[Entry], statement: str = "add_entries", *arguments: Any
    ) -> bool:
        """Like :meth:`Journals.write`."""
        end = self.new_ends.get(call_id) or self._remembered.get(call_id)
        return (end is not None and await self._append(call_id, end, entries, statement, arguments)) or (
            await self.lock_and_write(call_id, entries, statement, *arguments)
        )

    async def lock_and_write(
        self, call_id: UUID, entries: Sequence[Entry], statement: str = "add_entries", *arguments: Any
    ) -> bool:
        """Like :meth:`write`, ignoring remembered ends: locks the call's row, and reads where its journal ends."""
        end = await _lock(self.connection, call_id, entries)
        if end is None:
            return False
        new = await _not_there_yet(self.connection, call_id, entries)
        return await self._append(call_id, end, new, statement, arguments)

    async def _append(
        self, call_id: UUID, end: End, entries: Sequence[Entry], statement: str, arguments: Sequence[Any]
    ) -> bool:
        new_end = await _append(self.connection, call_id, end, entries, statement, arguments)
        if new_end is None:
            return False
        self.new_ends[call_id] = new_end
        return True


async def append(connection: Connection, call_id: UUID, event: str, fields: Mapping[str, str]) -> None:
    """Append one entry to a call's journal, in ``connection``'s transaction.

    Raises
    ------
    StoreError
        If there is no such call.
    """
    await write(connection, call_id, [entry(event, fields)])


async def write(
    connection: Connection, call_id: UUID, entries: Sequence[Entry], statement: str = "add_entries", *arguments: Any,
) -> None:  # fmt: skip
    """:meth:`JournalTransaction.lock_and_write`, in ``connection``'s transaction."""
    await JournalTransaction(connection, {}).lock_and_write(call_id, entries, statement, *arguments)


async def append_to_each(connection: Connection, entries: Mapping[UUID, Sequence[Entry]]) -> None:
    """Append to the journals of many calls with one statement, in ``connection``'s transaction.

    Raises
    ------
    RefusedError
        If there is no such call, or somebody has changed the journal of one.
    """
    ends = await connection.fetch(SQL["lock_journals"], list(entries))
    if len(ends) != len(entries):
        raise RefusedError("the call whose journal was to be continued does not exist")
    # in a thread: hashing hundreds of entries would hold up running calls
    await connection.execute(SQL["append_to_journals"], *await asyncio.to_thread(_linked_to, ends, entries))


def _linked_to(
    ends: Sequence[asyncpg.Record], entries: Mapping[UUID, Sequence[Entry]]
) -> Sequence[Sequence[Any]]:
    """The statement's arguments: one list per column, for the new entries and then for the journals' new ends."""
    calls, new_ends, linked = [], [], []
    for end in ends:
        new = chain.follow(bytes(end["last_link"]), end["events"], entries[end["id"]])
        calls += [end["id"]] * len(new)
        linked += new
        new_ends.append((end["id"], new[-1].seq, new[-1].link))
    return [
        calls, [each.seq for each in linked], [each.at for each in linked], [each.event for each in linked],
        [each.commitment for each in linked], [each.link for each in linked], [each.salt for each in linked],
        [json.dumps(dict(each.fields or {})) for each in linked], *map(list, zip(*new_ends, strict=True)),
    ]  # fmt: skip


async def _lock(connection: Connection, call_id: UUID, entries: Sequence[Entry]) -> End | None:
    """Lock the call's row and return where its journal ends. None if the call does not exist and there are no ``entries``; else raises."""
    # a separate statement, so that the next one sees what the previous lock holder committed
    row = await connection.fetchrow(SQL["lock_chain"], call_id)
    if row is None:
        if entries:
            raise NoCallError(f"there is no call {call_id}")
        return None
    return End(row["events"], bytes(row["last_link"]))


async def _not_there_yet(connection: Connection, call_id: UUID, entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries not yet in the journal: after a lost reply, entries arrive a second time."""
    if not entries:
        return ()
    rows = await connection.fetch(SQL["known_entries"], call_id, [each.commitment for each in entries])
    known = {bytes(row["commitment"]) for row in rows}
    return [each for each in entries if each.commitment not in known]


async def _append(
    connection: Connection,
    call_id: UUID,
    end: End,
    entries: Sequence[Entry],
    statement: str,
    arguments: Sequence[Any],
) -> End | None:
    """Append to a journal that ends at ``end``, and return its new end.

    None if it ends elsewhere, or the statement's own conditions are not met: then nothing is written.
    """
    linked = chain.follow(end.link, end.events, entries)
    new_end = End(linked[-1].seq, linked[-1].link) if linked else end
    done = await connection.fetchval(
        SQL[statement],
        call_id,
        new_end.events,
        new_end.link,
        end.events,
        end.link,
        _in_json(linked),
        *arguments,
    )
    return None if done is None else new_end


def _in_json(entries: Sequence[Linked]) -> str:
    """New entries in the format that the SQL ``given`` reads."""
    return orjson.dumps([
        {
            "seq": each.seq, "at": each.at, "event": each.event, "commitment": bytea(each.commitment),
            "link": bytea(each.link), "salt": each.salt and bytea(each.salt), "fields": dict(each.fields or {}),
        }
        for each in entries
    ]).decode()  # fmt: skip


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """An entry for a request's journal: how the request stands now, who has changed that, and why.

    ``state``, ``level`` and ``due`` stay for good; ``who``, ``reason`` and ``asserted`` can be erased. ``asserted``: in the first
    entry, what the request's row says of what was asked for (:data:`chain.OF_REQUEST`).
    """

    state: str
    level: int
    due: date
    who: str
    reason: str
    asserted: Mapping[str, str] | None = None


async def append_to_request(connection: Connection, reference: str, new: RequestEntry) -> int:
    """Append an entry to a request's journal and return its number. The request's row stays locked until the transaction ends.

    Raises
    ------
    StoreError
        If there is no such request.
    """
    held = await connection.fetchrow(SQL["lock_request_chain"], reference)
    if held is None:
        raise StoreError(f"there is no request {reference!r}")
    before = chain.start_of_request(reference) if held["last_link"] is None else bytes(held["last_link"])
    event = chain.request_event(new.state, new.level, new.due)
    fields = {**(new.asserted or {}), "who": new.who, "reason": new.reason}
    (link,) = chain.follow(before, held["events"], [entry(event, fields, held["at"])])
    await connection.execute(
        SQL["add_request_event"], reference, link.seq, link.at, new.state, new.level, new.due, link.commitment, link.link,
        link.salt, new.who, new.reason, json.dumps(new.asserted) if new.asserted else None,
    )  # fmt: skip
    return link.seq


def linked(row: Mapping[str, Any]) -> Linked:
    """A row of ``call_journal``, or of ``all_accesses``."""
    fields, salt = (None, None) if row["fields"] is None else entry_fields(row["fields"], row["salt"])
    return Linked(
        row["seq"], row["at"], row["event"], bytes(row["commitment"]), bytes(row["link"]), fields, salt
    )


def entry_fields(kept: str, salt: bytes) -> tuple[Mapping[str, str], bytes | None]:
    """:func:`chain.entry_fields` of fields in PostgreSQL's JSON."""
    try:
        return chain.entry_fields(json.loads(kept), salt)
    except (ValueError, RecursionError):
        # a number with more digits, or lists nested deeper, than Python reads
        return {}, None


def request_linked(row: Mapping[str, Any]) -> Linked:
    """A row of ``request_journal``."""
    asserted, salt = (
        ({}, row["salt"]) if row["asserted"] is None else entry_fields(row["asserted"], row["salt"])
    )
    told = {**asserted, "who": row["who"], "reason": row["reason"]}
    return Linked(
        row["seq"], row["at"], chain.request_event(row["state"], row["level"], row["due"]),
        bytes(row["commitment"]), bytes(row["link"]), None if row["salt"] is None else told, salt,
    )  # fmt: skip
