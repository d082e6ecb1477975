"""Taking finished recordings out of Asterisk's spool: checked, hashed, with their tag beside them, in their place."""

import asyncio
import hashlib
import json
import os
import shutil
import struct
import wave
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

from ccari.errors import RecordingError
from ccari.policy.bases import LegalBasis
from ccari.ports import Kept, RecordingTag

#: RIFF, fmt and data headers, as Asterisk's format_wav writes them.
_HEADER_BYTES = 44


class FileArchive:
    """``dir/CONTROLLER/YYYY-MM-DD/ID.wav`` with the tag in ``ID.json``; the date is UTC."""

    def __init__(self, spool: Path, folder: Path) -> None:
        self._spool = spool
        self._folder = folder

    async def keep(self, tag: RecordingTag) -> Kept:
        """Move a finished recording to its place; the tag is there first.

        Raises
        ------
        RecordingError
            If there is no file, it holds no sound, or it cannot be moved. It then stays where it is.
        """
        return await asyncio.to_thread(self._keep, tag)

    async def discard(self, recording_id: UUID) -> None:
        await asyncio.to_thread(self._raw(recording_id).unlink, missing_ok=True)

    def _raw(self, recording_id: UUID) -> Path:
        return self._spool / f"{recording_id}.wav"

    def _keep(self, tag: RecordingTag) -> Kept:
        raw = self._raw(tag.recording_id)
        place = Path(tag.controller) / tag.started_at.strftime("%Y-%m-%d") / f"{tag.recording_id}.wav"
        try:
            duration_ms = _check(raw)
            with raw.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").digest()
            target = self._folder / place
            target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            _write(target.with_suffix(".json"), _sidecar(tag, duration_ms, sha256))
            _move(raw, target)
        except FileNotFoundError:
            raise RecordingError(
                f"there is no file {raw.name} in {self._spool}: check [asterisk] spool"
            ) from None
        except OSError as error:
            raise RecordingError(f"{raw.name} could not be kept: {error.strerror}") from None
        return Kept(str(place), duration_ms, sha256)


def _check(path: Path) -> int:
    """The length in milliseconds; mends the header that a killed Asterisk has not written."""
    size = path.stat().st_size
    if size <= _HEADER_BYTES:
        raise RecordingError(f"{path.name} holds no sound")
    try:
        with wave.open(str(path)) as file:
            frames, rate, width = file.getnframes(), int(file.getframerate()), file.getsampwidth()
    except (wave.Error, EOFError):
        raise RecordingError(f"{path.name} is no WAV file") from None
    if frames == 0:
        _mend_header(path, size)
        frames = (size - _HEADER_BYTES) // width
    if frames == 0 or rate == 0:
        raise RecordingError(f"{path.name} holds no sound")
    return int(frames * 1000 // rate)


def _mend_header(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(4)
        file.write(struct.pack("<I", size - 8))
        file.seek(_HEADER_BYTES - 4)
        file.write(struct.pack("<I", size - _HEADER_BYTES))


def _sidecar(tag: RecordingTag, duration_ms: int, sha256: bytes) -> bytes:
    told = asdict(tag) | {
        "legal_basis_iri": LegalBasis(tag.legal_basis).iri,
        "started_at": tag.started_at.isoformat(timespec="milliseconds"),
        "delete_at": tag.delete_at.isoformat(timespec="seconds"),
        "duration_ms": duration_ms,
        "sha256": sha256.hex(),
    }
    return json.dumps(told, indent=2, sort_keys=True, default=str, ensure_ascii=False).encode() + b"\n"


def _write(path: Path, content: bytes) -> None:
    """Under a name of its own until it is whole and on the disk."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _move(source: Path, target: Path) -> None:
    """Never a half file under the final name, also from one file system to another."""
    part = target.with_name(target.name + ".part")
    shutil.copyfile(source, part)
    part.chmod(0o640)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
    source.unlink()
