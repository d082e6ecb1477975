"""From the spool to the folder: what is kept of a recording, who can open it, and what is mended on the way."""

import asyncio
import hashlib
import json
import os
import stat
import struct
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyrage
import pytest

from ccari.app.recordings import open_archive
from ccari.config import RecordingsSection, Settings
from ccari.errors import RecordingDelayed, RecordingError
from ccari.recordings.archive import FileArchive
from ccari.recordings.encryption import encrypt
from ccari.recordings.recipients import RecipientFile
from ccari.recordings.spool import SharedSpool
from tests.unit.recordings.made import SECOND, TAG, cut_short, files, raw_in, record, sound_of

PLACE = "acme/2026-11-24/f9e0890b-d9e3-4c50-8c0d-86b43751abe6"
FORMATS = ("wav", "flac", "opus")
TOLD = {
    "recording_id": str(TAG.recording_id),
    "call_id": str(TAG.call_id),
    "controller": "acme",
    "campaign": "renewals",
    "revision": "7",
    "purpose": "odnowienie umowy, część 2",
    "legal_basis": "legitimate_interest",
    "legal_basis_iri": "https://w3id.org/dpv/legal/eu/gdpr#A6-1-f",
    "mode": "opt_out",
    "notice_version": "551112e10c3db05d",
    "started_at": "2026-11-24T23:59:59.987+00:00",
    "delete_at": "2027-02-22T23:59:59+00:00",
    "channels": "mono",
}


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    return tmp_path / "bench"


@pytest.fixture
def archive(spool: Path, kept_in: Path, bench: Path) -> FileArchive:
    """An archive that leaves recordings open, as WAV."""
    return FileArchive(SharedSpool(spool), kept_in, "wav", tuple, bench)


def shown_by_ffprobe(file: Path) -> dict[str, str]:
    arguments = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "format_tags:stream_tags",
        "-of",
        "json",
        str(file),
    ]
    told: dict[str, Any] = json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)
    found = [told.get("format", {}), *told.get("streams", [])]
    return {name.lower(): value for each in found for name, value in each.get("tags", {}).items()}


def opened(file: Path, identity: pyrage.x25519.Identity) -> Path:
    """What Debian's age makes of an encrypted file."""
    (key := file.with_name("key")).write_text(f"{identity}\n")
    subprocess.run(["age", "-d", "-i", str(key), "-o", str(file.with_suffix("")), str(file)], check=True)
    return file.with_suffix("")


def modes(folder: Path) -> dict[str, int]:
    found = (folder, *folder.rglob("*"))
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in found}


@pytest.mark.parametrize("form", FORMATS)
async def test_debians_age_does_not_open_a_recording_or_finds_other_sound_or_no_tag(
    spool: Path, kept_in: Path, identity: pyrage.x25519.Identity, form: str
) -> None:
    record(raw_in(spool), SECOND + bytes(8000))
    recipients = (str(identity.to_public()), str(pyrage.x25519.Identity.generate().to_public()))
    kept = await FileArchive(SharedSpool(spool), kept_in, form, lambda: recipients).keep(TAG)
    assert files(kept_in) == sorted([f"{PLACE}.{form}.age", f"{PLACE}.json"])
    assert (kept.file, kept.format, kept.recipients) == (f"{PLACE}.{form}.age", form, recipients)
    sealed = kept_in / kept.file
    assert (kept.size, kept.file_sha256) == (
        len(sealed.read_bytes()),
        hashlib.sha256(sealed.read_bytes()).digest(),
    )
    plain = opened(sealed, identity)
    assert kept.sha256 == hashlib.sha256(plain.read_bytes()).digest()
    assert_told(plain, form)
    assert_heard(plain, form, SECOND + bytes(8000))
    assert (kept.duration_ms, kept.silent) == (1500, False)


