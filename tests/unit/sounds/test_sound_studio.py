"""Studio recordings replace the voice, become telephone sound, and never pass for words that they do not say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ccari.errors import SoundError
from ccari.policy.wording import Prompt
from ccari.sounds import EspeakNg, build
from tests.unit.sounds.earlier import as_an_earlier_version_left_it
from tests.unit.sounds.fitness import check

Samples = npt.NDArray[np.float64]
Read = Callable[[Path], tuple[Samples, int]]
Write = Callable[[Path, Samples, int], Path]

GOODBYE = Prompt("goodbye", "pl", "Dziękujemy. Do widzenia.")
IDENTITY = Prompt("identity", "pl", "Dzień dobry. Dzwonimy w imieniu firmy ACME.", "renewals")


def tones(rate: int, *frequencies: float, seconds: float = 2.0, amplitude: float = 0.3) -> Samples:
    """Tones with half a second of silence before and after."""
    time = np.arange(int(seconds * rate)) / rate
    sound = sum((np.sin(2 * np.pi * f * time) for f in frequencies), np.zeros_like(time)) * amplitude
    return np.pad(sound, rate // 2)


def amplitude(samples: Samples, rate: int, frequency: float) -> float:
    """The level of one frequency in the middle second, in dBFS."""
    middle = samples[len(samples) // 2 - rate // 2 :][:rate] * np.hanning(rate)
    return float(20 * np.log10(np.abs(np.fft.rfft(middle)[round(frequency)]) / (rate / 4) + 1e-12))


def test_a_quiet_stereo_studio_recording_replaces_the_voice_at_the_same_loudness(
    engine: EspeakNg,
    tmp_path: Path,
    write_wav: Write,
    read_sound: Read,
    lufs: Callable[[Samples, int], float],
) -> None:
    quiet = tones(44100, 1000, amplitude=0.004)
    write_wav(tmp_path / "studio/pl/goodbye.wav", np.column_stack([quiet, quiet / 2]), 44100)
    manifest = build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    assert manifest.entries["pl/goodbye"].origin == "studio"
    samples, rate = read_sound(tmp_path / "out/pl/goodbye.sln12")
    assert -24.5 < lufs(samples, rate) < -23.5
    assert amplitude(samples, rate, 1000) > -27
    # half a second of silence on either side is gone, the tail is there
    assert 2100 < manifest.entries["pl/goodbye"].duration_ms < 2300


def test_sibilants_are_not_folded_into_the_telephone_band(
    engine: EspeakNg, tmp_path: Path, write_wav: Write, read_sound: Read
) -> None:
    """7.2 kHz sampled at 12 kHz without a filter is heard as 4.8 kHz, just as loud."""
    write_wav(tmp_path / "studio/pl/goodbye.wav", tones(44100, 1000, 5200, 7200), 44100)
    build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    samples, rate = read_sound(tmp_path / "out/pl/goodbye.sln12")
    assert amplitude(samples, rate, 4800) < amplitude(samples, rate, 1000) - 60
    assert amplitude(samples, rate, 5200) > amplitude(samples, rate, 1000) - 1


def test_a_bang_in_a_recording_does_not_clip_or_make_its_speech_quiet(
    engine: EspeakNg,
    tmp_path: Path,
    write_wav: Write,
    read_sound: Read,
    lufs: Callable[[Samples, int], float],
) -> None:
    sound = tones(44100, 800, amplitude=0.02, seconds=3)
    sound[66150:66250] = 0.9
    write_wav(tmp_path / "studio/pl/goodbye.wav", sound, 44100)
    build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    samples, rate = read_sound(tmp_path / "out/pl/goodbye.sln12")
    assert np.max(np.abs(samples)) < 10 ** (-3 / 20)
    assert -24.7 < lufs(samples, rate) < -23.3
    assert amplitude(samples, rate, 800) > -32


def test_a_sound_too_short_for_the_meter_is_made_as_loud(
    engine: EspeakNg,
    tmp_path: Path,
    write_wav: Write,
    read_sound: Read,
    lufs: Callable[[Samples, int], float],
) -> None:
    """R128 sees nothing in less than 0.4 s; a spoken digit or a tone may be that short."""
    write_wav(tmp_path / "studio/pl/goodbye.wav", tones(16000, 1000, seconds=0.15, amplitude=0.02), 16000)
    build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    samples, rate = read_sound(tmp_path / "out/pl/goodbye.sln12")
    assert len(samples) / rate < 0.4
    assert -25 < lufs(np.tile(samples, 10), rate) < -23


def test_there_is_no_click_at_either_end(
    engine: EspeakNg, tmp_path: Path, write_wav: Write, read_sound: Read
) -> None:
    """A recording cut in the middle of a wave begins and ends with a jump."""
    write_wav(tmp_path / "studio/pl/goodbye.wav", tones(48000, 300)[24100:-24100], 48000)
    build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    samples, rate = read_sound(tmp_path / "out/pl/goodbye.sln12")
    tail = samples[-round(0.14 * rate) :]
    assert np.max(np.abs(tail)) < 0.001
    assert np.max(np.abs(samples[:8])) < 0.01


def test_a_changed_recording_is_built_again_and_a_removed_one_gives_the_voice_back(
    engine: EspeakNg, tmp_path: Path, write_wav: Write
) -> None:
    recording = tmp_path / "studio/pl/goodbye.wav"
    hashes = []
    for frequency in (500, 700):
        write_wav(recording, tones(16000, frequency), 16000)
        entry = build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio").entries[
            "pl/goodbye"
        ]
        hashes.append(entry.files["sln12"].sha256)
    assert hashes[0] != hashes[1]
    recording.unlink()
    entry = build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio").entries[
        "pl/goodbye"
    ]
    assert entry.origin == engine.name


def test_an_old_recording_does_not_pass_for_new_words(
    engine: EspeakNg, tmp_path: Path, write_wav: Write
) -> None:
    """The manifest would prove that a callee heard what nobody ever said."""
    write_wav(tmp_path / "studio/pl/goodbye.wav", tones(16000, 500), 16000)
    build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    changed = Prompt("goodbye", "pl", "Żegnamy.")
    with pytest.raises(
        SoundError,
        match=r"pl/goodbye: the words have changed, and the recording may be of the old ones: .*goodbye\.txt",
    ):
        build([changed], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    said = tmp_path / "studio/pl/goodbye.txt"
    said.write_text("Dziękujemy. Do widzenia.\n", encoding="utf-8")
    with pytest.raises(SoundError, match="pl/goodbye: the recording says other words than the prompt"):
        build([changed], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    said.write_text("Żegnamy.\n", encoding="utf-8")
    build([changed], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    assert check(tmp_path / "out", [changed]) == []


def test_an_update_that_makes_other_files_has_an_old_recording_pass_for_new_words(
    engine: EspeakNg, tmp_path: Path, write_wav: Write
) -> None:
    """Its sound then belongs to another recipe, just as that of another recording would."""
    write_wav(tmp_path / "studio/pl/goodbye.wav", tones(16000, 500), 16000)
    build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    as_an_earlier_version_left_it(tmp_path / "out")
    with pytest.raises(SoundError, match=r"^pl/goodbye: the words have changed, .*goodbye\.txt"):
        build(
            [Prompt("goodbye", "pl", "Żegnamy.")], tmp_path / "out", engine=engine, studio=tmp_path / "studio"
        )
    build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")
    assert check(tmp_path / "out", [GOODBYE]) == []


def test_two_recordings_of_a_prompt_are_refused(engine: EspeakNg, tmp_path: Path, write_wav: Write) -> None:
    path = write_wav(tmp_path / "studio/pl/goodbye.wav", tones(16000, 500), 16000)
    path.with_suffix(".mp3").write_bytes(b"")
    with pytest.raises(
        SoundError, match=r"pl/goodbye: the studio folder has both goodbye\.wav and goodbye\.mp3"
    ):
        build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")


@pytest.mark.parametrize("content", [b"", b"no sound" * 999])
def test_a_recording_that_is_no_sound_is_one_line_and_harms_nothing(
    engine: EspeakNg, tmp_path: Path, content: bytes
) -> None:
    out, recording = tmp_path / "out", tmp_path / "studio/pl/goodbye.flac"
    build([GOODBYE], out, engine=engine)
    before = (out / "pl/goodbye.sln12").read_bytes()
    recording.parent.mkdir(parents=True)
    recording.write_bytes(content)
    with pytest.raises(SoundError, match=r"^pl/goodbye: goodbye\.flac cannot be read as sound: ") as raised:
        build([GOODBYE, IDENTITY], out, engine=engine, studio=tmp_path / "studio")
    assert "\n" not in str(raised.value)
    assert not list(out.glob(".*"))
    assert (out / "pl/goodbye.sln12").read_bytes() == before
    assert check(out, [GOODBYE]) == []


def test_a_silent_recording_is_refused(engine: EspeakNg, tmp_path: Path, write_wav: Write) -> None:
    write_wav(tmp_path / "studio/pl/goodbye.wav", np.zeros(16000), 16000)
    with pytest.raises(SoundError, match=r"pl/goodbye: goodbye\.wav contains only silence"):
        build([GOODBYE], tmp_path / "out", engine=engine, studio=tmp_path / "studio")


def test_studio_recordings_need_no_engine(tmp_path: Path, write_wav: Write) -> None:
    write_wav(tmp_path / "studio/pl/goodbye.wav", tones(16000, 500), 16000)
    absent = EspeakNg("espeak-ng-that-is-not-there")
    assert build([GOODBYE], tmp_path / "out", engine=absent, studio=tmp_path / "studio").entries
