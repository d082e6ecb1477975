"""Copies of what callees hear, by what names the audio, and its words by their version: a sound that is built anew takes the
old one's place, and the catalogue has only the words of today.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import structlog

from ccari.errors import StoreError, why
from ccari.keyring.files import draft_of, settle
from ccari.own_threads import OwnThreads
from ccari.policy import notices

_log = structlog.get_logger()

#: For all of a campaign's, which are hundreds after a build. A call waits no longer: over FastAGI the whole gate has three.
KEEP_SECONDS = 2.0


class Copies:
    """``folder/DIGEST/ENDING`` and ``folder/VERSION.json``, each written whole or not at all; a copy never changes, unless it
    was damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = OwnThreads("ccari-copies")

    async def keep_all(
        self, sounds: Sequence[tuple[str, Mapping[str, Path]]], said: Mapping[str, Sequence[tuple[str, str]]]
    ) -> None:
        """As :meth:`keep` and :meth:`keep_words`, of each; what takes long goes on though nobody waits for it any more."""
        try:
            async with asyncio.timeout(KEEP_SECONDS):
                await asyncio.shield(self._threads.begin(self._keep_all, sounds, said))
        except TimeoutError:
            self._tell("the disk takes longer than a call can wait; it goes on")
        except StoreError as error:
            self._tell(str(error))

    def _keep_all(
        self, sounds: Sequence[tuple[str, Mapping[str, Path]]], said: Mapping[str, Sequence[tuple[str, str]]]
    ) -> None:
        copied = [*(self.keep(*each) for each in sounds), *(self.keep_words(*each) for each in said.items())]
        try:
            for each in (self._folder, self._folder.parent) if any(copied) else ():
                settle(each)
        except OSError as error:
            self._tell(why(error))

    def _tell(self, reason: str) -> None:
        _log.warning("sound_not_copied", folder=str(self._folder), reason=reason)

    def keep(self, digest: str, files: Mapping[str, Path]) -> bool:
        """Copy the files, by ending, of a sound that calls will play; False if nothing was written. No call fails for want of
        a copy. That its folder is there is still to be settled.
        """
        into = self._folder / digest
        try:
            found = {ending: path.read_bytes() for ending, path in files.items()}
            if _named(found) != digest or all(
                _holds(into / each, content) for each, content in found.items()
            ):
                # spoilt since it was looked at, or copied before
                return False
            into.mkdir(parents=True, exist_ok=True)
            for ending, content in found.items():
                with draft_of(into / ending, content, for_folder=True) as draft:
                    draft.replace(into / ending)
            settle(into)
        except OSError as error:
            self._tell(why(error))
            return False
        return True

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

    def keep_words(self, version: str, said: Sequence[tuple[str, str]]) -> bool:
        """The key and the words of each prompt of a notice that calls will play; as :meth:`keep` of a sound."""
        path = self._words(version)
        content = json.dumps(said, ensure_ascii=False, indent=1).encode()
        try:
            if _holds(path, content):
                return False
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft_of(path, content, for_folder=True) as draft:
                draft.replace(path)
        except OSError as error:
            self._tell(why(error))
            return False
        return True

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