@pytest.mark.parametrize("form", FORMATS)
async def test_an_unencrypted_recording_lacks_sound_or_tag(spool: Path, kept_in: Path, form: str) -> None:
    record(raw_in(spool))
    kept = await FileArchive(SharedSpool(spool), kept_in, form, tuple).keep(TAG)
    assert files(kept_in) == sorted([f"{PLACE}.{form}", f"{PLACE}.json"])
    content = (kept_in / kept.file).read_bytes()
    assert kept.sha256 == kept.file_sha256 == hashlib.sha256(content).digest()
    assert (kept.file, kept.size, kept.recipients) == (f"{PLACE}.{form}", len(content), ())
    assert_told(kept_in / kept.file, form)
    assert_heard(kept_in / kept.file, form, SECOND)


def assert_told(file: Path, form: str) -> None:
    shown = shown_by_ffprobe(file)
    assert json.loads(shown["comment"]) == TOLD
    assert (shown["title"], shown["artist"], shown["date"]) == (str(TAG.recording_id), "acme", "2026-11-24")
    if form != "wav":
        assert {name: shown.get(name) for name in TOLD} == TOLD


def assert_heard(file: Path, form: str, sound: bytes) -> None:
    heard = sound_of(file)
    # opus is made to sound alike: what can be compared is its length
    assert len(heard) == len(sound) if form == "opus" else heard == sound


async def test_the_tag_beside_the_file_lacks_something_or_tells_a_number(
    spool: Path, kept_in: Path, identity: pyrage.x25519.Identity
) -> None:
    record(raw_in(spool))
    recipient = str(identity.to_public())
    kept = await FileArchive(SharedSpool(spool), kept_in, "flac", lambda: (recipient,)).keep(TAG)
    assert json.loads((kept_in / f"{PLACE}.json").read_text("utf-8")) == TOLD | {
        "format": "flac",
        "duration_ms": 1000,
        "silent": False,
        "sha256": kept.sha256.hex(),
        "size": kept.size,
        "file_sha256": kept.file_sha256.hex(),
        "recipients": [recipient],
    }


