"""From the spool to the archive: what is checked, mended, kept, refused, and never left half done."""

import asyncio
import hashlib
import json
import os
import resource
import stat
import struct
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ccari.errors import RecordingError
from ccari.ports.recordings import RecordingTag
from ccari.recordings.archive import FileArchive
from ccari.recordings.spool import SharedSpool

TAG = RecordingTag(
    recording_id=UUID("f9e0890b-d9e3-4c50-8c0d-86b43751abe6"),
    call_id=UUID("9e46aa91-7039-4a2c-8381-ec2db109eba1"),
    controller="acme",
    campaign="renewals",
    revision=7,
    purpose="odnowienie umowy, część 2",
    legal_basis="legitimate_interest",
    mode="opt_out",
    notice_version="551112e10c3db05d",
    started_at=datetime(2026, 11, 24, 23, 59, 59, 987654, tzinfo=UTC),
    delete_at=datetime(2027, 2, 22, 23, 59, 59, tzinfo=UTC),
)
PLACE = "acme/2026-11-24/f9e0890b-d9e3-4c50-8c0d-86b43751abe6.wav"
SECOND = b"\x10\x20" * 8000


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    return made


@pytest.fixture
def kept_in(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def archive(spool: Path, kept_in: Path) -> FileArchive:
    return FileArchive(SharedSpool(spool), kept_in, "wav", tuple)


def raw(spool: Path) -> Path:
    return spool / f"{TAG.recording_id}.wav"


def record(path: Path, sound: bytes = SECOND) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(sound)
    return path


def cut_short(path: Path, sound: bytes = SECOND) -> Path:
    """As a killed Asterisk leaves a file (measured): whole but for its two lengths, which are nought."""
    content = bytearray(record(path, b"").read_bytes() + sound)
    content[4:8] = content[40:44] = bytes(4)
    path.write_bytes(content)
    return path


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def modes(folder: Path) -> dict[str, int]:
    found = (folder, *folder.rglob("*"))
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in found}


