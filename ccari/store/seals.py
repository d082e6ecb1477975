"""Seals over journals, and the account of one call or request as evidence."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ccari.counting import counted
from ccari.errors import EvidenceError, UnknownError
from ccari.policy import chain, merkle
from ccari.policy.chain import Linked
from ccari.policy.rights import EFFECTS, Right
from ccari.policy.seal import Kind, Leaf, Sealed, Statement
from ccari.ports.evidence import Account, LateEntry, Revision, Seal, SealedIn, Sign, TimeStamp
from ccari.store import journals
from ccari.store.accesses import Accesses
from ccari.store.database import STREAM_ROWS, Connection, Database
from ccari.store.queries import SQL

_MARKS = {
    Kind.CALL: "calls_sealed",
    Kind.REQUEST: "requests_sealed",
    Kind.ACCESSES: "accesses_sealed",
}
#: A time stamp counts for a seal if it came fewer than this many seals later: some two weeks' worth, and 6 MB of JSON in a pack. A later
#: one proves little about the time; and the pack of a call from years before an authority was configured would be too large to read.
MOST_BETWEEN = 20_000
_NO_BAR = "the bar that it entered is missing or was limited, and nobody has lifted it"
#: Columns left out of an account's subject, since the account has them elsewhere.
_NOT_IN_SUBJECT = frozenset({"events", "last_link"})


class Seals:
    """:class:`ccari.ports.evidence.AccountStore`, ``NumberedSeals`` and ``SealRecords`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seal(self, sign: Sign, most: int) -> int:
        return await self._seal(sign, "to_seal", most)

    async def seal_one(self, sign: Sign, kind: Kind, of: str) -> bool:
        return await self._seal(sign, "one_to_seal", kind, of) > 0

    async def newest(self) -> tuple[int, Statement] | None:
        rows = await self._database.rows(SQL["last_seal"])
        return (rows[0]["id"], statement(rows[0])) if rows else None

    async def numbered(self, number: int) -> Statement | None:
        rows = await self._database.rows(SQL["numbered_seal"], number)
        return statement(rows[0]) if rows else None

    async def _seal(self, sign: Sign, which: str, *arguments: Any) -> int:
        async with self._database.transaction() as connection:
            await connection.execute(SQL["seal_lock"])
            rows = await connection.fetch(SQL[which], *arguments)
            if not rows:
                return 0
            leaves = sorted((_leaf(dict(row)) for row in rows), key=lambda each: (each.kind, each.id))
            last = await connection.fetchrow(SQL["last_seal"])
            # in a thread: so many hashes would hold up calls
            seal = await asyncio.to_thread(sign, leaves, statement(dict(last)) if last else None)
            signed = seal.statement
            number = await connection.fetchval(
                SQL["add_seal"],
                signed.sealed_at,
                signed.leaves,
                signed.root,
                signed.before,
                signed.key,
                seal.signature,
            )
            await connection.execute(
                SQL["add_sealed"], number, list(range(len(leaves))), [each.kind for each in leaves],
                [each.id for each in leaves], [each.events for each in leaves], [each.link for each in leaves],
            )  # fmt: skip
            for kind in Kind:
                of_kind = [each for each in leaves if each.kind is kind]
                await connection.execute(
                    SQL[_MARKS[kind]], [each.id for each in of_kind], [each.events for each in of_kind]
                )
        return len(leaves)

    async def all(self) -> AsyncIterator[tuple[Seal, list[Leaf]]]:
        seal, leaves, number = None, list[Leaf](), None
        async for rows in self._database.stream(SQL["all_seals"]):
            for row in rows:
                if row["seal"] != number:
                    if seal is not None:
                        yield seal, leaves
                    seal, leaves, number = Seal(statement(row), bytes(row["signature"])), [], row["seal"]
                if row["id"] is not None:
                    leaves.append(_leaf(row))
        if seal is not None:
            yield seal, leaves

    async def time_stamps(self) -> AsyncIterator[tuple[TimeStamp, datetime]]:
        async for rows in self._database.stream(SQL["all_time_stamps"]):
            for row in rows:
                yield TimeStamp([statement(row)], bytes(row["response"]), row["at"]), row["since"]

    async def broken(self) -> AsyncIterator[tuple[Kind, str, datetime | None]]:
        async for rows in self._database.stream(SQL["not_as_sealed"]):
            for row in rows:
                yield Kind(row["kind"]), row["id"], row["sealed_at"]
        async for rows in self._database.stream(SQL["marked_as_sealed"]):
            for row in rows:
                yield Kind(row["kind"]), row["id"], None

    async def latest(self) -> LateEntry | None:
        found = [row async for rows in self._database.stream(SQL["sealed_latest"]) for row in rows]
        return LateEntry(**{**found[0], "kind": Kind(found[0]["kind"])}) if found else None

    async def journals(self) -> AsyncIterator[tuple[Kind, str, str | None]]:
        """The journals are read in batches. If a policy revision was changed, the fault is reported on the first call made under it."""
        policies, untold = _Policies(self._database), await self._recordings_untold()
        async for rows in _by_journal(self._database.stream(SQL["all_call_journals"])):
            entries = _entries(rows, journals.linked)
            fault = _fault(rows, chain.start(UUID(rows[0]["id"])), entries) or chain.fault_of_call(
                entries, rows[0]
            )
            fault = fault or untold.get(rows[0]["id"])
            yield Kind.CALL, rows[0]["id"], fault or await policies.fault(entries)
        barless = await self._barless()
        async for rows in _by_journal(self._database.stream(SQL["all_request_journals"])):
            reference = rows[0]["id"]
            yield (
                Kind.REQUEST,
                reference,
                _fault_of_request(rows) or (_NO_BAR if reference in barless else None),
            )
        _, fault = await Accesses(self._database).fault()
        yield Kind.ACCESSES, Kind.ACCESSES, fault

    async def _recordings_untold(self) -> dict[str, str]:
        """By the ids of calls: what their journal says otherwise about a recording than its row, in words."""
        return {
            row["call"]: f"recording {row['recording']} is in the journal, but has no row"
            if row["missing"]
            else f"recording {row['recording']} is deleted, but the journal does not say so"
            async for rows in self._database.stream(SQL["recordings_untold"])
            for row in rows
        }

    async def _barless(self) -> set[str]:
        """The references of requests whose bar is gone: whoever can write to the database could have a person called again."""
        bars = {right.value: effect.suppress.value for right, effect in EFFECTS.items() if effect.suppress}
        found = self._database.stream(SQL["requests_without_bar"], list(bars), list(bars.values()))
        return {row["reference"] async for rows in found for row in rows}

    async def of_call(self, call_id: UUID) -> Account:
        async with self._database.snapshot() as connection:
            call = await connection.fetchrow(SQL["evidence_of_call"], call_id)
            if call is None:
                raise UnknownError(f"there is no call {call_id}")
            rows = await connection.fetch(SQL["call_journal"], call_id)
            return Account(
                Kind.CALL, str(call_id), chain.start(call_id), _subject(dict(call)),
                [journals.linked(dict(row)) for row in rows],
                await _seals(connection, Kind.CALL, str(call_id)), await _revision(connection, call["revision"]),
                recordings=[dict(row) for row in await connection.fetch(SQL["evidence_recordings"], call_id)],
                consents=[dict(row) for row in await connection.fetch(SQL["evidence_consents"], call_id)],
                time_stamps=await _time_stamps(connection, Kind.CALL, str(call_id)),
            )  # fmt: skip

    async def of_request(self, reference: str) -> Account:
        async with self._database.snapshot() as connection:
            request = await connection.fetchrow(SQL["evidence_of_request"], reference)
            if request is None:
                raise UnknownError(f"there is no request {reference!r}: see ccari requests list")
            rows = await connection.fetch(SQL["request_journal"], reference)
            reason = EFFECTS[Right(request["right"])].suppress
            return Account(
                Kind.REQUEST, reference, chain.start_of_request(reference), _subject(dict(request)),
                [journals.request_linked(dict(row)) for row in rows],
                await _seals(connection, Kind.REQUEST, reference), await _revision(connection, request["revision"]),
                bars=[dict(row) for row in await connection.fetch(SQL["evidence_bars"], reference, reason)],
                time_stamps=await _time_stamps(connection, Kind.REQUEST, reference),
            )  # fmt: skip


async def sealed(connection: Connection, kind: Kind, of: str) -> list[Sealed]:
    """How far a journal is sealed: each of its leaves with the time of the seal."""
    rows = await connection.fetch(SQL["sealed_of"], kind, of)
    return [(_leaf(dict(row)), row["sealed_at"]) for row in rows]


async def _by_journal(batches: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[list[dict[str, Any]]]:
    """Groups rows by journal; they must come in the order of their journals."""
    journal: list[dict[str, Any]] = []
    async for rows in batches:
        for row in rows:
            if journal and journal[0]["id"] != row["id"]:
                yield journal
                journal = []
            journal.append(row)
    if journal:
        yield journal


class _Policies:
    """Checks that policy revisions are unchanged since calls were made under them. Reports each changed revision once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hashes: dict[str, str] = {}
        self._told: set[str] = set()

    async def fault(self, journal: Sequence[Linked]) -> str | None:
        """Says, in words, that the revision under which the call was made has changed; None if it has not, or was reported."""
        revision, sha256 = chain.policy_of_call(journal) or ("", "")
        if revision in self._told or not sha256:
            return None
        if revision not in self._hashes:
            # it may have been applied after they were read
            async for rows in self._database.stream(SQL["hashes_of_policies"]):
                self._hashes |= {str(row["revision"]): row["sha256"] for row in rows}
        fault = chain.fault_of_policy(journal, self._hashes.get(revision))
        if fault is not None:
            self._told.add(revision)
        return fault


def _fault_of_request(rows: Sequence[Mapping[str, Any]]) -> str | None:
    entries, row = _entries(rows, journals.request_linked), rows[0]
    fault = _fault(rows, chain.start_of_request(row["id"]), entries)
    now = {name.removeprefix("now_"): value for name, value in row.items() if name.startswith("now_")}
    on_request = any(each["erased"] for each in rows)
    return (
        fault
        or chain.fault_of_request(entries, now)
        or chain.fault_of_erased_request(entries, on_request=on_request)
    )


def _entries(
    rows: Sequence[Mapping[str, Any]], linked: Callable[[Mapping[str, Any]], Linked]
) -> list[Linked]:
    return [linked(row) for row in rows if row["seq"] is not None]


def _fault(rows: Sequence[Mapping[str, Any]], begins: bytes, entries: Sequence[Linked]) -> str | None:
    return chain.fault(begins, entries, count=rows[0]["count"], last=bytes(rows[0]["last"] or begins))


async def _seals(connection: Connection, kind: Kind, of: str) -> list[SealedIn]:
    found = []
    for row in await connection.fetch(SQL["seals_of"], kind, of):
        leaves = [_leaf(dict(each)) for each in await connection.fetch(SQL["leaves_of"], row["seal"])]
        if row["leaf"] >= len(leaves):
            raise EvidenceError(
                f"seal {row['seal']} has {counted(len(leaves), 'journal')}, and not the one that names it"
            )
        # in a thread: a seal may have a thousand leaves, and a journal many seals
        path = await asyncio.to_thread(_path, leaves, row["leaf"])
        seal = Seal(statement(dict(row)), bytes(row["signature"]))
        found.append(SealedIn(seal, leaves[row["leaf"]], row["leaf"], path))
    return found


def _path(leaves: Sequence[Leaf], index: int) -> list[bytes]:
    return merkle.inclusion([each.canonical for each in leaves], index)


async def _time_stamps(connection: Connection, kind: Kind, of: str) -> list[TimeStamp]:
    return [
        TimeStamp(await _between(connection, row["first"], row["seal"]), bytes(row["response"]), row["at"])
        for row in await connection.fetch(SQL["time_stamps_of"], kind, of, MOST_BETWEEN)
    ]


async def _between(connection: Connection, first: int, last: int) -> list[Statement]:
    """In small batches: a month without an authority leaves some ten thousand, which would hold up calls."""
    cursor, found = await connection.cursor(SQL["seals_between"], first, last), list[Statement]()
    while rows := await cursor.fetch(STREAM_ROWS):
        found += [statement(dict(each)) for each in rows]
    return found


async def _revision(connection: Connection, number: int | None) -> Revision | None:
    if number is None:
        return None
    row = await connection.fetchrow(SQL["policy_revision"], number)
    if row is None:
        return None
    about = {
        "revision": row["revision"], "applied_at": row["applied_at"], "applied_by": row["applied_by"],
        "sha256": bytes(row["sha256"]).hex(),
    }  # fmt: skip
    return Revision(about, row["document"])


def _subject(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _NOT_IN_SUBJECT}


def _leaf(row: Mapping[str, Any]) -> Leaf:
    return Leaf(Kind(row["kind"]), row["id"], row["events"], bytes(row["link"]))


def statement(row: Mapping[str, Any]) -> Statement:
    """The statement of the seal in a row."""
    return Statement(row["sealed_at"], row["leaves"], bytes(row["root"]), bytes(row["before"]), row["key"])
