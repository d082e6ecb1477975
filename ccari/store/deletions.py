"""The deletion of recordings: each decision is committed before it is carried out, so that an interruption loses nothing."""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from ccari.errors import RefusedError
from ccari.gating.journal import entry
from ccari.policy.bases import LegalBasis
from ccari.policy.chain import Entry
from ccari.policy.retention import WITHDRAWING, Why
from ccari.ports.holds import Disposal, Doomed, Held, Judge, StoredRecording
from ccari.store import holds, journals
from ccari.store.database import Connection, Database, in_transaction
from ccari.store.queries import SQL
from ccari.store.translating import translated

_WITHDRAWING = sorted(WITHDRAWING)
_BASES = frozenset(each.value for each in LegalBasis)
#: How many recordings :meth:`Deletions.stored` asks for at once: it uses the pool, with the statement time-out of a call.
_STORED_AT_ONCE = 500


class Deletions:
    """:class:`ccari.ports.holds.Sweeps` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stored(self, recording_ids: Sequence[UUID]) -> dict[UUID, StoredRecording]:
        """The given recordings that are still stored and not about to be deleted, each with everything that holds it.

        A recording whose legal basis was edited in the database is left out.
        """
        found: dict[UUID, StoredRecording] = {}
        for start in range(0, len(recording_ids), _STORED_AT_ONCE):
            async with self._database.connection() as connection:
                rows = await _rows_with_holds(connection, recording_ids[start : start + _STORED_AT_ONCE])
            for row, held in rows:
                with contextlib.suppress(RefusedError):
                    found[row["id"]] = _stored_recording(row, held)
        return found

    @contextlib.asynccontextmanager
    async def sweep(self) -> AsyncIterator["PostgresSweep"]:
        async with self._database.outside_pool() as connection:
            yield PostgresSweep(self._database, connection)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator["PostgresSweep | None"]:
        """The turn is a lock of the connection, so a node that dies releases it."""
        async with self._database.outside_pool() as connection:
            mine = await connection.fetchval(SQL["turn_to_delete"])
            yield PostgresSweep(self._database, connection) if mine else None


class PostgresSweep:
    """:class:`ccari.ports.holds.Sweep` on PostgreSQL."""

    def __init__(self, database: Database, connection: asyncpg.Connection) -> None:
        self._database = database
        self._connection = connection

    async def candidates(self, now: datetime) -> AsyncIterator[list[UUID]]:
        async for rows in self._database.stream(SQL["recordings_perhaps_due"], now, _WITHDRAWING):
            yield [row["id"] for row in rows]

    async def still_stored(self, recording_ids: Sequence[UUID]) -> list[StoredRecording]:
        with translated():
            return await _stored(self._connection, recording_ids)

    async def decide(self, recording_ids: Sequence[UUID], judge: Judge, who: str) -> list[Doomed]:
        with translated():
            async with in_transaction(self._connection):
                await self._connection.execute(SQL["alone_to_delete"])
                stored = await _stored(self._connection, recording_ids)
                doomed = [
                    _doomed(each, disposal, who) for each in stored if (disposal := judge(each)) is not None
                ]
                await self._connection.execute(
                    SQL["decide_deletions"], [each.id for each in doomed], [each.disposal.why for each in doomed],
                    [each.disposal.reference for each in doomed], who,
                )  # fmt: skip
        return doomed

    async def decided(self, limit: int, after: UUID | None = None) -> list[Doomed]:
        with translated():
            rows = await self._connection.fetch(SQL["decided_deletions"], after, limit)
        return [
            Doomed(
                disposal=Disposal(Why(row["why"]), row["reference"]),
                **{name: row[name] for name in _DOOMED_COLUMNS},
            )
            for row in rows
        ]

    async def carried_out(self, doomed: Sequence[Doomed]) -> list[Doomed]:
        if not doomed:
            return []
        with translated():
            async with in_transaction(self._connection):
                ids = [each.id for each in doomed]
                left = {
                    row["recording_id"] for row in await self._connection.fetch(SQL["lock_deletions"], ids)
                }
                # another node may have carried some of them out: each is noted only once
                mine = [each for each in doomed if each.id in left]
                if mine:
                    await _note_deletions(self._connection, mine, datetime.now(UTC))
                    await self._connection.execute(SQL["deletions_carried_out"], [each.id for each in mine])
        return mine


_DOOMED_COLUMNS = ("id", "call_id", "controller", "campaign", "legal_basis", "file", "decided_by")


async def _stored(connection: Connection, recording_ids: Sequence[UUID]) -> list[StoredRecording]:
    return [_stored_recording(row, held) for row, held in await _rows_with_holds(connection, recording_ids)]


async def _rows_with_holds(
    connection: Connection, recording_ids: Sequence[UUID]
) -> list[tuple[asyncpg.Record, list[Held]]]:
    rows = await connection.fetch(SQL["stored_recordings"], list(recording_ids), _WITHDRAWING)
    held = await holds.explain(connection, [row["id"] for row in rows]) if rows else {}
    return [(row, held.get(row["id"], [])) for row in rows]


def _stored_recording(row: asyncpg.Record, held: list[Held]) -> StoredRecording:
    if row["legal_basis"] not in _BASES:
        # the call's journal still has the basis on which it was recorded
        raise RefusedError(f"somebody has changed its legal basis: ccari calls show {row['call_id']}")
    return StoredRecording(
        row["id"], row["call_id"], row["controller"], row["campaign"], LegalBasis(row["legal_basis"]),
        row["recorded"], row["delete_at"], row["file"], held,
        (row["withdrawn_at"], row["withdrawn_by"]) if row["withdrawn_at"] else None,
        (row["erased_at"], row["erased_by"]) if row["erased_at"] else None,
    )  # fmt: skip


def _doomed(stored: StoredRecording, disposal: Disposal, who: str) -> Doomed:
    return Doomed(
        stored.id, stored.call_id, stored.controller, stored.campaign, stored.legal_basis.value, stored.file,
        disposal, who,
    )  # fmt: skip


async def _note_deletions(connection: Connection, doomed: Sequence[Doomed], at: datetime) -> None:
    """Append a ``recording_deleted`` entry to each call's journal."""
    of_call: defaultdict[UUID, list[Entry]] = defaultdict(list)
    for each in doomed:
        of_call[each.call_id].append(entry("recording_deleted", _fields(each), at))
    await journals.append_to_each(connection, of_call)


def _fields(doomed: Doomed) -> dict[str, str]:
    reference = {"reference": doomed.disposal.reference} if doomed.disposal.reference else {}
    return {
        "recording": str(doomed.id),
        "why": doomed.disposal.why.value,
        **reference,
        "by": doomed.decided_by,
    }
