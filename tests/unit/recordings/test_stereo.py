"""The agent on the left, the callee on the right: two raw files that become one recording."""

import json
import math
import struct
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ccari.ports.recordings import agents_side
from ccari.recordings.archive import FileArchive
from ccari.recordings.spool import SharedSpool
from tests.unit.recordings.made import SECOND, TAG, channels_of, cut_short, files, raw_in, record, sides_of

STEREO = replace(TAG, channels="stereo")
AGENT, CALLEE = b"\x00\x11" * 8000, SECOND
SAMPLE = 2
MILLISECOND = 8 * SAMPLE


@pytest.fixture
def archive(spool: Path, kept_in: Path) -> FileArchive:
    return FileArchive(SharedSpool(spool), kept_in, "wav", tuple)


def agents(spool: Path) -> Path:
    return spool / f"{agents_side(TAG.recording_id)}.wav"


def tone(hertz: int, seconds: int = 2) -> bytes:
    samples = (int(9000 * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(8000 * seconds))
    return b"".join(struct.pack("<h", each) for each in samples)


def power(sound: bytes, hertz: int) -> float:
    """How much of a tone there is in a sound: Goertzel's filter, from 0 to 1 of a whole tone."""
    samples = struct.unpack(f"<{len(sound) // SAMPLE}h", sound)
    real = sum(each * math.cos(2 * math.pi * hertz * at / 8000) for at, each in enumerate(samples))
    imaginary = sum(each * math.sin(2 * math.pi * hertz * at / 8000) for at, each in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / (9000 * len(samples))


async def test_the_agent_is_not_on_the_left_or_the_callee_not_on_the_right(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(raw_in(spool), CALLEE)
    record(agents(spool), AGENT)
    kept = await archive.keep(STEREO)
    assert sides_of(kept_in / kept.file) == (AGENT, CALLEE)
    assert (kept.duration_ms, kept.silent, kept.agent_missing_ms) == (1000, False, 0)
    assert "agent_missing_ms" not in kept.journal_fields
    assert json.loads((kept_in / kept.file).with_suffix(".json").read_text("utf-8"))["channels"] == "stereo"


@pytest.mark.parametrize("form", ["flac", "opus"])
async def test_a_format_mixes_what_the_two_said(spool: Path, kept_in: Path, form: str) -> None:
    record(raw_in(spool), tone(850))
    record(agents(spool), tone(440))
    kept = await FileArchive(SharedSpool(spool), kept_in, form, tuple).keep(STEREO)
    assert channels_of(kept_in / kept.file) == 2
    agent, callee = sides_of(kept_in / kept.file)
    heard = [power(side, hertz) for side in (agent, callee) for hertz in (440, 850)]
    assert [round(each, 1) for each in heard] == [1, 0, 0, 1]


async def test_an_answer_is_heard_before_its_question(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    """The agent's side began a quarter of a second earlier, and is that much longer."""
    record(raw_in(spool), CALLEE)
    record(agents(spool), bytes(250 * MILLISECOND) + AGENT)
    kept = await archive.keep(STEREO, lead_ms=250)
    assert sides_of(kept_in / kept.file) == (AGENT, CALLEE)


async def test_the_end_of_the_callees_side_is_cut_off_where_the_agents_ends(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(raw_in(spool), CALLEE)
    record(agents(spool), AGENT[: 300 * MILLISECOND])
    kept = await archive.keep(STEREO)
    assert sides_of(kept_in / kept.file) == (
        AGENT[: 300 * MILLISECOND] + bytes(700 * MILLISECOND),
        CALLEE,
    )
    # they are told to stop one after the other
    assert kept.agent_missing_ms == 0


async def test_the_agents_voice_is_kept_after_the_callee_has_refused(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(raw_in(spool), CALLEE)
    record(agents(spool), AGENT * 3)
    kept = await archive.keep(STEREO, STEREO.started_at + timedelta(milliseconds=400))
    assert sides_of(kept_in / kept.file) == (AGENT[: 400 * MILLISECOND], CALLEE[: 400 * MILLISECOND])


@pytest.mark.parametrize(("lead_ms", "lacking_ms"), [(0, 300), (250, 300), (0, 700)])
async def test_the_agents_voice_is_kept_after_a_refusal_as_its_side_lacks_some_of_the_talk(
    archive: FileArchive, spool: Path, kept_in: Path, lead_ms: int, lacking_ms: int
) -> None:
    """The callee's side has all of it: each side is written by itself."""
    record(raw_in(spool), CALLEE)
    record(agents(spool), (bytes(lead_ms * MILLISECOND) + AGENT)[: -lacking_ms * MILLISECOND])
    until, ended = [STEREO.started_at + timedelta(milliseconds=at) for at in (600, 1000)]
    kept = await archive.keep(STEREO, until, ended=ended, lead_ms=lead_ms)
    left_ms = max(0, 600 - lacking_ms)
    assert sides_of(kept_in / kept.file) == (
        AGENT[: left_ms * MILLISECOND].ljust(600 * MILLISECOND, b"\0"),
        CALLEE[: 600 * MILLISECOND],
    )


@pytest.mark.parametrize("left", [None, b"", AGENT * 2], ids=["no-file", "no-sound", "half"])
async def test_nobody_is_told_that_the_agent_cannot_be_heard(
    archive: FileArchive, spool: Path, kept_in: Path, left: bytes | None
) -> None:
    record(raw_in(spool), CALLEE * 5)
    if left is not None:
        record(agents(spool), left)
    kept = await archive.keep(STEREO)
    there = left or b""
    assert sides_of(kept_in / kept.file) == (there + bytes(len(CALLEE) * 5 - len(there)), CALLEE * 5)
    assert kept.agent_missing_ms == (5000 if not there else 3000)
    assert kept.journal_fields["agent_missing_ms"] == str(kept.agent_missing_ms)


async def test_the_sides_that_a_killed_asterisk_left_are_lost(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    cut_short(raw_in(spool), CALLEE)
    cut_short(agents(spool), AGENT)
    kept = await archive.keep(STEREO)
    assert sides_of(kept_in / kept.file) == (AGENT, CALLEE)


async def test_the_agents_side_stays_open_in_the_spool(archive: FileArchive, spool: Path) -> None:
    record(raw_in(spool), CALLEE)
    record(agents(spool), AGENT)
    await archive.keep(STEREO)
    await archive.discard(STEREO.recording_id)
    assert files(spool) == []


async def test_an_agents_side_alone_is_never_found(archive: FileArchive, spool: Path) -> None:
    record(agents(spool), AGENT)
    assert await archive.has(STEREO.recording_id)
