"""Lists and shows recordings and what holds them, and gives out their encrypted files."""

import os
from collections.abc import AsyncGenerator, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from ccari.errors import RecordingDelayed, RecordingError, UnknownError, why
from ccari.own_threads import OwnThreads
from ccari.policy.recording import RecordingState
from ccari.ports.holds import StoredRecording
from ccari.ports.recordings import InPlace, WantedRecordings
from ccari.recordings.housekeeping import end
from ccari.recordings.listening import Places
from ccari.recordings.reading import below
from ccari.recordings.tags import ENCRYPTED, sidecar_fields

#: Seconds for the folder to open a file or to return a piece of it.
ANSWER_SECONDS = 30.0
_PIECE_BYTES = 256 * 1024


class Rows(Protocol):
    async def page_of_recordings(self, limit: int, wanted: WantedRecordings) -> list[dict[str, Any]]: ...


class Keeping(Protocol):
    async def stored(self, recording_ids: Sequence[UUID]) -> dict[UUID, StoredRecording]: ...


class Shelf:
    """:class:`ccari.ports.recordings.RecordingShelf` over a folder."""

    def __init__(self, rows: Rows, keeping: Keeping, places: Places, folder: Path) -> None:
        self._rows = rows
        self._keeping = keeping
        self._places = places
        self._folder = folder
        self._threads = OwnThreads("ccari-shelf", RecordingDelayed)

    async def page(self, limit: int, wanted: WantedRecordings) -> list[dict[str, Any]]:
        rows = await self._rows.page_of_recordings(limit, wanted)
        stored = await self._keeping.stored(
            [row["id"] for row in rows if row["state"] == RecordingState.STORED]
        )
        return [_with_end(row, stored.get(row["id"])) for row in rows]

    async def show(self, recording: UUID) -> dict[str, Any]:
        rows = await self.page(1, WantedRecordings(recording=recording))
        if not rows:
            raise UnknownError(f"there is no recording {recording}: see ccari recordings list")
        row = rows[0]
        if row["state"] != RecordingState.STORED:
            return {**row, "tag": None}
        try:
            found = await self._places.in_place(recording)
        except UnknownError:
            # it has just been deleted
            return {**row, "tag": None}
        return {**row, "tag": sidecar_fields(found.tag, found.kept)}

    async def encrypted(self, recording: UUID) -> tuple[InPlace, AsyncGenerator[bytes, None]]:
        found = await self._places.in_place(recording)
        path = below(self._folder, found.kept.file)
        if path.suffix != ENCRYPTED:
            raise RecordingError("it is stored as plain audio: get it with: ccari recordings play-to")
        return found, self._pieces(path, found.kept.size)

    async def _pieces(self, path: Path, size: int) -> AsyncGenerator[bytes, None]:
        """The file's content. Before the first piece, raises RecordingError if the file cannot be read or its size has changed, and
        RecordingDelayed if the disk does not answer.
        """
        try:
            file = await self._threads.within(ANSWER_SECONDS, _opened, path, unwanted=FileIO.close)
            try:
                if (there := await self._threads.within(ANSWER_SECONDS, _size, file)) != size:
                    raise RecordingError(f"its file has {there} bytes, not {size}: ccari recordings verify")
                while piece := await self._threads.within(ANSWER_SECONDS, file.read, _PIECE_BYTES):
                    yield piece
            finally:
                file.close()
        except FileNotFoundError:
            raise RecordingError("its file is missing: ccari recordings verify") from None
        except OSError as error:
            raise RecordingError(f"its file cannot be read: {why(error)}") from None


def _opened(path: Path) -> FileIO:
    """Unbuffered: a thread that hangs would hold the buffer's lock, and block the thread that closes the file."""
    return path.open("rb", buffering=0)


def _size(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _with_end(row: dict[str, Any], kept: StoredRecording | None) -> dict[str, Any]:
    """The row with ``due``, when it is to be deleted if nothing holds it (None if it is not stored), and ``due_for``, why; and
    ``held_by``, what holds it, in words.
    """
    due = end(kept) if kept else None
    return {
        **row, "due": due.at if due else None, "due_for": due.why if due else None,
        "held_by": [each.words for each in kept.held] if kept else [],
    }  # fmt: skip
