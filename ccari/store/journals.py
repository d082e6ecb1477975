"""The journals of calls and of requests, in PostgreSQL."""

import asyncio
import contextlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from ccari.errors import RefusedError, StoreError
from ccari.gating.journal import entry
from ccari.policy import chain
from ccari.policy.chain import Entry, Linked
from ccari.store.database import Connection, Database
from ccari.store.queries import SQL

#: Calls whose journals' ends are remembered: more than one Asterisk has at a time, in some 400 bytes each.
MOST_ENDS = 10_000


@dataclass(frozen=True, slots=True)
class End:
    """How many entries a journal has, and the last one's link."""

    events: int
    link: bytes


class Journals:
    """The journals of calls; each write is one statement, with what the entries are about.

    It remembers where each journal ended when it was last written here, and the statement changes nothing where it has gone
    on since. Then the call's row is held, and its end is read. What is not known to be committed is not remembered: whoever
    comes again with the same entries finds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ends: OrderedDict[UUID, End] = OrderedDict()

    def begin(self, call_id: UUID) -> None:
        """A call's row was made."""
        self._remember(call_id, End(0, chain.start(call_id)))

    async def write(self, call_id: UUID, entries: Sequence[Entry], about: str = "go_on", *more: Any) -> bool:
        """Put ``entries`` at the end of the call's journal by the statement ``about``, in a transaction of its own.

        ``more``: the statement's arguments after those of the entries. The same entries a second time are none. False if
        the statement's own conditions are not met: nothing is written.

        Raises
        ------
        RefusedError
            If there is no such call to write entries of.
        StoreError
            If the database fails.
        """
        if await self.write_as_known(call_id, entries, about, *more):
            return True
        async with self.transaction() as within:
            return await within.hold_and_write(call_id, entries, about, *more)

    async def write_as_known(self, call_id: UUID, entries: Sequence[Entry], about: str, *more: Any) -> bool:
        """As :meth:`write`; but False as well if the journal does not end where it did when it was last written here."""
        if (end := self._ends.get(call_id)) is None:
            return False
        async with self._database.connection() as connection:
            moved = await _written(connection, call_id, end, entries, about, more)
        if moved is None:
            return False
        self._remember(call_id, moved)
        return True

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["Within"]:
        async with self._database.transaction() as connection:
            within = Within(connection, self._ends)
            yield within
        for call_id, end in within.moved.items():
            self._remember(call_id, end)

    def forget(self, call_id: UUID) -> None:
        """A call is over: what comes later still, a recording say, holds the row and reads the end."""
        self._ends.pop(call_id, None)

    def _remember(self, call_id: UUID, end: End) -> None:
        self._ends[call_id] = end
        self._ends.move_to_end(call_id)
        if len(self._ends) > MOST_ENDS:
            self._ends.popitem(last=False)


class Within:
    """Journals in one transaction with other things. ``moved``: where those that were written end, once it is committed."""

    def __init__(self, connection: Connection, ends: Mapping[UUID, End]) -> None:
        self.connection = connection
        self.moved: dict[UUID, End] = {}
        self._ends = ends

    async def write(self, call_id: UUID, entries: Sequence[Entry], about: str = "go_on", *more: Any) -> bool:
        """As :meth:`Journals.write`."""
        end = self.moved.get(call_id) or self._ends.get(call_id)
        return (end is not None and await self._written(call_id, end, entries, about, more)) or (
            await self.hold_and_write(call_id, entries, about, *more)
        )

    async def hold_and_write(
        self, call_id: UUID, entries: Sequence[Entry], about: str = "go_on", *more: Any
    ) -> bool:
        """The same, whatever is remembered: the call's row is held from now on."""
        end = await _held(self.connection, call_id, entries)
        if end is None:
            return False
        new = await _unknown(self.connection, call_id, entries)
        return await self._written(call_id, end, new, about, more)

    async def _written(
        self, call_id: UUID, end: End, entries: Sequence[Entry], about: str, more: Sequence[Any]
    ) -> bool:
        moved = await _written(self.connection, call_id, end, entries, about, more)
        if moved is None:
            return False
        self.moved[call_id] = moved
        return True


async def append(connection: Connection, call_id: UUID, event: str, fields: Mapping[str, str]) -> None:
    """Go on with the journal of a call, in the transaction that ``connection`` is in.

    Raises
    ------
    StoreError
        If there is no such call.
    """
    await write(connection, call_id, [entry(event, fields)])


