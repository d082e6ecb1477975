"""Speech synthesis: the interface of an engine, so that a better voice can be plugged in, and espeak-ng."""

import re
import struct
import subprocess
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

from ccari.errors import SoundError, why

#: Time-out for one prompt, in s. espeak-ng is some hundred times faster than speech.
SPEAK_TIMEOUT = 60.0
#: Time-out for the program to print its version, in s.
VERSION_TIMEOUT = 10.0
#: The header of a WAV file from espeak-ng.
_HEADER_BYTES = 44

_MISSING = "espeak-ng is not installed: apt-get install espeak-ng"


class Engine(Protocol):
    """Synthesises speech. Called from several threads at once."""

    @property
    def name(self) -> str:
        """The engine and its version, such as ``espeak-ng 1.52.0``: the origin of a sound in the manifest."""

    @property
    def settings(self) -> str:
        """Everything else that the sound depends on. If it changes, prompts are rebuilt."""

    def speak(self, text: str, language: str, out: Path) -> None:
        """Write the spoken text as a WAV file of any rate. Raises SoundError if that fails."""


class EspeakNg:
    """espeak-ng: formant synthesis. It sounds plain, but every Debian has it, in all languages, and it needs no network."""

    #: The voice of espeak-ng for each language of the catalogue.
    VOICES: ClassVar = {"pl": "pl", "en": "en-gb", "de": "de", "uk": "uk"}
    #: Words a minute. At the default of 175, a synthetic voice is hard to follow over a telephone (300-3400 Hz).
    SPEED = 165
    #: Speed factors of voices that speak more slowly than the others.
    PACE: ClassVar = {"uk": 1.15}
    #: 0-99, default 50. Slightly higher, since a telephone cuts off the fundamental of a low voice.
    PITCH = 55
    #: Respellings of words that the voice would spell out or mispronounce. The prompt's text, as recorded in the manifest, does not
    #: change.
    SAY: ClassVar = {
        "pl": {
            "sp. z o.o.": "spółka z ograniczoną odpowiedzialnością",
            "sp. z o. o.": "spółka z ograniczoną odpowiedzialnością",
            "S.A.": "spółka akcyjna",
        },
        "en": {"Ltd.": "Limited", "Sp. z o.o.": "spoolka zeh oh oh"},
        "de": {"AG": "Ah Geh", "Sp. z o.o.": "Spulka set o o"},
        "uk": {
            "ТОВ": "товариство з обмеженою відповідальністю",
            "Sp. z o.o.": "товариство з обмеженою відповідальністю",
        },
    }

    def __init__(self, programme: str = "espeak-ng") -> None:
        self._programme = programme

    @cached_property
    def name(self) -> str:
        """Such as ``espeak-ng 1.52.0``. Raises SoundError if the program is not installed."""
        output = self._run(["--version"], "", VERSION_TIMEOUT).decode(errors="replace")
        version = re.search(r"\d+(\.\d+)+", output)
        return f"espeak-ng {version.group() if version else 'unknown'}"

    @property
    def settings(self) -> str:
        return f"voices={self.VOICES} speed={self.SPEED} pace={self.PACE} pitch={self.PITCH} say={self.SAY}"

    def speak(self, text: str, language: str, out: Path) -> None:
        """Write the spoken text as a 22050 Hz mono WAV file. Raises SoundError if that fails."""
        voice = self.VOICES.get(language)
        if voice is None:
            raise SoundError(
                f"espeak-ng has no voice set for language {language!r}: {', '.join(self.VOICES)}"
            )
        options = [
            "-v",
            voice,
            "-s",
            str(round(self.SPEED * self.PACE.get(language, 1.0))),
            "-p",
            str(self.PITCH),
            "-b",
            "1",
            "--stdout",
            "--stdin",
        ]
        spoken = self._run(options, self._spoken(text, language), SPEAK_TIMEOUT)
        # write the file here: on a full disk espeak-ng would leave part of the words, with a header that says they are complete, and exit
        # status 0
        try:
            out.write_bytes(_with_its_length(spoken))
        except OSError as error:
            raise SoundError(f"{out} cannot be written: {why(error)}") from None

    def _spoken(self, text: str, language: str) -> str:
        for written, spoken in self.SAY.get(language, {}).items():
            # at the end of a sentence, an abbreviation's full stop also ends the sentence
            abbreviation = rf"(?<![\w.]){re.escape(written)}(?!\w)"
            text = re.sub(rf"{abbreviation}(\.|$)", f"{spoken}.", text, flags=re.IGNORECASE)
            text = re.sub(abbreviation, spoken, text, flags=re.IGNORECASE)
        # espeak-ng reads control characters as commands and [[...]] as phonemes
        text = "".join(c if c.isprintable() else " " for c in text)
        return text.replace("[[", "").replace("]]", "")

    def _run(self, options: list[str], text: str, timeout: float) -> bytes:
        # pass the text on standard input, so that a leading "-" is not read as an option
        try:
            done = subprocess.run(
                [self._programme, *options],
                input=text.encode(),
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError:
            raise SoundError(_MISSING) from None
        except OSError as error:
            raise SoundError(f"espeak-ng could not be run: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise SoundError(f"espeak-ng did not finish within {timeout:.0f} s") from None
        if done.returncode != 0:
            reason = done.stderr.decode(errors="replace").strip().splitlines()
            raise SoundError(
                f"espeak-ng failed ({done.returncode}): {reason[-1] if reason else 'no reason given'}"
            )
        return done.stdout


def _with_its_length(wav: bytes) -> bytes:
    """A WAV file from standard output, with the right length in its header, which was written before the length was known.

    Raises SoundError if it does not have espeak-ng's header: 44 bytes, the last of them the length.
    """
    if wav[:4] != b"RIFF" or wav[36:40] != b"data":
        raise SoundError("espeak-ng gave no WAV file")
    riff, data = struct.pack("<I", len(wav) - 8), struct.pack("<I", len(wav) - _HEADER_BYTES)
    return wav[:4] + riff + wav[8:40] + data + wav[_HEADER_BYTES:]
