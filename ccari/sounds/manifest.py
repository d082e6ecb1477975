"""What lies in a folder of sounds: the words, origin and hash of every file.

It is the proof of what exact audio a callee heard: evidence refers to a prompt by key, words and sha256.
"""

import hashlib
import io
import json
import os
import wave
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ccari.errors import SoundError
from ccari.policy.notices import Prompt
from ccari.sounds.audio import FORMATS

FILE_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class SoundFile:
    """``sha256`` of the whole file, ``lufs`` integrated loudness, ``peak_dbtp`` true peak; both measured after writing."""

    sha256: str
    lufs: float
    peak_dbtp: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One prompt as it was built.

    ``origin`` is ``espeak-ng 1.52.0`` or ``studio``; ``recipe`` a digest of all that the sound was made from, by
    which a later build knows that nothing changed; ``files`` has one file for each ending of FORMATS.
    """

    text: str
    language: str
    origin: str
    duration_ms: int
    recipe: str
    files: Mapping[str, SoundFile]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The entries by prompt key, as in ``pl/renewals/identity``."""

    entries: Mapping[str, Entry]

    @classmethod
    def load(cls, directory: Path) -> "Manifest":
        """Read the manifest of a folder. Raises SoundError when there is none or it is damaged."""
        path = directory / FILE_NAME
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            return cls({key: _entry(entry) for key, entry in table.items()})
        except FileNotFoundError:
            raise SoundError(f"{path}: no prompts have been built there: ccari sounds build") from None
        except OSError as error:
            raise SoundError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, AttributeError):
            raise SoundError(f"{path}: damaged: remove it and run ccari sounds build") from None

    def entry(self, key: str) -> Entry:
        """The entry of a prompt. Raises SoundError when it was not built."""
        try:
            return self.entries[key]
        except KeyError:
            raise SoundError(f"{key}: not built: ccari sounds build") from None

    def save(self, directory: Path) -> None:
        """Write the manifest, whole or not at all. The same entries give the same bytes."""
        table = {key: asdict(entry) for key, entry in self.entries.items()}
        text = json.dumps(table, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        draft = directory / f".{FILE_NAME}.{os.getpid()}"
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(directory / FILE_NAME)
        finally:
            draft.unlink(missing_ok=True)


def check(directory: Path, prompts: Iterable[Prompt]) -> list[str]:
    """Say what is wrong with the sounds that a policy needs: one line a problem, none when a callee will hear all of them.

    Found are prompts never built or built with other words, files that are missing, empty, no telephone WAV, or
    changed since they were built.
    """
    try:
        manifest = Manifest.load(directory)
    except SoundError as error:
        return [str(error)]
    problems = []
    for prompt in prompts:
        entry = manifest.entries.get(prompt.key)
        if entry is None:
            problems.append(f"{prompt.key}: not built: ccari sounds build")
            continue
        if entry.text != prompt.text:
            problems.append(f"{prompt.key}: built with other words than wanted: ccari sounds build")
        problems += [p for ending in FORMATS if (p := damage(directory, prompt.key, entry, ending))]
    return problems


def damage(directory: Path, key: str, entry: Entry, ending: str) -> str | None:
    """What is wrong with one file of a prompt, as a line; None when it is byte for byte what was built."""
    name = f"{key}.{ending}"
    try:
        content = (directory / name).read_bytes()
    except FileNotFoundError:
        return f"{name}: the file is missing: ccari sounds build"
    except OSError as error:
        return f"{name}: cannot be read: {error.strerror}"
    if wrong := _unplayable(content, FORMATS[ending]):
        return f"{name}: {wrong}: ccari sounds build"
    known = entry.files.get(ending)
    if known is None or hashlib.sha256(content).hexdigest() != known.sha256:
        return f"{name}: changed since it was built: ccari sounds build"
    return None


def _unplayable(content: bytes, rate: int) -> str | None:
    if not content:
        return "the file is empty"
    try:
        with wave.open(io.BytesIO(content)) as sound:
            if (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) != (1, 2, rate):
                return f"not 16-bit mono at {rate} Hz"
            if sound.getnframes() == 0:
                return "it holds no sound"
    except (wave.Error, EOFError):
        return "not a WAV file"
    return None


def _entry(table: dict[str, object]) -> Entry:
    files = table.pop("files")
    if not isinstance(files, dict):
        raise TypeError
    return Entry(files={ending: SoundFile(**file) for ending, file in files.items()}, **table)  # type: ignore[arg-type]
