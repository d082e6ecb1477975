"""The rows of recordings, from the tag to the file."""

import itertools
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ccari.errors import StoreError, UnknownError
from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import MOST_MINUTES
from ccari.policy.chain import Entry, entry_fields
from ccari.policy.recording import RecordingMode, RecordingState, stops_recording
from ccari.policy.rights import Right
from ccari.ports.recordings import InPlace, RecordingTag, StoredFile, ToldOtherwise, Unfinished
from ccari.store.database import Database
from ccari.store.journals import Journals
from ccari.store.queries import SQL

#: How long after its tag, or after its call was last handed over to a colleague, a recording must have ended: as long as a leg may live,
#: and an hour for the end to be noticed.
ENDED_WITHIN = timedelta(minutes=MOST_MINUTES, hours=1)
#: Three columns: a right, and the legal basis and mode of the recordings that it stops.
_STOPPING = tuple(
    zip(
        *(each for each in itertools.product(Right, LegalBasis, RecordingMode) if stops_recording(*each)),
        strict=True,
    )
)


class Recordings:
    """:class:`ccari.ports.recordings.RecordingStore` and ``Backlog`` on PostgreSQL."""

    def __init__(self, database: Database, journals: Journals) -> None:
        self._database = database
        self._journals = journals

    async def tag(self, tag: RecordingTag, journal: Sequence[Entry]) -> None:
        """Commit the tag. The database refuses it until the notice was heard and, in ``opt_in``, agreement is on record.

        Raises StoreError.
        """
        if not await self._journals.write(
            tag.call_id, journal, "tag_recording", tag.recording_id, tag.purpose, tag.legal_basis, tag.mode,
            tag.delete_at, tag.channels,
        ):  # fmt: skip
            raise StoreError(
                "a recording cannot be tagged before the notice was heard, or in opt_in before the key that agrees to it"
            )

    async def started(self, recording_id: UUID, at: datetime, lead_ms: int = 0) -> None:
        await self._database.execute(SQL["recording_started"], recording_id, at, lead_ms)

    async def keep_until(self, recording_id: UUID, at: datetime) -> None:
        await self._database.execute(SQL["recording_keep_until"], recording_id, at)

    async def kept_until(self, recording_id: UUID) -> datetime | None:
        found = await self._unfinished("unfinished_recording", recording_id, *_STOPPING)
        return found[0].until if found else None

    async def end_seen(self, recording_id: UUID, at: datetime) -> None:
        await self._database.execute(SQL["recording_end_seen"], recording_id, at)

    async def finished(self, tag: RecordingTag, until: datetime | None, journal: Sequence[Entry]) -> None:
        await self._journals.write(tag.call_id, journal, "recording_finished", tag.recording_id, until)

    async def stored(self, tag: RecordingTag, kept: StoredFile, journal: Sequence[Entry]) -> None:
        await self._journals.write(tag.call_id, journal, "recording_stored", *_stored(tag, kept))

    async def ended(self, tag: RecordingTag, state: RecordingState, journal: Sequence[Entry]) -> None:
        await self._journals.write(tag.call_id, journal, "recording_ended", tag.recording_id, state)

    async def taken_up(self, tag: RecordingTag) -> bool:
        async with self._database.transaction() as connection:
            # an erasure or expiry locks the call's row before it looks for lost recordings
            await connection.execute(SQL["lock_chain"], tag.call_id)
            return await connection.fetchval(SQL["take_up_recording"], tag.recording_id) is not None

    async def stored_first(self, tag: RecordingTag, kept: StoredFile, journal: Sequence[Entry]) -> bool:
        async with self._journals.transaction() as transaction:
            if await transaction.connection.fetchval(SQL["hold_unstored"], tag.recording_id) is None:
                return False
            return await transaction.write(tag.call_id, journal, "recording_stored", *_stored(tag, kept))

    async def given_up(self, tag: RecordingTag, state: RecordingState, journal: Sequence[Entry]) -> bool:
        async with self._journals.transaction() as transaction:
            if await transaction.connection.fetchval(SQL["hold_unended"], tag.recording_id) is None:
                return False
            return await transaction.write(tag.call_id, journal, "recording_ended", tag.recording_id, state)

    async def late(self) -> int:
        return sum(row["late"] for row in await self._database.rows(SQL["unfinished_by_state"], ENDED_WITHIN))

    async def unfinished(self, asterisk: str) -> list[Unfinished]:
        return await self._unfinished(
            "unfinished_recordings", asterisk, *_STOPPING, [RecordingState.TAGGED, RecordingState.RECORDING]
        )

    async def waiting_on(self, asterisk: str) -> list[Unfinished]:
        return await self._unfinished(
            "unfinished_recordings", asterisk, *_STOPPING, [RecordingState.FINISHED]
        )

    async def waiting(self, recording_ids: Sequence[UUID]) -> list[Unfinished]:
        return await self._unfinished("waiting_recordings", recording_ids, *_STOPPING)

    async def deserted(self, but: Sequence[UUID]) -> list[Unfinished]:
        # if there may be any, it reads a week of calls
        rows = await self._database.rows(SQL["deserted_recordings"], but, *_STOPPING, outside_pool=True)
        return [_unfinished(**row) for row in rows]

    async def settled(self, recording_ids: Sequence[UUID]) -> list[UUID]:
        return [row["id"] for row in await self._database.rows(SQL["settled_recordings"], recording_ids)]

    async def in_place(self, recording_id: UUID) -> InPlace:
        """One recording that is stored.

        Raises
        ------
        UnknownError
            If none is stored by that id.
        """
        rows = await self._database.rows(SQL["recordings_in_place"], recording_id, *_STOPPING)
        if not rows:
            raise UnknownError(f"no recording {recording_id} is stored: see ccari recordings list")
        return _in_place(**rows[0])

    async def kept(self, recording_ids: Sequence[UUID]) -> set[UUID]:
        """The given recordings that have a file in place, or may still get one."""
        rows = await self._database.rows(SQL["kept_recordings"], recording_ids)
        return {row["id"] for row in rows}

    async def count_in_place(self) -> int:
        return int(await self._database.value(SQL["count_recordings_in_place"], outside_pool=True))

    async def all_in_place(self) -> AsyncGenerator[list[InPlace], None]:
        """All stored recordings, the oldest first, in batches."""
        async for rows in self._database.stream(SQL["recordings_in_place"], None, *_STOPPING):
            yield [_in_place(**row) for row in rows]

    async def told_otherwise(self) -> AsyncGenerator[list[ToldOtherwise], None]:
        """Recordings whose row and whose call's journal disagree on how they ended, in batches."""
        async for rows in self._database.stream(SQL["recordings_told_otherwise"]):
            yield [ToldOtherwise(**row) for row in rows]

    async def _unfinished(self, query: str, *arguments: Any) -> list[Unfinished]:
        return [_unfinished(**row) for row in await self._database.rows(SQL[query], *arguments)]


def _stored(tag: RecordingTag, kept: StoredFile) -> tuple[Any, ...]:
    return (
        tag.recording_id, kept.file, kept.format, kept.duration_ms, kept.sha256, kept.size, kept.file_sha256,
        list(kept.recipients), kept.silent, tag.started_at,
    )  # fmt: skip


def _unfinished(
    *,
    begun: bool,
    until: datetime | None,
    ended: datetime | None,
    lead_ms: int,
    told_lost: bool = False,
    **tag: Any,
) -> Unfinished:
    return Unfinished(RecordingTag(**tag), begun, until, ended, lead_ms, told_lost)


_FILE_COLUMNS = ("file", "format", "duration_ms", "sha256", "size", "file_sha256", "silent")


def _in_place(*, recipients: list[str], told: str, until: datetime | None, **columns: Any) -> InPlace:
    of_file = {name: columns.pop(name) for name in _FILE_COLUMNS}
    entries = defaultdict[str, list[Mapping[str, str]]](list)
    for event, fields in json.loads(told):
        entries[event].append(entry_fields(fields, None)[0])
    kept = StoredFile(**of_file, recipients=tuple(recipients))
    return InPlace(RecordingTag(**columns), kept, entries, until)