async def write(
    connection: Connection, call_id: UUID, entries: Sequence[Entry], about: str = "go_on", *more: Any
) -> None:
    """:meth:`Within.hold_and_write` for who comes once: the call's row is held from now on."""
    await Within(connection, {}).hold_and_write(call_id, entries, about, *more)


async def append_to_each(connection: Connection, entries: Mapping[UUID, Sequence[Entry]]) -> None:
    """Go on with the journals of many calls by one statement, in the transaction that ``connection`` is in.

    Raises
    ------
    RefusedError
        If there is no such call, or somebody has changed the journal of one.
    """
    ends = await connection.fetch(SQL["lock_journals"], list(entries))
    if len(ends) != len(entries):
        raise RefusedError("a call to go on with the journal of is not there")
    # hashing some hundred entries would keep the running calls waiting
    await connection.execute(SQL["append_to_journals"], *await asyncio.to_thread(_followed, ends, entries))


def _followed(
    ends: Sequence[asyncpg.Record], entries: Mapping[UUID, Sequence[Entry]]
) -> Sequence[Sequence[Any]]:
    calls, moved, linked = [], [], []
    for end in ends:
        new = chain.follow(bytes(end["last_link"]), end["events"], entries[end["id"]])
        calls += [end["id"]] * len(new)
        linked += new
        moved.append((end["id"], new[-1].seq, new[-1].link))
    return [
        calls, [each.seq for each in linked], [each.at for each in linked], [each.event for each in linked],
        [each.commitment for each in linked], [each.link for each in linked], [each.salt for each in linked],
        [json.dumps(dict(each.fields or {})) for each in linked], *map(list, zip(*moved, strict=True)),
    ]  # fmt: skip


async def _held(connection: Connection, call_id: UUID, entries: Sequence[Entry]) -> End | None:
    # apart from what follows, which must see what another transaction has written that held the row
    row = await connection.fetchrow(SQL["lock_chain"], call_id)
    if row is None:
        if entries:
            raise RefusedError(f"there is no call {call_id}")
        return None
    return End(row["events"], bytes(row["last_link"]))


async def _unknown(connection: Connection, call_id: UUID, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Entries may come a second time: who gives them does not know that they are durable when the reply was lost."""
    if not entries:
        return ()
    rows = await connection.fetch(SQL["known_entries"], call_id, [each.commitment for each in entries])
    known = {bytes(row["commitment"]) for row in rows}
    return [each for each in entries if each.commitment not in known]


async def _written(
    connection: Connection,
    call_id: UUID,
    end: End,
    entries: Sequence[Entry],
    about: str,
    more: Sequence[Any],
) -> End | None:
    """Where the journal ends now; None if it did not end there, or the statement's own conditions are not met."""
    linked = chain.follow(end.link, end.events, entries)
    moved = End(linked[-1].seq, linked[-1].link) if linked else end
    done = await connection.fetchval(
        SQL[about], call_id, moved.events, moved.link, end.events, end.link,
        [each.seq for each in linked], [each.at for each in linked], [each.event for each in linked],
        [each.commitment for each in linked], [each.link for each in linked], [each.salt for each in linked],
        [orjson.dumps(dict(each.fields or {})).decode() for each in linked], *more,
    )  # fmt: skip
    return None if done is None else moved


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
    (new,) = chain.follow(before, held["events"], [entry(event, {"who": who, "reason": reason}, held["at"])])
    await connection.execute(
        SQL["add_request_event"], reference, new.seq, new.at, state, level, due, new.commitment, new.link,
        new.salt, who, reason,
    )  # fmt: skip
    return new.seq


def linked(row: Mapping[str, Any]) -> Linked:
    """A row of ``call_journal``."""
    fields, salt = (None, None) if row["fields"] is None else as_told(row["fields"], row["salt"])
    return Linked(
        row["seq"], row["at"], row["event"], bytes(row["commitment"]), bytes(row["link"]), fields, salt
    )


def as_told(kept: str, salt: bytes) -> tuple[Mapping[str, str], bytes | None]:
    """As :func:`chain.as_told`, of fields as PostgreSQL gives them."""
    try:
        return chain.as_told(json.loads(kept), salt)
    except (ValueError, RecursionError):
        # a number of more digits, or lists within lists deeper, than Python reads
        return {}, None


def request_linked(row: Mapping[str, Any]) -> Linked:
    """A row of ``request_journal``."""
    told = {"who": row["who"], "reason": row["reason"]}
    return Linked(
        row["seq"], row["at"], chain.request_event(row["state"], row["level"], row["due"]),
        bytes(row["commitment"]), bytes(row["link"]), None if row["salt"] is None else told, row["salt"],
    )  # fmt: skip
