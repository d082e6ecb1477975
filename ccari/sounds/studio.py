"""Finds a speaker's recordings, which every build prefers to the synthetic voice."""

import unicodedata
from pathlib import Path

from ccari.errors import SoundError
from ccari.policy.wording import Prompt

#: The file types that a studio may deliver. Whatever they contain is converted.
ENDINGS = ("wav", "flac", "aiff", "mp3", "m4a", "ogg", "opus")
#: The ending of the file beside a recording that holds its words.
WORDS = ".txt"


def folder_of(sounds: Path) -> Path:
    """The folder of imported recordings in a folder of sounds. It cannot be mistaken for a language: no language code is so long."""
    return sounds / "studio"


def find_recording(studio: Path, prompt: Prompt) -> Path | None:
    """The recording of a prompt, ``studio/<key>.<ending>``, or None.

    Beside it there may be ``<key>.txt`` with the words that it says. Raises SoundError if these are not the prompt's words, or if
    there are two recordings.
    """
    recordings = [path for ending in ENDINGS if (path := studio / f"{prompt.key}.{ending}").is_file()]
    if not recordings:
        return None
    if len(recordings) > 1:
        names = " and ".join(path.name for path in recordings)
        raise SoundError(f"{prompt.key}: the studio folder has both {names}: keep one")
    try:
        check_words(recordings[0], prompt)
    except SoundError as error:
        raise SoundError(
            f"{prompt.key}: {error}: import a new recording, or remove {recordings[0]}"
        ) from None
    return recordings[0]


def check_words(recording: Path, prompt: Prompt) -> None:
    """Raise SoundError if the text file beside a recording has words other than the prompt's. Without such a file, the recording is
    trusted.
    """
    words = words_beside(recording)
    if words is not None and words != _one_line(prompt.text):
        raise SoundError(f"the recording says other words than the prompt: {words!r}")


def words_beside(recording: Path) -> str | None:
    """The words in the text file beside a recording (``.txt`` or ``.TXT``); None if there is none. Raises SoundError if it cannot be read, or
    there are two.
    """
    try:
        beside = [each for each in recording.parent.iterdir() if _is_words_of(each, recording)]
        if len(beside) > 1:
            raise SoundError(
                f"its words are both in {' and in '.join(sorted(each.name for each in beside))}: keep one"
            )
        return _one_line(beside[0].read_text(encoding="utf-8-sig")) if beside else None
    except (OSError, UnicodeDecodeError):
        raise SoundError("the words beside the recording cannot be read as UTF-8 text") from None


def _is_words_of(path: Path, recording: Path) -> bool:
    return path.stem == recording.stem and path.suffix.lower() == WORDS


def _one_line(text: str) -> str:
    """On one line, and composed: some systems write ń as two characters."""
    return " ".join(unicodedata.normalize("NFC", text).split())
