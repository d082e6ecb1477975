"""The manifest of a folder of sounds: the words, origin and hash of every file.

It proves which audio a callee heard: evidence refers to a prompt by key, words and sha256.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ccari.errors import SoundError
from ccari.policy import wording
from ccari.sounds.audio import FORMAT

#: Asterisk reads sounds as another user, and only their owner may change them, whatever the umask of the build.
FOLDER_MODE, FILE_MODE = 0o755, 0o644
FILE_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class SoundFile:
    """``sha256`` of the whole file; ``lufs`` integrated loudness and ``peak_dbtp`` true peak of the samples coded in it."""

    sha256: str
    lufs: float
    peak_dbtp: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One prompt as built.

    ``origin``: the engine, such as ``espeak-ng 1.52.0``, or ``studio``. ``recipe``: a digest of everything that the sound was made from,
    except its language; a later build compares it to see whether anything has changed. ``files``: by ending; builds of earlier versions
    had other endings, and several.
    """

    text: str
    language: str
    origin: str
    duration_ms: int
    recipe: str
    files: Mapping[str, SoundFile]

    @property
    def digest(self) -> str:
        """The digest of its audio: see :func:`ccari.policy.wording.audio_digest`."""
        return wording.audio_digest({ending: file.sha256 for ending, file in self.files.items()})


@dataclass(frozen=True, slots=True)
class Manifest:
    """The entries by prompt key, as in ``pl/renewals/identity``."""

    entries: Mapping[str, Entry]

    @classmethod
    def load(cls, directory: Path) -> "Manifest":
        """Read the manifest of a folder. Raises SoundError if there is none or it is damaged."""
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

    def save(self, directory: Path) -> None:
        """Write the manifest, whole or not at all. Equal entries give equal bytes."""
        with self.draft(directory) as draft:
            draft.replace(directory / FILE_NAME)

    @contextlib.contextmanager
    def draft(self, directory: Path) -> Iterator[Path]:
        """Write the manifest under a temporary name in ``directory``, to be renamed; afterwards it is removed if it was not renamed."""
        table = {key: asdict(entry) for key, entry in self.entries.items()}
        text = json.dumps(table, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        draft = directory / f".{FILE_NAME}.{os.getpid()}"
        try:
            draft.write_text(text, encoding="utf-8")
            draft.chmod(FILE_MODE)
            yield draft
        finally:
            draft.unlink(missing_ok=True)


def damage(directory: Path, key: str, entry: Entry) -> Iterator[str]:
    """What is wrong with a prompt's files, a line each; nothing if they are byte for byte what was built."""
    name, built = f"{key}.{FORMAT}", entry.files.get(FORMAT)
    try:
        content = (directory / name).read_bytes()
    except FileNotFoundError:
        yield f"{name}: the file is missing: ccari sounds build"
    except OSError as error:
        yield f"{name}: cannot be read: {error.strerror}"
    else:
        if not content:
            yield f"{name}: the file is empty: ccari sounds build"
        elif built is None or hashlib.sha256(content).hexdigest() != built.sha256:
            yield f"{name}: changed since it was built: ccari sounds build"
    for path in in_other_formats(directory, key):
        yield f"{path.relative_to(directory)}: not built, but Asterisk might play it: ccari sounds build"


def in_other_formats(directory: Path, key: str) -> list[Path]:
    """A prompt's files in formats other than FORMAT: Asterisk plays whichever is nearest to the call's codec."""
    folder, name = os.path.split(directory / key)
    try:
        beside = os.listdir(folder)  # noqa: PTH208 - for each of hundreds of sounds, and a glob takes twenty times as long
    except OSError:
        return []
    return sorted(
        Path(folder, each)
        for each in beside
        if each.startswith(f"{name}.") and each.rpartition(".")[2] != FORMAT
    )


def _entry(table: dict[str, object]) -> Entry:
    files = table.pop("files")
    if not isinstance(files, dict):
        raise TypeError
    return Entry(files={ending: SoundFile(**file) for ending, file in files.items()}, **table)  # type: ignore[arg-type]