async def test_what_was_said_after_a_refusal_is_kept(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    """Nobody was there to stop the recorder; its header was never written either."""
    cut_short(raw(spool), SECOND[:8000] + bytes(8000))
    kept = await archive.keep(TAG, TAG.started_at + timedelta(milliseconds=500))
    assert kept.duration_ms == 500
    with wave.open(str(kept_in / PLACE)) as file:
        assert file.readframes(file.getnframes()) == SECOND[:8000]
    assert kept.sha256 == hashlib.sha256((kept_in / PLACE).read_bytes()).digest()
    assert files(spool) == []


async def test_a_refusal_after_the_end_cuts_nothing(archive: FileArchive, spool: Path) -> None:
    record(raw(spool))
    assert (await archive.keep(TAG, TAG.started_at + timedelta(seconds=2))).duration_ms == 1000


async def test_a_kept_file_is_changed_or_left_in_the_spool(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    content = record(raw(spool)).read_bytes()
    kept = await archive.keep(TAG)
    assert (kept.file, kept.duration_ms) == (PLACE, 1000)
    assert (kept_in / PLACE).read_bytes() == content
    assert kept.sha256 == hashlib.sha256(content).digest()
    assert files(spool) == []
    assert files(kept_in) == [PLACE.replace(".wav", ".json"), PLACE]


async def test_the_tag_beside_the_file_lacks_something_or_tells_a_number(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(raw(spool))
    kept = await archive.keep(TAG)
    assert json.loads((kept_in / PLACE).with_suffix(".json").read_text("utf-8")) == {
        "recording_id": str(TAG.recording_id),
        "call_id": str(TAG.call_id),
        "controller": "acme",
        "campaign": "renewals",
        "revision": 7,
        "purpose": "odnowienie umowy, część 2",
        "legal_basis": "legitimate_interest",
        "legal_basis_iri": "https://w3id.org/dpv/legal/eu/gdpr#A6-1-f",
        "mode": "opt_out",
        "notice_version": "551112e10c3db05d",
        "started_at": "2026-11-24T23:59:59.987+00:00",
        "delete_at": "2027-02-22T23:59:59+00:00",
        "duration_ms": 1000,
        "sha256": kept.sha256.hex(),
    }


async def test_others_can_read_a_recording_or_its_tag(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(raw(spool)).chmod(0o666)
    before = os.umask(0o022)
    try:
        await archive.keep(TAG)
    finally:
        os.umask(before)
    assert modes(kept_in) == {
        ".": 0o750,
        "acme": 0o750,
        "acme/2026-11-24": 0o750,
        PLACE: 0o640,
        PLACE.replace(".wav", ".json"): 0o640,
    }


async def test_a_file_that_a_killed_asterisk_left_is_lost(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    cut_short(raw(spool), SECOND + b"\x01")
    kept = await archive.keep(TAG)
    assert kept.duration_ms == 1000
    with wave.open(str(kept_in / PLACE)) as file:
        assert file.readframes(20000) == SECOND
    assert struct.unpack("<I", (kept_in / PLACE).read_bytes()[4:8]) == (36 + len(SECOND),)
    assert kept.sha256 == hashlib.sha256((kept_in / PLACE).read_bytes()).digest()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no sound"),
        (b"RIFF", "holds no sound"),
        (b"there was no room for a recording here, so somebody wrote this text instead", "is no WAV file"),
        (b"RIFF\x00\x00\x00\x00WAVEjunk" + bytes(100), "is no WAV file"),
        (bytes(100), "is no WAV file"),
    ],
)
async def test_what_is_no_recording_is_kept_as_one(
    archive: FileArchive, spool: Path, kept_in: Path, content: bytes, words: str
) -> None:
    raw(spool).write_bytes(content)
    with pytest.raises(RecordingError, match=words):
        await archive.keep(TAG)
    assert raw(spool).read_bytes() == content
    assert files(kept_in) == []


async def test_a_header_without_sound_is_kept_as_a_recording(archive: FileArchive, spool: Path) -> None:
    for path in (record(raw(spool), b""), cut_short(raw(spool), b""), cut_short(raw(spool), b"\x01")):
        with pytest.raises(RecordingError, match="holds no sound"):
            await archive.keep(TAG)
        assert path.exists()


async def test_a_file_that_asterisk_has_not_closed_yet_is_kept_without_its_end(
    archive: FileArchive, spool: Path
) -> None:
    """The end of a short recording is reported before a byte of it is written, of a long one before its last 2 s."""
    for begun in (b"", SECOND):
        path = cut_short(raw(spool), begun)
        if not begun:
            path.write_bytes(b"")
        keeping = asyncio.create_task(archive.keep(TAG))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.shield(keeping)
        record(path, 3 * SECOND)
        assert (await keeping).duration_ms == 3000


async def test_a_missing_file_is_told_in_a_traceback(archive: FileArchive, spool: Path) -> None:
    with pytest.raises(RecordingError, match=rf"there is no file .* in {spool}: check \[asterisk\] spool"):
        await archive.keep(TAG)


async def test_a_file_that_was_kept_is_lost_when_the_database_must_be_told_again(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(raw(spool))
    first = await archive.keep(TAG)
    assert await archive.keep(TAG) == first
    assert len(files(kept_in)) == 2


async def test_a_crash_between_the_copy_and_the_removal_loses_or_doubles_the_file(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    content = record(raw(spool)).read_bytes()
    first = await archive.keep(TAG)
    raw(spool).write_bytes(content)
    (kept_in / PLACE).with_suffix(".wav.part").write_bytes(b"half")
    assert await archive.keep(TAG) == first
    assert files(spool) == []
    assert files(kept_in) == [PLACE.replace(".wav", ".json"), PLACE]


@contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """No file of this process grows beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_leaves_half_a_file_or_loses_the_whole(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    content = record(raw(spool)).read_bytes()
    with disk_full_at(4000), pytest.raises(RecordingError, match="could not be kept: File too large"):
        await archive.keep(TAG)
    assert files(kept_in) == []
    assert raw(spool).read_bytes() == content


async def test_a_place_that_cannot_be_written_loses_the_file(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    """Also root, who may write anywhere, cannot make a folder below a file."""
    record(raw(spool))
    record(kept_in)
    with pytest.raises(RecordingError, match="could not be kept: Not a directory"):
        await archive.keep(TAG)
    assert raw(spool).exists()


@pytest.fixture
def elsewhere(spool: Path) -> Iterator[Path]:
    """A folder on another file system than the spool."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        if Path(made).stat().st_dev == spool.stat().st_dev:
            pytest.skip("no second file system here: the spool is in memory too")
        yield Path(made)


async def test_a_file_is_not_moved_to_another_file_system(spool: Path, elsewhere: Path) -> None:
    content = record(raw(spool)).read_bytes()
    kept = await FileArchive(SharedSpool(spool), elsewhere, "wav", tuple).keep(TAG)
    assert (elsewhere / kept.file).read_bytes() == content
    assert files(spool) == []


async def test_a_discarded_recording_leaves_something_or_takes_another_with_it(
    archive: FileArchive, spool: Path
) -> None:
    record(raw(spool))
    other = replace(TAG, recording_id=uuid4())
    record(spool / f"{other.recording_id}.wav")
    await archive.discard(TAG.recording_id)
    await archive.discard(TAG.recording_id)
    assert files(spool) == [f"{other.recording_id}.wav"]


async def test_a_recording_that_cannot_be_discarded_ends_the_call_in_a_traceback(
    archive: FileArchive, spool: Path
) -> None:
    raw(spool).mkdir()
    with pytest.raises(RecordingError, match="could not be removed"):
        await archive.discard(TAG.recording_id)
