"""Speech synthesis behind one small protocol, so that a better voice can be plugged in."""

import re
import subprocess
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

from ccari.errors import SoundError

#: Seconds for one prompt; espeak-ng is some hundred times faster than speech.
SPEAK_TIMEOUT = 60.0
#: Seconds to ask the programme for its version.
VERSION_TIMEOUT = 10.0

_MISSING = "espeak-ng is not installed: apt-get install espeak-ng"


class Engine(Protocol):
    """Says words into a file. Called from several threads at once."""

    @property
    def name(self) -> str:
        """The engine and its version, as the manifest names the origin of a sound: ``espeak-ng 1.52.0``."""

    @property
    def settings(self) -> str:
        """Whatever else changes the sound: when it changes, prompts are built again."""

    def speak(self, text: str, language: str, out: Path) -> None:
        """Write the spoken text as a WAV file of any rate. Raises SoundError when it cannot."""


class EspeakNg:
    """espeak-ng: formant synthesis, not pretty, but there on every Debian, in every language, with no network."""

    #: Languages of the catalogue to voices of espeak-ng.
    VOICES: ClassVar = {"pl": "pl", "en": "en-gb", "de": "de", "uk": "uk"}
    #: Words a minute. The default 175 is hard to follow for a synthetic voice through 300-3400 Hz.
    SPEED = 165
    #: By how much a voice is told to hurry that would else speak more slowly than the others.
    PACE: ClassVar = {"uk": 1.15}
    #: 0-99, default 50: slightly higher, as the telephone takes the fundamental of a low voice away.
    PITCH = 55
    #: What the voice would spell or stumble over, and how it is said. The prompt's own words stay as they are.
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
        """``espeak-ng 1.52.0``. Raises SoundError when the programme is not installed."""
        said = self._run(["--version"], "", VERSION_TIMEOUT)
        version = re.search(r"\d+(\.\d+)+", said)
        return f"espeak-ng {version.group() if version else 'unknown'}"

    @property
    def settings(self) -> str:
        return f"voices={self.VOICES} speed={self.SPEED} pace={self.PACE} pitch={self.PITCH} say={self.SAY}"

    def speak(self, text: str, language: str, out: Path) -> None:
        """Write the spoken text as a 22050 Hz mono WAV file. Raises SoundError when it cannot."""
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
            "-w",
            str(out),
            "--stdin",
        ]
        self._run(options, self._spoken(text, language), SPEAK_TIMEOUT)
        # it ends with 0 even when it could not write
        if not out.is_file():
            raise SoundError(f"espeak-ng could not write {out}")

    def _spoken(self, text: str, language: str) -> str:
        for written, said in self.SAY.get(language, {}).items():
            # its full stop, when it is the last word, also ends the sentence
            abbreviation = rf"(?<![\w.]){re.escape(written)}(?!\w)"
            text = re.sub(rf"{abbreviation}(\.|$)", f"{said}.", text, flags=re.IGNORECASE)
            text = re.sub(abbreviation, said, text, flags=re.IGNORECASE)
        # espeak-ng takes control characters for commands and [[...]] for phonemes
        text = "".join(c if c.isprintable() else " " for c in text)
        return text.replace("[[", "").replace("]]", "")

    def _run(self, options: list[str], text: str, timeout: float) -> str:
        # the text goes through stdin: no shell sees it, and one that begins with "-" is no option
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
        return done.stdout.decode(errors="replace")
