"""Recordings as they are stored: a row, a file and its tag."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from ccari.office.deletion_clock import Now, by_the_clock
from ccari.policy.retention import HoldKind
from ccari.policy.seal import Kind
from ccari.ports.calls import OpenedCall
from ccari.recordings.archive import FileArchive
from ccari.recordings.backlog import Caretaker
from ccari.recordings.housekeeping import Housekeeper, Swept
from ccari.recordings.spool import SharedSpool
from ccari.store import holds
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.recordings.made import record
from tests.unit.store import made

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
#: For another's turn to end.
TURN_SECONDS = 30.0
AUDIO = b"age-encryption.org/v1\n"


@dataclass
class Shelf:
    """The recordings folder, with what puts something there and takes it away."""

    store: Store
    database: Database
    folder: Path

    async def call(self, of: OpenedCall | None = None) -> OpenedCall:
        """A call that was opened, with :data:`made.NUMBER` unless another is given."""
        call = of or made.call()
        await self.store.calls.open(call, made.question(call))
        return call

    async def put(
        self, call: OpenedCall | None = None, *, basis: str = "legitimate_interest", recorded: datetime = NOW - 10 * DAY,
        limit: datetime = NOW + 80 * DAY,
    ) -> UUID:  # fmt: skip
        """A stored recording of ``call`` (or of a call of its own); its id."""
        call, recording = call or await self.call(), uuid4()
        place = Path(call.controller) / f"{recorded:%Y-%m-%d}" / f"{recording}.flac.age"
        file = self.folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(AUDIO)
        self.tag_of(file).write_text("{}")
        await self.database.rows(
            """INSERT INTO recordings (id, call_id, revision, controller, campaign, purpose, legal_basis, mode, state, format,
                                       notice_version, delete_at, tagged_at, started_at, file, duration_ms, sha256, file_sha256)
               VALUES ($1, $2, $3, $4, $5, 'p', $6, 'notice', 'stored', 'flac', 'v1', $7, $8, $8, $9, 1000, $10, $10)""",
            recording, call.id, call.revision, call.controller, call.campaign, basis, limit, recorded, str(place),
            bytes(32),
        )  # fmt: skip
        return recording

    async def put_by_another_clock(
        self,
        tagged: datetime,
        *,
        ours: datetime,
        call: OpenedCall | None = None,
        basis: str = "legitimate_interest",
    ) -> UUID:
        """A stored recording of a node whose clock said ``ours`` when the database's said ``tagged``, kept for 90 days; its id."""
        recording = await self.put(call, basis=basis, recorded=ours, limit=ours + 90 * DAY)
        await self.database.rows(
            "UPDATE recordings SET tagged_at = $2 WHERE id = $1 RETURNING 1", recording, tagged
        )
        return recording

    async def lose(self, call: OpenedCall, *, basis: str = "legitimate_interest") -> UUID:
        """A recording of ``call`` that was taken for lost; its id."""
        recording = await self.put(call, basis=basis)
        (row,) = await self.database.rows(
            """UPDATE recordings SET state = 'failed', format = NULL, file = NULL, duration_ms = NULL, sha256 = NULL,
                                     file_sha256 = NULL
               FROM (SELECT file FROM recordings WHERE id = $1) AS lay WHERE id = $1 RETURNING lay.file""",
            recording,
        )
        for each in (file := self.folder / row["file"], self.tag_of(file)):
            each.unlink()
        await self.store.calls.append(
            call.id, "recording_lost", {"recording": str(recording), "reason": "gone"}
        )
        return recording

    @property
    def spool(self) -> Path:
        return self.folder.parent / "spool"

    def mount(self, recording: UUID) -> None:
        """Its raw file is in the spool after all."""
        self.spool.mkdir(exist_ok=True)
        record(self.spool / f"{recording}.wav")

    async def tend(self) -> int:
        spool = SharedSpool(self.spool)
        return await Caretaker(
            spool, FileArchive(spool, self.folder, "wav", tuple), self.store.recordings
        ).tend()

    @staticmethod
    def tag_of(file: Path) -> Path:
        return file.with_name(f"{file.name.partition('.')[0]}.json")

    def keeper(self, now: Now = by_the_clock) -> Housekeeper:
        return Housekeeper(self.store.deletions, self.folder, None, now=now)

    async def round(self, now: Now = by_the_clock) -> Swept:
        async with asyncio.timeout(TURN_SECONDS):
            # PostgreSQL may not have noticed yet that the connection of whoever was killed is gone
            while (swept := await self.keeper(now).round()) is None:
                pass
        return swept

    async def faults(self, of: Kind) -> list[str]:
        """What ``ccari evidence check`` finds in the journals of calls or of requests."""
        return [fault async for kind, _, fault in self.store.seals.journals() if kind is of and fault]

    async def row(self, recording: UUID) -> dict[str, Any]:
        return (await self.database.rows("SELECT * FROM recordings WHERE id = $1", recording))[0]

    async def fate(self, recording: UUID) -> str | None:
        """Why it was deleted, for whose request, and that nothing is left; None if it lies there as before."""
        row = await self.row(recording)
        file = self.folder / row["file"]
        left = [each.exists() for each in (file, self.tag_of(file))]
        told = [
            each["fields"]
            for each in (await self.store.records.show_call(row["call_id"])).events
            if each["event"] == "recording_deleted" and each["fields"]["recording"] == str(recording)
        ]
        assert not await self.database.rows("SELECT FROM deletions WHERE recording_id = $1", recording)
        if row["state"] == "stored":
            assert (left, told, row["deleted_at"]) == ([True, True], [], None)
            return None
        assert (row["state"], left, len(told)) == ("deleted", [False, False], 1)
        assert told[0]["why"] == row["deletion"]
        assert told[0].get("reference", "") == row["deletion_ref"]
        return " ".join(filter(None, (row["deletion"], row["deletion_ref"])))


@pytest.fixture
def shelf(store: Store, database: Database, tmp_path: Path) -> Shelf:
    return Shelf(store, database, tmp_path / "recordings")


def rotated(call: OpenedCall) -> OpenedCall:
    """The same number under a newer secret."""
    newest = bytes(reversed(call.digests.newest))
    return replace(
        call, id=uuid4(), token=uuid4(), keyed=replace(call.digests, newest=newest, key_version=2, all=(*call.digests.all, newest)),
    )  # fmt: skip


async def holds_on(store: Store, recordings: Collection[UUID]) -> dict[UUID, set[HoldKind]]:
    """The kinds of hold on each recording that is held."""
    async with store.database.connection() as connection:
        explained = await holds.explain(connection, recordings)
    return {recording: {each.kind for each in by} for recording, by in explained.items()}
