"""Copies of what callees hear, by what names the audio, and its words by their version: a sound that is built anew takes the
old one's place, and the catalogue has only the words of today.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import structlog

from ccari.errors import why
from ccari.keyring.files import draft_of, settle
from ccari.policy import notices

_log = structlog.get_logger()


class Copies:
    """``folder/DIGEST/ENDING`` and ``folder/VERSION.json``, each written whole or not at all; a copy never changes, unless it was damaged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, digest: str, files: Mapping[str, Path]) -> None:
        """Copy the files, by ending, of a sound that calls will play. No call fails for want of a copy."""
        into = self._folder / digest
        try:
            found = {ending: path.read_bytes() for ending, path in files.items()}
            if _named(found) != digest or all(
                _holds(into / each, content) for each, content in found.items()
            ):
                # spoilt since it was looked at, or copied before
                return
            into.mkdir(parents=True, exist_ok=True)
            for ending, content in found.items():
                with draft_of(into / ending, content, for_folder=True) as draft:
                    draft.replace(into / ending)
            for each in (into, self._folder, self._folder.parent):
                settle(each)
        except OSError as error:
            _log.warning("sound_not_copied", folder=str(self._folder), reason=why(error))

    def read(self, digest: str) -> dict[str, bytes]:
        """The files of a sound, by ending; none where it was not kept, or is damaged."""
        found: dict[str, bytes] = {}
        with contextlib.suppress(OSError):
            found = {
                path.name: path.read_bytes()
                for path in (self._folder / digest).iterdir()
                if not path.name.startswith(".")
            }
        return found if _named(found) == digest else {}

    def keep_words(self, version: str, said: Sequence[tuple[str, str]]) -> None:
        """The key and the words of each prompt of a notice that calls will play. No call fails for want of them."""
        path = self._words(version)
        content = json.dumps(said, ensure_ascii=False, indent=1).encode()
        try:
            if _holds(path, content):
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft_of(path, content, for_folder=True) as draft:
                draft.replace(path)
            for each in (self._folder, self._folder.parent):
                settle(each)
        except OSError as error:
            _log.warning("sound_not_copied", folder=str(self._folder), reason=why(error))

    def words(self, version: str) -> list[tuple[str, str]] | None:
        """The key and the words of each prompt of a notice; None where they were not kept, or are damaged."""
        # its version is a hash of them
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
            said = [(str(key), str(text)) for key, text in json.loads(self._words(version).read_bytes())]
            if notices.wording(said) == version:
                return said
        return None

    def _words(self, version: str) -> Path:
        return self._folder / f"{version}.json"


def _named(files: Mapping[str, bytes]) -> str:
    return notices.audio({ending: sha256(content).hexdigest() for ending, content in files.items()})


def _holds(copy: Path, content: bytes) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return copy.read_bytes() == content
    return False
