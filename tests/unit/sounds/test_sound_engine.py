"""espeak-ng speaks whatever it is given, and does nothing but speak it."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from ccari.errors import SoundError
from ccari.sounds import Catalogue, EspeakNg
from tests.unit.recordings.disks import mounted

ReadWav = Callable[[Path], tuple[npt.NDArray[np.float64], int]]

MISSING = "espeak-ng is not installed: apt-get install espeak-ng"


@pytest.fixture
def spoken(engine: EspeakNg, tmp_path: Path) -> Callable[[str, str], bytes]:
    def speak(text: str, language: str) -> bytes:
        out = tmp_path / "out.wav"
        engine.speak(text, language, out)
        return out.read_bytes()

    return speak


@pytest.mark.parametrize("text", ["--version", "-f /etc/passwd", "-w stolen.wav Dzień dobry", "--help"])
def test_words_that_look_like_an_option_are_spoken(
    engine: EspeakNg, tmp_path: Path, read_wav: ReadWav, text: str
) -> None:
    out = tmp_path / "out.wav"
    engine.speak(text, "pl", out)
    samples, rate = read_wav(out)
    assert len(samples) / rate > 0.4
    assert [out] == list(tmp_path.iterdir())


def test_shell_characters_are_spoken_not_executed(
    engine: EspeakNg, tmp_path: Path, read_wav: ReadWav
) -> None:
    trap, out = tmp_path / "trap", tmp_path / "out.wav"
    engine.speak(
        f"$(touch {trap}) `touch {trap}`; touch {trap} & | touch {trap} > {trap} 'x' \"y\"", "en", out
    )
    samples, rate = read_wav(out)
    assert len(samples) / rate > 2
    assert not trap.exists()


def test_control_characters_do_not_command_the_voice(spoken: Callable[[str, str], bytes]) -> None:
    """espeak-ng takes control-A for the start of a command: this one would turn the volume to nothing."""
    assert spoken("Dzień  0A dobry", "pl") == spoken("Dzień \x010A dobry", "pl")


def test_double_brackets_are_not_taken_for_phonemes(spoken: Callable[[str, str], bytes]) -> None:
    assert spoken("Firma abc dzwoni", "pl") == spoken("Firma [[abc]] dzwoni", "pl")


def test_a_company_form_is_said_in_full_and_does_not_end_the_sentence(
    spoken: Callable[[str, str], bytes],
) -> None:
    full = spoken("ACME spółka z ograniczoną odpowiedzialnością dzwoni.", "pl")
    assert full == spoken("ACME Sp. z o.o. dzwoni.", "pl")
    assert spoken("To spółka akcyjna.", "pl") == spoken("To S.A.", "pl") == spoken("To S.A..", "pl")


def test_a_word_that_only_begins_like_a_company_form_is_left_alone(
    spoken: Callable[[str, str], bytes],
) -> None:
    full = "товариство з обмеженою відповідальністю"
    assert spoken("ТОВ Вектор", "uk") == spoken(f"{full} Вектор", "uk")
    assert spoken("товари", "uk") != spoken(f"{full}ари", "uk")
    assert spoken("Agentur", "de") != spoken("Ah Gehentur", "de")


def test_a_country_is_read_as_a_company_form(tmp_path: Path, spoken: Callable[[str, str], bytes]) -> None:
    class AsWritten(EspeakNg):
        SAY: ClassVar = {}

    out = tmp_path / "as_written.wav"
    AsWritten().speak("Dzwoni ACME z U.S.A.", "pl", out)
    assert spoken("Dzwoni ACME z U.S.A.", "pl") == out.read_bytes()


def test_each_language_has_a_voice_of_its_own(
    catalogue: Catalogue, spoken: Callable[[str, str], bytes]
) -> None:
    voices = {spoken("nagrywana", language) for language in catalogue.languages}
    assert len(voices) == len(catalogue.languages)


def test_ukrainian_is_read_and_not_spelt_letter_by_letter(spoken: Callable[[str, str], bytes]) -> None:
    """A voice that does not know the script would say the names of its letters, at many times the length."""
    apart = " ".join("записується")
    assert len(spoken("записується", "uk")) * 2 < len(spoken(apart, "uk"))


def test_a_missing_program_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    absent = EspeakNg("espeak-ng-that-is-not-there")
    with pytest.raises(SoundError) as raised:
        absent.speak("Dzień dobry", "pl", tmp_path / "out.wav")
    assert str(raised.value) == MISSING
    with pytest.raises(SoundError) as raised:
        _ = absent.name
    assert str(raised.value) == MISSING


def test_a_program_that_says_nothing_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match=r"^espeak-ng gave no WAV file$"):
        EspeakNg("true").speak("Dzień dobry", "pl", tmp_path / "out.wav")


def test_a_failing_program_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match=r"^espeak-ng failed \(1\): no reason given$"):
        EspeakNg("false").speak("Dzień dobry", "pl", tmp_path / "out.wav")


def test_a_file_that_was_not_written_is_noticed(engine: EspeakNg, tmp_path: Path) -> None:
    with pytest.raises(SoundError, match=r"out\.wav cannot be written: No such file or directory$"):
        engine.speak("Dzień dobry", "pl", tmp_path / "no such folder" / "out.wav")


def test_a_full_disk_cuts_a_prompt_short(engine: EspeakNg, tmp_path: Path) -> None:
    """espeak-ng itself exits with 0, and its header claims that what there was room for is all: callees would hear half
    a notice.
    """
    whole, folder, words = tmp_path / "whole.wav", tmp_path / "disk", []
    engine.speak("Ta rozmowa jest nagrywana.", "pl", whole)
    folder.mkdir()
    for room in range(4, whole.stat().st_size // 1024 + 8, 8):
        with mounted(folder, f"size={room}k"):
            try:
                engine.speak("Ta rozmowa jest nagrywana.", "pl", folder / "out.wav")
            except SoundError as error:
                words.append(str(error))
            else:
                assert (folder / "out.wav").read_bytes() == whole.read_bytes()
                break
    assert len(words) >= 3
    assert {each.rpartition(": ")[2] for each in words} == {"No space left on device"}


def test_a_language_without_a_voice_is_refused(engine: EspeakNg, tmp_path: Path) -> None:
    with pytest.raises(SoundError, match="no voice set for language 'xx'"):
        engine.speak("hello", "xx", tmp_path / "out.wav")


def test_the_name_tells_the_version(engine: EspeakNg) -> None:
    name, version = engine.name.split(" ")
    assert name == "espeak-ng"
    assert version[0].isdigit()