async def test_others_can_read_a_recording_or_its_tag(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(raw_in(spool)).chmod(0o666)
    before = os.umask(0o022)
    try:
        await archive.keep(TAG)
    finally:
        os.umask(before)
    assert modes(kept_in) == {
        ".": 0o750,
        ".work": 0o700,
        "acme": 0o750,
        "acme/2026-11-24": 0o750,
        f"{PLACE}.wav": 0o640,
        f"{PLACE}.json": 0o640,
    }


async def test_what_is_not_encrypted_yet_lies_where_recordings_are_kept(
    spool: Path,
    kept_in: Path,
    tmp_path: Path,
    identity: pyrage.x25519.Identity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A service is set up like this: that folder may be mounted from another machine."""
    seen: list[list[str]] = []
    settings = Settings(data_dir=tmp_path / "data", recordings=RecordingsSection(dir=kept_in))
    settings.keys_dir.mkdir(parents=True)
    RecipientFile(settings.keys_dir).path.write_text(f"{identity.to_public()}\n")

    def watched(plain: Path, sealed: Path, recipients: Sequence[str]) -> None:
        assert plain.is_relative_to(settings.data_dir)
        seen.append(files(kept_in))
        encrypt(plain, sealed, recipients)
        seen.append(files(kept_in))
        assert plain.exists()

    monkeypatch.setattr("ccari.recordings.archive.encrypt", watched)
    record(raw_in(spool))
    kept = await open_archive(settings, SharedSpool(spool)).keep(TAG)
    before, (marker, sealed) = seen
    assert before == [marker] == [".ccari-recordings"]
    assert sealed.startswith(f".work/{TAG.recording_id}.")
    assert sealed.endswith(".age")
    assert files(settings.data_dir / "encoding") == []
    assert files(kept_in) == sorted([marker, kept.file, f"{PLACE}.json"])


@pytest.mark.parametrize("of_the_kill", [".x", "/x"], ids=["now", "by an older ccari"])
@pytest.mark.parametrize("where", [".work", "../bench"], ids=["where it stays", "on the bench"])
async def test_open_sound_stays_of_a_service_that_was_killed_at_it(
    archive: FileArchive, spool: Path, kept_in: Path, where: str, of_the_kill: str
) -> None:
    other = UUID(int=7)
    for each in (TAG.recording_id, other):
        work = kept_in / where / f"{each}{of_the_kill}"
        work.mkdir(parents=True)
        record(work / f"{each}.wav")
    record(kept_in / where / f"{TAG.recording_id}.y.age")
    assert set(await archive.drafts()) == {TAG.recording_id, other}
    record(raw_in(spool))
    await archive.keep(TAG)
    assert files(kept_in / where) == [f"{other}{of_the_kill}/{other}.wav"]
    assert await archive.drafts() == [other]


async def test_the_raw_file_is_gone_before_the_database_knows_of_its_successor(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    content = record(raw_in(spool)).read_bytes()
    first = await archive.keep(TAG)
    assert raw_in(spool).read_bytes() == content
    assert await archive.keep(TAG) == first
    await archive.discard(TAG.recording_id)
    assert files(spool) == []
    assert files(kept_in) == [f"{PLACE}.json", f"{PLACE}.wav"]


async def test_what_was_said_after_a_refusal_is_kept(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    """Nobody was there to stop the recorder; its header was never written either."""
    cut_short(raw_in(spool), SECOND[:8000] + bytes(8000))
    kept = await archive.keep(TAG, TAG.started_at + timedelta(milliseconds=500))
    assert kept.duration_ms == 500
    assert sound_of(kept_in / kept.file) == SECOND[:8000]


@pytest.mark.parametrize(("lacking_ms", "left_ms"), [(0, 600), (250, 350), (-250, 600)])
async def test_what_was_said_after_a_refusal_is_kept_of_a_file_that_lacks_some_of_the_talk(
    archive: FileArchive, spool: Path, lacking_ms: int, left_ms: int
) -> None:
    """Nobody knows where in the file the gap is, so it counts as lying before the refusal. A file that is longer lacks nothing."""
    record(raw_in(spool))
    lasted = timedelta(milliseconds=1000 + lacking_ms)
    until = TAG.started_at + timedelta(milliseconds=600)
    assert (await archive.keep(TAG, until, ended=TAG.started_at + lasted)).duration_ms == left_ms


async def test_a_file_that_lacks_some_of_the_talk_is_cut_though_nobody_refused(
    archive: FileArchive, spool: Path
) -> None:
    record(raw_in(spool))
    assert (await archive.keep(TAG, ended=TAG.started_at + timedelta(seconds=5))).duration_ms == 1000


async def test_a_refusal_after_the_end_cuts_something_off(archive: FileArchive, spool: Path) -> None:
    record(raw_in(spool))
    assert (await archive.keep(TAG, TAG.started_at + timedelta(seconds=2))).duration_ms == 1000


@pytest.mark.parametrize("ms", [0, -1000])
async def test_sound_is_kept_of_a_recording_refused_from_its_start(
    archive: FileArchive, spool: Path, kept_in: Path, ms: int
) -> None:
    record(raw_in(spool))
    with pytest.raises(RecordingError, match=r"no part of .* may be kept"):
        await archive.keep(TAG, TAG.started_at + timedelta(milliseconds=ms))
    assert files(kept_in) == []


@pytest.mark.parametrize(
    ("sound", "silent"), [(bytes(16000), True), (b"\x08\x00" * 8000, True), (b"\x80\x00" * 8000, False)]
)
async def test_a_recording_of_nothing_passes_for_one_of_a_talk(
    archive: FileArchive, spool: Path, sound: bytes, *, silent: bool
) -> None:
    record(raw_in(spool), sound)
    kept = await archive.keep(TAG)
    assert (kept.silent, "silent" in kept.journal_fields) == (silent, silent)


async def test_the_journal_does_not_say_which_file_was_stored(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(raw_in(spool), SECOND)
    kept = await archive.keep(TAG)
    content = (kept_in / kept.file).read_bytes()
    assert (kept.journal_fields["recording"], kept.journal_fields["file_sha256"]) == (
        str(TAG.recording_id),
        hashlib.sha256(content).hexdigest(),
    )


async def test_a_file_that_a_killed_asterisk_left_is_lost(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    cut_short(raw_in(spool), SECOND + b"\x01")
    kept = await archive.keep(TAG)
    assert kept.duration_ms == 1000
    assert sound_of(kept_in / kept.file) == SECOND


def _told_lengths(riff: int, data: int) -> bytes:
    header = bytearray(44)
    struct.pack_into("<4sI4s4sIHHIIHH4sI", header, 0, b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16,
                     b"data", data)  # fmt: skip
    return bytes(header)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(bytes(44), id="nought"),
        pytest.param(b"there was no room for a header here, so text", id="text"),
        pytest.param(b"RIFF\xff\xff\x00\x00WAVEjunk" + bytes(28), id="other"),
        pytest.param(_told_lengths(96036, 96000), id="too-long"),
        pytest.param(_told_lengths(2**32 - 1, 2**32 - 1), id="as-in-a-stream"),
        pytest.param(_told_lengths(136, 100), id="too-short"),
        pytest.param(_told_lengths(0, 16000), id="half-closed"),
        pytest.param(_told_lengths(0, 16000).replace(b"\x40\x1f\x00\x00", bytes(4)), id="no-rate"),
    ],
)
async def test_sound_behind_an_unusable_header_is_lost(
    archive: FileArchive, spool: Path, kept_in: Path, header: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.recordings.raw.CLOSE_SECONDS", 0.0)
    raw_in(spool).write_bytes(header + SECOND)
    kept = await archive.keep(TAG)
    assert kept.duration_ms == 1000
    assert sound_of(kept_in / kept.file) == SECOND


async def test_a_recording_in_stereo_is_kept_at_half_its_speed(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    header = bytearray(_told_lengths(0, 0))
    struct.pack_into("<HIIHH", header, 22, 2, 16000, 64000, 4, 16)
    raw_in(spool).write_bytes(
        bytes(header[:4]) + bytes(4) + bytes(header[8:40]) + bytes(4) + 4 * SECOND + b"123"
    )
    kept = await archive.keep(TAG)
    assert kept.duration_ms == 1000
    with wave.open(str(kept_in / kept.file)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 16000, 16000)


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", bytes(44), _told_lengths(36, 0), _told_lengths(0, 0) + b"\x01"]
)
async def test_a_file_without_sound_is_kept_as_a_recording(
    archive: FileArchive, spool: Path, kept_in: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.recordings.raw.CLOSE_SECONDS", 0.1)
    raw_in(spool).write_bytes(content)
    with pytest.raises(RecordingError, match="contains no sound") as raised:
        await archive.keep(TAG)
    assert not isinstance(raised.value, RecordingDelayed)
    assert raw_in(spool).read_bytes() == content
    assert files(kept_in) == []


async def test_a_file_that_asterisk_has_not_closed_yet_is_kept_without_its_end(
    archive: FileArchive, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a short recording is reported before a byte of it is written, that of a long one before its last 2 s."""
    monkeypatch.setattr("ccari.recordings.raw.CLOSE_SECONDS", 60.0)
    for begun in (b"", SECOND):
        path = cut_short(raw_in(spool), begun)
        if not begun:
            path.write_bytes(b"")
        keeping = asyncio.create_task(archive.keep(TAG))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.shield(keeping)
        record(path, 3 * SECOND)
        assert (await keeping).duration_ms == 3000


async def test_a_discarded_recording_leaves_something_or_takes_another_with_it(
    archive: FileArchive, spool: Path
) -> None:
    record(raw_in(spool))
    other = replace(TAG, recording_id=uuid4())
    record(spool / f"{other.recording_id}.wav")
    await archive.discard(TAG.recording_id)
    await archive.discard(TAG.recording_id)
    assert files(spool) == [f"{other.recording_id}.wav"]


async def test_a_recording_that_cannot_be_discarded_ends_the_call_in_a_traceback(
    archive: FileArchive, spool: Path
) -> None:
    raw_in(spool).mkdir()
    with pytest.raises(RecordingError, match="could not be removed"):
        await archive.discard(TAG.recording_id)
