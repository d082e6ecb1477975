"""What other programs make of an encoded file: its lengths, its sums, its tag, and what it costs to make."""

import hashlib
import json
import os
import subprocess
import tracemalloc
import wave
from pathlib import Path

import pytest

from ccari.recordings import raw
from ccari.recordings.encoding import FORMATS, Encoding
from ccari.recordings.sound import AgentsSide, Sound
from tests.unit.recordings.made import SECOND, record, sides_of, sound_of

#: What must not break out of its field, or be taken for another field.
TAGS = {
    "title": "f9e0890b",
    "purpose": "część 2 = \"a\\b\"\nTITLE=no; 'x' – 📞 ",
    "comment": '{"purpose": "część 2\\nTITLE=no"}',
    "legal_basis": "",
}
#: Not as long as a whole number of pieces.
TALK = b"".join(at.to_bytes(2, "little") for at in range(50001))


def encoded(path: Path, form: str, sound: Sound, tags: dict[str, str] = TAGS) -> Path:
    Encoding().write(sound, path.with_suffix(f".{form}"), form, tags)
    return path.with_suffix(f".{form}")


def told_by_metaflac(file: Path, *what: str) -> list[str]:
    done = subprocess.run(["metaflac", *what, str(file)], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def tags_of(file: Path) -> dict[str, str]:
    asked = ["-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "json", str(file)]
    told = json.loads(subprocess.run(["ffprobe", *asked], check=True, capture_output=True).stdout)
    return {
        key: value
        for each in (told["format"], *told["streams"])
        for key, value in each.get("tags", {}).items()
    }


@pytest.mark.parametrize("is_stereo", [False, True])
def test_a_flac_file_does_not_say_how_long_it_is_or_what_sound_it_holds(
    tmp_path: Path, *, is_stereo: bool
) -> None:
    """A player could not seek in it, and whoever has the raw sound could not tell that the file holds that sound."""
    one = raw.read(record(tmp_path / "talk.wav", TALK))
    file = encoded(tmp_path / "kept", "flac", Sound(one, None, AgentsSide(one, 0) if is_stereo else None))
    pcm = b"".join(TALK[at : at + 2] * 2 for at in range(0, len(TALK), 2)) if is_stereo else TALK
    assert told_by_metaflac(
        file, "--show-total-samples", "--show-md5sum", "--show-channels", "--show-sample-rate", "--show-bps"
    ) == ["50001", hashlib.md5(pcm, usedforsecurity=False).hexdigest(), str(1 + is_stereo), "8000", "16"]
    subprocess.run(["flac", "--test", "--silent", "--warnings-as-errors", str(file)], check=True)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "pl_PL.ISO-8859-2"])
@pytest.mark.parametrize("form", ["flac", "opus"])
def test_a_tag_loses_its_letters_or_breaks_out_of_its_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, locale: str
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    found = tags_of(encoded(tmp_path / "kept", form, Sound(raw.read(record(tmp_path / "talk.wav")))))
    assert {name: found.get(name, "") for name in TAGS} == TAGS
    assert set(found) <= {*TAGS, "encoder"}


def test_a_tag_breaks_the_wave_file_that_it_is_in(tmp_path: Path) -> None:
    for letters in (1, 2):
        sound = Sound(raw.read(record(tmp_path / "talk.wav", TALK)))
        file = encoded(
            tmp_path / f"{letters}",
            "wav",
            sound,
            {"title": "ą"[:1] + "x" * letters, "comment": TAGS["comment"]},
        )
        assert tags_of(file) == {"title": "ą" + "x" * letters, "comment": TAGS["comment"]}
        with wave.open(str(file)) as read:
            assert (read.getnframes(), read.readframes(50001)) == (50001, TALK)
        assert int.from_bytes(file.read_bytes()[4:8], "little") == file.stat().st_size - 8


@pytest.mark.parametrize("form", FORMATS)
def test_a_second_try_makes_another_file_of_the_same_talk(tmp_path: Path, form: str) -> None:
    one = raw.read(record(tmp_path / "talk.wav", TALK))
    first, second = (encoded(tmp_path / name, form, Sound(one)) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_a_talk_of_hours_is_held_in_memory(tmp_path: Path, form: str) -> None:
    """Two sides of an hour each, of which only the headers take up disk space: 58 MB each."""
    sides = [record(tmp_path / f"{side}.wav") for side in ("agent", "callee")]
    for each in sides:
        os.truncate(each, 44 + 3600 * 16000)
    agent, callee = map(raw.read, sides)
    sound = Sound(callee, None, AgentsSide(agent, 20))
    tracemalloc.start()
    try:
        encoded(tmp_path / "kept", form, sound)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (sound.duration_ms, sound.silent) == (3600_000, False)
    assert most < 2_000_000


def test_pieces_of_a_talk_are_lost_doubled_or_out_of_step(tmp_path: Path) -> None:
    agent, callee = (
        raw.read(record(tmp_path / "agent.wav", TALK)),
        raw.read(record(tmp_path / "callee.wav", TALK)),
    )
    file = encoded(tmp_path / "kept", "wav", Sound(callee, 5000, AgentsSide(agent, 1500)))
    left, right = sides_of(file)
    assert right == TALK[:80000]
    assert left == TALK[24000:].ljust(80000, b"\0")
    mono = encoded(tmp_path / "mono", "wav", Sound(callee, 5000))
    assert sound_of(mono) == TALK[:80000]


def test_an_agents_side_that_began_after_the_callees_end_is_kept(tmp_path: Path) -> None:
    """The clocks were set meanwhile: the lead is longer than the side."""
    agent, callee = (
        raw.read(record(tmp_path / "agent.wav", SECOND)),
        raw.read(record(tmp_path / "callee.wav", 3 * SECOND)),
    )
    sound = Sound(callee, None, AgentsSide(agent, 1500))
    assert sides_of(encoded(tmp_path / "kept", "wav", sound)) == (bytes(3 * len(SECOND)), 3 * SECOND)
    assert sound.agent_missing_ms == 3000


@pytest.mark.parametrize(
    ("loudest", "is_silent"), [(32, True), (33, False), (-32, True), (-33, False), (-32768, False)]
)
@pytest.mark.parametrize("side", ["agent", "callee"])
@pytest.mark.parametrize("at", [0, 20000])
def test_a_talk_is_called_silent_that_is_louder_than_a_room(
    tmp_path: Path, side: str, at: int, loudest: int, *, is_silent: bool
) -> None:
    """60 dB below full scale are 32.8 of 32768; it is heard on either side, in the first sample and in the last."""
    loud = (bytes(2 * at) + loudest.to_bytes(2, "little", signed=True)).ljust(2 * 20001, b"\0")
    sides = {
        name: raw.read(record(tmp_path / name, loud if name == side else bytes(len(loud))))
        for name in ("agent", "callee")
    }
    sound = Sound(sides["callee"], None, AgentsSide(sides["agent"], 0))
    encoded(tmp_path / "kept", "wav", sound)
    assert sound.silent is is_silent
