"""Copies of what callees hear, by what names the audio: a sound that is built anew takes the old one's place."""

import contextlib
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import structlog

from ccari.errors import why
from ccari.policy import notices

_log = structlog.get_logger()


class Copies:
    """``folder/DIGEST/ENDING``, each written whole or not at all; a copy never changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, digest: str, files: Mapping[str, Path]) -> None:
        """Copy the files, by ending, of a sound that calls will play. No call fails for want of a copy."""
        into = self._folder / digest
        try:
            for ending, path in files.items():
                if not (into / ending).exists():
                    into.mkdir(parents=True, exist_ok=True)
                    draft = into / f".{ending}.{os.getpid()}"
                    draft.write_bytes(path.read_bytes())
                    draft.replace(into / ending)
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
        named = notices.audio({ending: sha256(content).hexdigest() for ending, content in found.items()})
        return found if named == digest else {}
