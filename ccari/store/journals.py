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

#: Calls whose journals' ends are remembered: more than one Asterisk has at a time, in some 400 bytes each.
MOST_ENDS = 10_000


@dataclass(frozen=True, slots=True)
class End:
    """How many entries a journal has, and the last one's link."""

    events: int
    link: bytes


class Journals:
    """The journals of calls. A write is one SQL statement that appends entries to a journal and does what they are about.

    The optimistic way: the end of each journal is remembered as it was last written here, and the statement changes nothing
    if the journal has been written elsewhere since. Only then is the call's row locked and its end read. An end is remembered
    once it is known to be committed. So entries may come twice, after a lost reply; those that are there already are left out.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ends: dict[UUID, End] = {}

    def begin(self, call_id: UUID) -> None:
        """A call's row was made, with an empty journal."""
        self._remember(call_id, End(0, chain.start(call_id)))

    async def write(
        self, call_id: UUID, entries: Sequence[Entry], statement: str = "add_entries", *arguments: Any
    ) -> bool:
        """Append ``entries`` to the call's journal by the SQL ``statement`` of that name, in a transaction of its own.

        ``arguments``: the statement's own, after those of the entries. Entries that are in the journal already are left out.
        False if the statement's own conditions are not met: then nothing is written.

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
        """As :meth:`write`, but without a lock: also False if the journal does not end where it is remembered to."""
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
        """A transaction that writes journals and other things; the journals' new ends are remembered once it is committed."""
        async with self._database.transaction() as connection:
            transaction = JournalTransaction(connection, self._ends)
            yield transaction
        for call_id, end in transaction.new_ends.items():
            self._remember(call_id, end)

    def forget(self, call_id: UUID) -> None:
        """A call is over. What is still written to its journal, of a recording say, locks the row."""
        self._ends.pop(call_id, None)

    def _remember(self, call_id: UUID, end: End) -> None:
        self._ends[call_id] = end
        if len(self._ends) > MOST_ENDS:
            # of the call that began first
            del self._ends[next(iter(self._ends))]


class JournalTransaction:
    """Journals written in one transaction with other things. ``remembered``: ends of journals, as :class:`Journals` has them;
    ``new_ends``: of those that were written here, true once the transaction is committed.
    """

    def __init__(self, connection: Connection, remembered: Mapping[UUID, End]) -> None:
        self.connection = connection
        self.new_ends: dict[UUID, End] = {}
        self._remembered = remembered

    async def write(
        self, call_id: UUID, entries: Sequence[Entry], statement: str = "add_entries", *arguments: Any
    ) -> bool:
        """As :meth:`Journals.write`."""
        end = self.new_ends.get(call_id) or self._remembered.get(call_id)
        return (end is not None and await self._append(call_id, end, entries, statement, arguments)) or (
            await self.lock_and_write(call_id, entries, statement, *arguments)
        )

    async def lock_and_write(
        self, call_id: UUID, entries: Sequence[Entry], statement: str = "add_entries", *arguments: Any
    ) -> bool:
        """As :meth:`write`, whatever is remembered: lock the call's row, and read where its journal ends."""
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
    """Append one entry to the journal of a call, in the transaction that ``connection`` is in.

    Raises
    ------
    StoreError
        If there is no such call.
    """
    await write(connection, call_id, [entry(event, fields)])


async def write(
    connection: Connection, call_id: UUID, entries: Sequence[Entry], statement: str = "add_entries", *arguments: Any,
) -> None:  # fmt: skip
    """:meth:`JournalTransaction.lock_and_write`, in the transaction that ``connection`` is in."""
    await JournalTransaction(connection, {}).lock_and_write(call_id, entries, statement, *arguments)


async def append_to_each(connection: Connection, entries: Mapping[UUID, Sequence[Entry]]) -> None:
    """Append to the journals of many calls by one statement, in the transaction that ``connection`` is in.

    Raises
    ------
    RefusedError
        If there is no such call, or somebody has changed the journal of one.
    """
    ends = await connection.fetch(SQL["lock_journals"], list(entries))
    if len(ends) != len(entries):
        raise RefusedError("the call whose journal was to be continued does not exist")
    # hashing some hundred entries would keep the running calls waiting
    await connection.execute(SQL["append_to_journals"], *await asyncio.to_thread(_linked_to, ends, entries))


def _linked_to(
    ends: Sequence[asyncpg.Record], entries: Mapping[UUID, Sequence[Entry]]
) -> Sequence[Sequence[Any]]:
    """The statement's arguments: a list for each column of the new entries, then of the journals' new ends."""
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
    """Lock the call's row and give where its journal ends. None if there is no such call, which ``entries`` do not allow."""
    # a statement of its own, so that the next one sees what the transaction has written that held the lock before
    row = await connection.fetchrow(SQL["lock_chain"], call_id)
    if row is None:
        if entries:
            raise NoCallError(f"there is no call {call_id}")
        return None
    return End(row["events"], bytes(row["last_link"]))


async def _not_there_yet(connection: Connection, call_id: UUID, entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries without those that the journal has already: if the reply to a write is lost, they come a second time."""
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
    """Append to a journal that ends at ``end``, and give its new end.

    None if it does not end there, or the statement's own conditions are not met: then nothing is written.
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
    """New entries as the SQL ``given`` reads them."""
    return orjson.dumps([
        {
            "seq": each.seq, "at": each.at, "event": each.event, "commitment": bytea(each.commitment),
            "link": bytea(each.link), "salt": each.salt and bytea(each.salt), "fields": dict(each.fields or {}),
        }
        for each in entries
    ]).decode()  # fmt: skip


async def append_to_request(
    connection: Connection, reference: str, state: str, level: int, due: date, who: str, reason: str,
    asserted: Mapping[str, str] | None = None,
) -> int:  # fmt: skip
    """Append an entry to the journal of a request, whose row is locked from now on; gives the entry's number.

    ``state``, ``level`` and ``due`` stay for good; ``who``, ``reason`` and ``asserted`` can be erased. ``asserted``: in the first
    entry, what the request's row says of what was asked for (:data:`chain.OF_REQUEST`).

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
    (new,) = chain.follow(
        before, held["events"], [entry(event, {**(asserted or {}), "who": who, "reason": reason}, held["at"])]
    )
    await connection.execute(
        SQL["add_request_event"], reference, new.seq, new.at, state, level, due, new.commitment, new.link,
        new.salt, who, reason, json.dumps(asserted) if asserted else None,
    )  # fmt: skip
    return new.seq


def linked(row: Mapping[str, Any]) -> Linked:
    """A row of ``call_journal``, or of ``all_accesses``."""
    fields, salt = (None, None) if row["fields"] is None else entry_fields(row["fields"], row["salt"])
    return Linked(
        row["seq"], row["at"], row["event"], bytes(row["commitment"]), bytes(row["link"]), fields, salt
    )


def entry_fields(kept: str, salt: bytes) -> tuple[Mapping[str, str], bytes | None]:
    """As :func:`chain.entry_fields`, of fields as PostgreSQL gives them."""
    try:
        return chain.entry_fields(json.loads(kept), salt)
    except (ValueError, RecursionError):
        # a number of more digits, or lists within lists deeper, than Python reads
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
