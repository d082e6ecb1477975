"""Recordings made by a speaker, which take the place of the synthetic voice in every build."""

from pathlib import Path

from ccari.errors import SoundError
from ccari.policy.notices import Prompt

#: The kinds of file a studio delivers; whatever is inside is converted.
ENDINGS = ("wav", "flac", "aiff", "mp3", "m4a", "ogg", "opus")
#: Of the file beside a recording with the words that it says.
WORDS = ".txt"


def folder_of(sounds: Path) -> Path:
    """Where the recordings lie that were taken in, below a folder of sounds; no language has so long a code."""
    return sounds / "studio"


def find_recording(studio: Path, prompt: Prompt) -> Path | None:
    """The recording of a prompt, ``studio/<key>.<ending>``, or None.

    Beside it there may be ``<key>.txt`` with the words that it says. Raises SoundError when these are not the
    prompt's words, or when there are two recordings.
    """
    found = [path for ending in ENDINGS if (path := studio / f"{prompt.key}.{ending}").is_file()]
    if not found:
        return None
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise SoundError(f"{prompt.key}: the studio folder has both {names}: keep one")
    try:
        check_words(found[0], prompt)
    except SoundError as error:
        raise SoundError(f"{prompt.key}: {error}: import a new recording, or remove {found[0]}") from None
    return found[0]


def check_words(recording: Path, prompt: Prompt) -> None:
    """Raise SoundError when the text file beside a recording has other words than the prompt; without one, trust it."""
    said = words_beside(recording)
    if said is not None and said != _plain(prompt.text):
        raise SoundError(f"the recording says other words than wanted: {said!r}")


def words_beside(recording: Path) -> str | None:
    """What the recording says, by the text file beside it; None without one."""
    try:
        return _plain(recording.with_suffix(WORDS).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise SoundError("the words beside the recording cannot be read as UTF-8 text") from None


def _plain(text: str) -> str:
    return " ".join(text.split())
