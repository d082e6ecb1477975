"""Recordings made by a speaker, which replace the synthetic voice."""

from pathlib import Path

from ccari.errors import SoundError
from ccari.policy.notices import Prompt

#: The kinds of file a studio delivers; whatever is inside is converted.
ENDINGS = ("wav", "flac", "mp3", "ogg")


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
    said = words_beside(studio, prompt)
    if said is not None and said != _plain(prompt.text):
        raise SoundError(
            f"{prompt.key}: the recording says other words than wanted: {said!r}: record it anew or remove it"
        )
    return found[0]


def words_beside(studio: Path, prompt: Prompt) -> str | None:
    """What the recording says, by the text file beside it; None without one."""
    try:
        return _plain((studio / f"{prompt.key}.txt").read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise SoundError(
            f"{prompt.key}: the words beside the recording cannot be read as UTF-8 text"
        ) from None


def _plain(text: str) -> str:
    return " ".join(text.split())
