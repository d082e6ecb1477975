"""A speaker's recordings: what no callee could understand is refused, the rest is kept for every later build."""

import os
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ccari.errors import SoundError
from ccari.policy.wording import Prompt
from ccari.sounds import EspeakNg, build
from ccari.sounds.audio import load
from ccari.sounds.intake import Recording, examine, take
from ccari.sounds.studio import folder_of
from tests.folders import open_folder
from tests.unit.recordings.disks import mounted
from tests.unit.sounds.fitness import check

Samples = npt.NDArray[np.float64]
Write = Callable[[Path, Samples, int], Path]

#: The uid of a user who owns nothing.
NOBODY = 65534

GOODBYE = Prompt("goodbye", "pl", "Dziękujemy. Do widzenia.")
IDENTITY = Prompt("identity", "pl", "Dzień dobry. Dzwonimy w imieniu firmy ACME.", "renewals")
PROMPTS = [GOODBYE, IDENTITY]


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words of the right length, as a studio would deliver them: 44.1 kHz, with silence before and after."""
    folder = tmp_path_factory.mktemp("voice")
    EspeakNg().speak(GOODBYE.text, "pl", folder / "spoken.wav")
    convert(
        folder / "spoken.wav", folder / "voice.wav", "adelay=700,apad=pad_dur=0.9,volume=-9dB", "-ar", "44100"
    )
    return folder / "voice.wav"


def convert(path: Path, to: Path, filters: str, *options: str) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(path), "-af", filters, *options, str(to)]
    subprocess.run(command, check=True, timeout=60)
    return to


def looked_at(folder: Path) -> dict[str, Recording]:
    return {each.name: each for each in examine(folder, PROMPTS)}


def faults(folder: Path) -> dict[str, str | None]:
    return {name: each.fault for name, each in looked_at(folder).items()}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pl/goodbye.wav", ()),
        ("pl/goodbye.WAV", ("-c:a", "pcm_s24le", "-ac", "2")),
        ("pl.goodbye.flac", ()),
        ("pl/goodbye.mp3", ("-b:a", "96k")),
        ("pl/goodbye.ogg", ()),
        ("pl.goodbye.opus", ()),
        ("pl/goodbye.m4a", ()),
        ("pl/goodbye.aiff", ()),
    ],
)
def test_a_good_recording_is_taken_in_whatever_a_studio_delivers_it(
    voice: Path, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    convert(voice, tmp_path / "in" / name, "anull", *options)
    found = looked_at(tmp_path / "in")[name]
    assert (found.prompt, found.fault, found.doubt) == (GOODBYE, None, None)
    assert take([found], tmp_path / "studio") == [GOODBYE]


@pytest.mark.parametrize(
    ("name", "options"),
    [("pl/goodbye.wav", ("-c:a", "pcm_s24le", "-ac", "2")), ("pl/goodbye.mp3", ("-b:a", "96k"))],
    ids=["wav", "mp3"],
)
def test_the_silence_before_and_after_a_recording_is_played(
    voice: Path, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    convert(voice, tmp_path / "in" / name, "anull", *options)
    out = tmp_path / "out"
    assert take(examine(tmp_path / "in", PROMPTS), folder_of(out)) == [GOODBYE]
    entry = build([GOODBYE], out, engine=EspeakNg(), studio=folder_of(out)).entries["pl/goodbye"]
    assert entry.origin == "studio"
    assert entry.duration_ms < 2600


@pytest.mark.parametrize("gain", [24, 30])
def test_clipping_is_seen_through_a_lossy_codec(voice: Path, tmp_path: Path, gain: int) -> None:
    """Its decoder gives the edges a crest again, over full scale."""
    clipped = convert(voice, tmp_path / "clipped.wav", f"volume={gain}dB")
    convert(clipped, tmp_path / "in/pl/goodbye.mp3", "anull", "-b:a", "128k")
    assert faults(tmp_path / "in") == {"pl/goodbye.mp3": "clipped: record it again at a lower level"}


@pytest.mark.parametrize(
    ("filters", "options", "fault"),
    [
        ("volume=30dB", (), "clipped: record it again at a lower level"),
        ("volume=0", (), "contains only silence"),
        ("anull", ("-ar", "6000"), "sampled at 6000 Hz: at least 8000, better 12000 or more"),
        ("atrim=0:1.2", (), "too short: 0.5 s for 24 letters: something is missing"),
        ("aloop=loop=3:size=140000", (), "too long: 11.3 s for 24 letters: something else is in it"),
    ],
)
def test_what_no_callee_could_understand_is_refused_with_the_reason(
    voice: Path, tmp_path: Path, filters: str, options: tuple[str, ...], fault: str
) -> None:
    convert(voice, tmp_path / "pl/goodbye.wav", filters, *options)
    assert faults(tmp_path) == {"pl/goodbye.wav": fault}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pl/goodbye.wav", ()),
        ("pl/goodbye.wav", ("-c:a", "pcm_s24le", "-ac", "2")),
        ("pl/goodbye.flac", ()),
        ("pl/goodbye.aiff", ()),
        ("pl/goodbye.mp3", ("-b:a", "96k")),
        ("pl/goodbye.m4a", ("-movflags", "+faststart")),
    ],
)
def test_a_notice_that_was_not_copied_to_its_end_is_heard_without_its_last_words(
    voice: Path, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    """What is left is not too short for the words, but the last of them are missing."""
    path = convert(voice, tmp_path / name, "atrim=start=0.6,areverse,atrim=start=0.8,areverse", *options)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    assert str(faults(tmp_path)[name]).startswith("cut off: ")


def test_a_recording_that_was_written_to_a_pipe_is_taken_for_one_that_is_cut_off(
    voice: Path, tmp_path: Path
) -> None:
    """Its header has no length."""
    target = tmp_path / "pl/goodbye.wav"
    target.parent.mkdir()
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(voice), "-f", "wav", "-"]
    target.write_bytes(subprocess.run(command, check=True, timeout=60, capture_output=True).stdout)
    assert faults(tmp_path) == {"pl/goodbye.wav": None}


def test_a_whole_session_under_the_name_of_a_prompt_takes_all_memory(voice: Path, tmp_path: Path) -> None:
    convert(voice, tmp_path / "pl/goodbye.flac", "apad=whole_dur=301")
    assert faults(tmp_path) == {"pl/goodbye.flac": "too long: 301 s: a file holds one prompt"}


def test_a_recording_that_just_reaches_full_scale_is_not_taken_for_clipped(
    voice: Path, tmp_path: Path, write_wav: Write, read_wav: Callable[[Path], tuple[Samples, int]]
) -> None:
    samples, rate = read_wav(voice)
    write_wav(tmp_path / "pl/goodbye.wav", samples / np.max(np.abs(samples)), rate)
    assert faults(tmp_path) == {"pl/goodbye.wav": None}


def test_a_telephone_recording_is_taken_but_somebody_is_told(voice: Path, tmp_path: Path) -> None:
    convert(voice, tmp_path / "pl/goodbye.wav", "anull", "-ar", "8000", "-c:a", "pcm_alaw")
    found = looked_at(tmp_path)["pl/goodbye.wav"]
    assert found.fault is None
    assert found.doubt == "sampled at 8000 Hz: muffled on telephones that carry more"


def test_what_is_no_recording_of_a_prompt_is_told_and_hidden_files_are_not(
    voice: Path, tmp_path: Path
) -> None:
    convert(voice, tmp_path / "pl/godbye.wav", "anull")
    (tmp_path / "pl/goodbye.wav").write_bytes(b"no sound" * 999)
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/pl.goodbye.wav").write_bytes(b"x")
    found = faults(tmp_path)
    assert str(found.pop("pl/goodbye.wav")).startswith("cannot be read as sound: ")
    assert found == {
        "invoice.pdf": "not a kind of recording that can be imported: wav, flac, aiff, mp3, m4a, ogg, opus",
        "pl/godbye.wav": "no prompt has that name: ccari sounds list shows the names",
    }


def test_what_cannot_be_read_is_left_out_of_a_delivery_without_a_word(voice: Path, tmp_path: Path) -> None:
    """A language behind a link, or on a disk that is not mounted, would be synthesised, and the import would say that all is good."""
    convert(voice, tmp_path / "elsewhere/goodbye.wav", "anull")
    delivered = tmp_path / "in"
    delivered.mkdir()
    (delivered / "pl").symlink_to(tmp_path / "elsewhere")
    (delivered / "pl.goodbye.wav").symlink_to(tmp_path / "nowhere.wav")
    os.mkfifo(delivered / "pl.renewals.identity.wav")
    fault = "not a file, but a link to a folder or to nothing, or a pipe"
    assert faults(delivered) == dict.fromkeys(("pl", "pl.goodbye.wav", "pl.renewals.identity.wav"), fault)


def test_two_recordings_of_a_prompt_are_both_refused(voice: Path, tmp_path: Path) -> None:
    """Only the studio knows which of them is the old one."""
    for name in ("pl.goodbye.wav", "pl/goodbye.flac"):
        convert(voice, tmp_path / name, "anull")
    assert faults(tmp_path) == {
        "pl.goodbye.wav": "pl/goodbye.flac is a recording of the same prompt: keep one",
        "pl/goodbye.flac": "pl.goodbye.wav is a recording of the same prompt: keep one",
    }


def test_a_recording_of_other_words_is_refused(voice: Path, tmp_path: Path) -> None:
    convert(voice, tmp_path / "pl/goodbye.wav", "anull")
    (tmp_path / "pl/goodbye.txt").write_text("Dziękujemy. Żegnamy.", encoding="utf-8")
    assert faults(tmp_path) == {
        "pl/goodbye.wav": "the recording says other words than the prompt: 'Dziękujemy. Żegnamy.'"
    }


def test_words_in_a_file_named_in_capitals_are_not_compared(voice: Path, tmp_path: Path) -> None:
    """The proof of what a callee heard would have words that nobody said."""
    convert(voice, tmp_path / "pl/goodbye.wav", "anull")
    words = tmp_path / "pl/goodbye.TXT"
    words.write_text("Dziękujemy. Żegnamy.", encoding="utf-8")
    assert str(faults(tmp_path)["pl/goodbye.wav"]).startswith("the recording says other words")
    words.write_text(unicodedata.normalize("NFD", GOODBYE.text), encoding="utf-8")
    assert faults(tmp_path) == {"pl/goodbye.wav": None}
    words.with_suffix(".txt").write_text(GOODBYE.text, encoding="utf-8")
    assert faults(tmp_path) == {
        "pl/goodbye.wav": "its words are both in goodbye.TXT and in goodbye.txt: keep one"
    }


def test_a_later_build_keeps_the_recording_until_its_words_change(voice: Path, tmp_path: Path) -> None:
    """The synthetic voice would come back unasked, or the old recording would be proof of new words."""
    convert(voice, tmp_path / "in/pl/goodbye.wav", "anull")
    studio = folder_of(tmp_path)
    take(examine(tmp_path / "in", PROMPTS), studio)
    for _ in range(2):
        built = build(PROMPTS, tmp_path, engine=EspeakNg(), studio=studio)
        assert [built.entries[each.key].origin for each in PROMPTS] == ["studio", EspeakNg().name]
    changed = Prompt("goodbye", "pl", "Żegnamy.")
    with pytest.raises(
        SoundError, match=r"pl/goodbye: the recording says other words than the prompt: .*import a new"
    ) as raised:
        build([changed], tmp_path, engine=EspeakNg(), studio=studio)
    assert str(studio / "pl/goodbye.wav") in str(raised.value)


def test_a_new_recording_takes_the_place_of_one_of_another_kind(voice: Path, tmp_path: Path) -> None:
    studio = folder_of(tmp_path / "out")
    for folder, name in (("old", "pl/goodbye.wav"), ("new", "pl.goodbye.flac")):
        convert(voice, tmp_path / folder / name, "anull")
        take(examine(tmp_path / folder, PROMPTS), studio)
        build([GOODBYE], tmp_path / "out", engine=EspeakNg(), studio=studio)
    assert sorted(path.name for path in studio.rglob("*.*")) == ["goodbye.flac", "goodbye.txt"]
    assert check(tmp_path / "out", [GOODBYE]) == []


def test_only_what_is_good_is_taken(voice: Path, tmp_path: Path) -> None:
    convert(voice, tmp_path / "in/pl/goodbye.wav", "anull")
    convert(voice, tmp_path / "in/pl/renewals/identity.wav", "volume=30dB")
    assert take(examine(tmp_path / "in", PROMPTS), tmp_path / "studio") == [GOODBYE]
    assert not list((tmp_path / "studio").rglob("identity.*"))


def test_a_delivery_loses_a_language_whose_folder_is_closed() -> None:
    with open_folder("delivery") as folder:
        folder.chmod(0o755)
        (folder / "pl").mkdir(mode=0o700)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(SoundError, match=f"^cannot read {folder}/pl: Permission denied$"):
                list(examine(folder, PROMPTS))
        finally:
            os.seteuid(0)


def test_a_full_disk_is_blamed_on_the_recording(voice: Path, tmp_path: Path) -> None:
    convert(voice, tmp_path / "in/pl/goodbye.wav", "anull")
    found = list(examine(tmp_path / "in", PROMPTS))
    studio = tmp_path / "out"
    studio.mkdir()
    with mounted(studio, "size=40k"), pytest.raises(SoundError) as raised:
        take(found, studio)
    wanted = f"pl/goodbye.wav cannot be copied to {studio}/pl/goodbye.wav: No space left on device"
    assert str(raised.value) == wanted
    with (
        mounted(studio, "size=40k"),
        pytest.raises(SoundError, match=r"ffmpeg failed: .*No space left on device$"),
    ):
        load(voice, studio)


def test_a_full_disk_takes_a_part_of_a_delivery_and_stays_full(tmp_path: Path) -> None:
    """Builds would mix the old speaker with the new one, after an import that says nothing but that it failed."""
    voices = {}
    for name, size in {"old": 20_000, "new": 20_000, "long": 400_000}.items():
        voices[name] = tmp_path / f"{name}.wav"
        voices[name].write_bytes(name.encode() * size)
    with mounted(tmp_path / "out", "size=256k") as studio:
        before = [Recording(each.id, voices["old"], each) for each in PROMPTS]
        assert take(before, studio) == PROMPTS
        kept = {path: path.read_bytes() for path in studio.rglob("*") if path.is_file()}
        assert {path.name for path in kept} == {"goodbye.wav", "goodbye.txt", "identity.wav", "identity.txt"}
        with pytest.raises(SoundError, match=r"identity.wav: No space left on device$"):
            take(
                [
                    Recording("goodbye", voices["new"], GOODBYE),
                    Recording("identity", voices["long"], IDENTITY),
                ],
                studio,
            )
        assert {path: path.read_bytes() for path in studio.rglob("*") if path.is_file()} == kept


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match="nowhere: no such folder"):
        list(examine(tmp_path / "nowhere", PROMPTS))
