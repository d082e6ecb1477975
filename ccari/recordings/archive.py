"""From a finished raw file to its place: checked, encoded with its tag inside, hashed, encrypted, its tag beside it.

Nothing lies under a final name before it is whole and on the disk, and the raw file stays until the database knows of its
successor: whoever dies between two steps does all of them again.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from ccari.errors import ConfigError, RecordingDelayed, RecordingError, why
from ccari.ports.recordings import Kept, RecordingTag, Spool
from ccari.recordings import raw
from ccari.recordings.encoding import encode
from ccari.recordings.encryption import encrypt
from ccari.recordings.tags import metadata, sidecar

#: Recordings that are encoded side by side: one core is left to the calls that go on.
AT_ONCE = 1
#: Below the recordings folder, so that a file can be moved out of it in one step. No controller is named so.
_WORK = ".work"


class FileArchive:
    """``dir/CONTROLLER/YYYY-MM-DD/ID.EXT.age`` (without ``.age`` for no recipients) with the tag in ``ID.json``.

    ``recipients`` is asked for each recording; the date is UTC's, of the start.
    """

    def __init__(
        self, spool: Spool, folder: Path, form: str, recipients: Callable[[], Sequence[str]]
    ) -> None:
        self._spool = spool
        self._folder = folder
        self._form = form
        self._recipients = recipients
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._left = asyncio.Event()

    async def keep(self, tag: RecordingTag, until: datetime | None = None) -> Kept:
        """Bring a finished recording to its place; its raw file stays in the spool until it is discarded.

        What was said after ``until`` is left out. Asked again, it does all of it again.

        Raises
        ------
        RecordingDelayed
            If it cannot be done now: no ffmpeg, no room, no recipients, no spool, no such file in it.
        RecordingError
            If it holds no sound, or none that may be kept.
        """
        most_ms = None if until is None else int((until - tag.started_at).total_seconds() * 1000)
        path = await self._spool.take(tag.recording_id)
        async with self._turn:
            try:
                recipients = tuple(self._recipients())
                with _made(self._work(tag.recording_id)) as work:
                    return await self._keep(tag, path, work, most_ms, recipients)
            except ConfigError as error:
                raise RecordingDelayed(str(error)) from None
            except OSError as error:
                raise RecordingDelayed(f"{path.name} could not be kept: {why(error)}") from None

    def check(self) -> None:
        """Find out before somebody is recorded that it could not be encrypted: nobody is recorded then.

        Raises
        ------
        RecordingError
            If there are no recipients.
        """
        try:
            self._recipients()
        except ConfigError as error:
            raise RecordingError(str(error)) from None

    async def discard(self, recording_id: UUID) -> None:
        """Leave nothing of it in the spool.

        Raises
        ------
        RecordingError
            If the file cannot be removed.
        """
        await self._spool.remove(recording_id)

    def leave(self) -> None:
        self._left.set()

    async def until_left(self) -> None:
        """Wait until a finished file was left in the spool, since the last time."""
        await self._left.wait()
        self._left.clear()

    def tidy(self, recording_id: UUID) -> None:
        """Remove what a killed service has left of its work on a recording."""
        shutil.rmtree(self._work(recording_id), ignore_errors=True)

    def at_work(self) -> list[UUID]:
        """The recordings that are worked on, or were by a service that was killed; raises OSError."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for each in (self._folder / _WORK).iterdir():
                with contextlib.suppress(ValueError):
                    found.append(UUID(each.name))
        return found

    def _work(self, recording_id: UUID) -> Path:
        return self._folder / _WORK / str(recording_id)

    async def _keep(
        self, tag: RecordingTag, path: Path, work: Path, most_ms: int | None, recipients: tuple[str, ...]
    ) -> Kept:
        found = await asyncio.to_thread(raw.read, path)
        plain = work / f"{tag.recording_id}.{self._form}"
        encoded = await encode(found, plain, self._form, metadata(tag), most_ms)
        place = Path(tag.controller) / tag.started_at.strftime("%Y-%m-%d")

        def put() -> Kept:
            sha256, ready = _digest(plain), plain
            if recipients:
                ready = plain.with_name(plain.name + ".age")
                encrypt(plain, ready, recipients)
                plain.unlink()
            kept = Kept(
                str(place / ready.name), self._form, encoded.duration_ms, sha256, ready.stat().st_size,
                _digest(ready), recipients, encoded.silent,
            )  # fmt: skip
            beside = work / f"{tag.recording_id}.json"
            beside.write_bytes(sidecar(tag, kept))
            _put(self._folder / place, beside, ready)
            return kept

        return await asyncio.to_thread(put)


def _put(folder: Path, *paths: Path) -> None:
    """Move files to where they stay, in that order, each whole and on the disk before it has its name there."""
    _make_folders(folder)
    for each in paths:
        each.chmod(0o640)
        with each.open("rb") as file:
            os.fsync(file.fileno())
    for each in paths:
        each.replace(folder / each.name)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """A folder of one's own, empty at first and gone afterwards: the audio in it is not yet encrypted.

    Its name is new each time, as the ffmpeg of a killed service may outlive it, and is still to open its file.
    """
    shutil.rmtree(folder, ignore_errors=True)
    _make_folders(folder.parent, 0o700)
    folder.mkdir(0o700)
    try:
        yield Path(tempfile.mkdtemp(dir=folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_folders(folder: Path, mode: int = 0o750) -> None:
    """``mkdir(parents=True)`` would leave the folders above open to everybody."""
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=mode if each == folder else 0o750, exist_ok=True)
