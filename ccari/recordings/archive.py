"""Taking finished recordings out of Asterisk's spool: checked, hashed, with their tag beside them, in their place."""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import struct
import wave
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from uuid import UUID

from ccari.errors import RecordingError
from ccari.policy.bases import LegalBasis
from ccari.ports.recordings import Kept, RecordingTag

#: RIFF, fmt and data headers, as Asterisk's format_wav writes them: with lengths of nought until it closes the file.
_HEADER_BYTES = 44
_RIFF_LENGTH, _DATA_LENGTH = slice(4, 8), slice(40, 44)
_BYTES_A_SAMPLE = 2

#: From the reported end of a recording to its closed file; a busy Asterisk takes some hundredths of a second.
CLOSE_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.02


class FileArchive:
    """``dir/CONTROLLER/YYYY-MM-DD/ID.wav`` with the tag in ``ID.json``; the date is UTC."""

    def __init__(self, spool: Path, folder: Path) -> None:
        self._spool = spool
        self._folder = folder

    async def keep(self, tag: RecordingTag, until: datetime | None = None) -> Kept:
        """Move a finished recording to its place; the tag is there first. Asked again, it gives the same answer.

        What was said after ``until`` is left out.

        Raises
        ------
        RecordingError
            If there is no file, it holds no sound, or it cannot be moved. It then stays where it is.
        """
        await _closed(self._raw(tag.recording_id))
        most_ms = None if until is None else int((until - tag.started_at).total_seconds() * 1000)
        return await asyncio.to_thread(self._keep, tag, most_ms)

    async def discard(self, recording_id: UUID) -> None:
        """Leave nothing of it in the spool.

        Raises
        ------
        RecordingError
            If the file cannot be removed.
        """
        raw = self._raw(recording_id)
        try:
            await asyncio.to_thread(raw.unlink, missing_ok=True)
        except OSError as error:
            raise RecordingError(f"{raw.name} could not be removed: {error.strerror}") from None

    def _raw(self, recording_id: UUID) -> Path:
        return self._spool / f"{recording_id}.wav"

    def _keep(self, tag: RecordingTag, most_ms: int | None) -> Kept:
        raw = self._raw(tag.recording_id)
        place = Path(tag.controller) / tag.started_at.strftime("%Y-%m-%d") / f"{tag.recording_id}.wav"
        target = self._folder / place
        try:
            if not raw.exists() and target.exists():
                # it was moved, but the database could not be told so
                return Kept(str(place), _check(target), _digest(target))
            duration_ms = _check(raw)
            _make_folders(target.parent)
            with _whole(target) as part:
                if most_ms is None or most_ms >= duration_ms:
                    shutil.copyfile(raw, part)
                else:
                    duration_ms = most_ms
                    _copy_beginning(raw, part, most_ms)
                # of the copy: whatever becomes of the raw file, this is what was kept
                sha256 = _digest(part)
                with _whole(target.with_suffix(".json")) as sidecar:
                    sidecar.write_bytes(_sidecar(tag, duration_ms, sha256))
            raw.unlink()
        except FileNotFoundError:
            raise RecordingError(
                f"there is no file {raw.name} in {self._spool}: check [asterisk] spool"
            ) from None
        except OSError as error:
            raise RecordingError(f"{raw.name} could not be kept: {error.strerror}") from None
        return Kept(str(place), duration_ms, sha256)


async def _closed(path: Path) -> None:
    """Wait for Asterisk to close the file: it reports the end a moment before, with up to 32 KiB not yet written.

    A killed Asterisk never does, so the wait is bounded.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            while await asyncio.to_thread(_unwritten, path):  # noqa: ASYNC110 - a file tells nobody that it is closed
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _unwritten(path: Path) -> bool:
    """True for a WAV file whose RIFF length is still nought, or which is still empty."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return False
    return header[_RIFF_LENGTH] in {b"", bytes(4)} and (not header or header[:4] == b"RIFF")


def _check(path: Path) -> int:
    """The length in milliseconds; mends the header that a killed Asterisk has not written."""
    size = path.stat().st_size
    if size <= _HEADER_BYTES:
        raise RecordingError(f"{path.name} holds no sound")
    _mend_header(path, size)
    try:
        with wave.open(str(path)) as file:
            frames, rate = file.getnframes(), file.getframerate()
    except (wave.Error, EOFError):
        raise RecordingError(f"{path.name} is no WAV file") from None
    if frames == 0 or rate == 0:
        raise RecordingError(f"{path.name} holds no sound")
    return int(frames * 1000 // rate)


def _mend_header(path: Path, size: int) -> None:
    with path.open("rb") as file:
        header = bytearray(file.read(_HEADER_BYTES))
    unwritten = bytes(4)
    if header[:4] != b"RIFF" or header[36:40] != b"data" or header[_DATA_LENGTH] != unwritten:
        return
    data = size - _HEADER_BYTES
    data -= data % _BYTES_A_SAMPLE
    header[_RIFF_LENGTH] = struct.pack("<I", data + _HEADER_BYTES - 8)
    header[_DATA_LENGTH] = struct.pack("<I", data)
    with path.open("r+b") as file:
        file.write(header)


def _copy_beginning(path: Path, target: Path, most_ms: int) -> None:
    with wave.open(str(path)) as whole, target.open("wb") as file, wave.open(file, "wb") as beginning:
        beginning.setparams(whole.getparams())
        beginning.writeframes(whole.readframes(most_ms * whole.getframerate() // 1000))


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _sidecar(tag: RecordingTag, duration_ms: int, sha256: bytes) -> bytes:
    told = asdict(tag) | {
        "legal_basis_iri": LegalBasis(tag.legal_basis).iri,
        "started_at": tag.started_at.isoformat(timespec="milliseconds"),
        "delete_at": tag.delete_at.isoformat(timespec="seconds"),
        "duration_ms": duration_ms,
        "sha256": sha256.hex(),
    }
    return json.dumps(told, indent=2, sort_keys=True, default=str, ensure_ascii=False).encode() + b"\n"


def _make_folders(folder: Path) -> None:
    """``mkdir(parents=True)`` would leave the folders above open to everybody."""
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o750, exist_ok=True)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a name to write under; it becomes ``path`` when it is whole and on the disk, and is gone if it fails."""
    part = path.with_name(path.name + ".part")
    try:
        part.touch(mode=0o640)
        part.chmod(0o640)
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
