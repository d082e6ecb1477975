"""Keeps copies of what callees hear, as evidence: sounds by the digest of their audio, words by their version.

Without the copies they would be lost: a new build replaces the sounds, and the catalogue has only the current words.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import structlog

from ccari.config import Settings
from ccari.errors import StoreError, why
from ccari.keyring.files import draft_of, settle
from ccari.own_threads import OwnThreads
from ccari.policy import wording

_log = structlog.get_logger()

#: How long a call waits for the copies of its campaign, which are hundreds after a build. Over FastAGI the whole gate has 3 s.
KEEP_SECONDS = 2.0


def copies_folder(settings: Settings) -> Path:
    """The folder of the copies. It is created with the first copy."""
    return settings.data_dir / "heard"


def open_copies(settings: Settings) -> "Copies":
    """The copies of what calls play, in the folder where the service keeps them."""
    return Copies(copies_folder(settings))


class Copies:
    """``folder/DIGEST/ENDING`` and ``folder/VERSION.json``, each written whole or not at all. A copy is rewritten only if it is damaged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = OwnThreads("ccari-copies")
        self._failures = 0

    async def keep_all(
        self, sounds: Sequence[tuple[str, Mapping[str, Path]]], words: Mapping[str, Sequence[tuple[str, str]]]
    ) -> bool:
        """:meth:`keep` each of ``sounds`` (digest, files) and :meth:`keep_words` each version of ``words``. After :data:`KEEP_SECONDS` it
        goes on in the background, and this returns. True if none is known to lack a copy.
        """
        try:
            async with asyncio.timeout(KEEP_SECONDS):
                return await asyncio.shield(self._threads.begin(self._keep_all, sounds, words))
        except TimeoutError:
            self._log_failure("the disk takes longer than a call can wait; it goes on")
        except StoreError as error:
            self._log_failure(str(error))
        return False

    def _keep_all(
        self, sounds: Sequence[tuple[str, Mapping[str, Path]]], words: Mapping[str, Sequence[tuple[str, str]]]
    ) -> bool:
        # a failure of another campaign's, at the same time, has this one tried again in vain
        before = self._failures
        copied = [*(self.keep(*each) for each in sounds), *(self.keep_words(*each) for each in words.items())]
        try:
            for folder in (self._folder, self._folder.parent) if any(copied) else ():
                settle(folder)
        except OSError as error:
            self._log_failure(why(error))
        return self._failures == before

    def _log_failure(self, reason: str) -> None:
        self._failures += 1
        _log.warning("sound_not_copied", folder=str(self._folder), reason=reason)

    def keep(self, digest: str, files: Mapping[str, Path]) -> bool:
        """Copy the files of a sound that calls will play. ``files``: by ending. False if nothing was written.

        A failure is only logged: no call fails because a copy is missing. The caller must :func:`settle` the folder above.
        """
        target = self._folder / digest
        try:
            contents = {ending: path.read_bytes() for ending, path in files.items()}
            if _digest(contents) != digest or all(
                _holds(target / ending, content) for ending, content in contents.items()
            ):
                # the sound was damaged after its check, or is copied already
                return False
            target.mkdir(parents=True, exist_ok=True)
            for ending, content in contents.items():
                with draft_of(target / ending, content, for_folder=True) as draft:
                    draft.replace(target / ending)
            settle(target)
        except OSError as error:
            self._log_failure(why(error))
            return False
        return True

    def read(self, digest: str) -> dict[str, bytes]:
        """The files of a sound, by ending; none if there is no copy, or it is damaged."""
        files: dict[str, bytes] = {}
        with contextlib.suppress(OSError):
            files = {
                path.name: path.read_bytes()
                for path in (self._folder / digest).iterdir()
                if not path.name.startswith(".")
            }
        return files if _digest(files) == digest else {}

    def keep_words(self, version: str, words: Sequence[tuple[str, str]]) -> bool:
        """Like :meth:`keep`, for the words of a notice that calls will play. ``words``: the key and text of each prompt."""
        path = self._words_path(version)
        content = json.dumps(words, ensure_ascii=False, indent=1).encode()
        try:
            if _holds(path, content):
                return False
            self._folder.mkdir(parents=True, exist_ok=True)
            with draft_of(path, content, for_folder=True) as draft:
                draft.replace(path)
        except OSError as error:
            self._log_failure(why(error))
            return False
        return True

    def words(self, version: str) -> list[tuple[str, str]] | None:
        """The key and text of each prompt of a notice; None if there is no copy, or it is damaged."""
        # undamaged if their hash is the version
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
            words = [
                (str(key), str(text)) for key, text in json.loads(self._words_path(version).read_bytes())
            ]
            if wording.version_of(words) == version:
                return words
        return None

    def _words_path(self, version: str) -> Path:
        return self._folder / f"{version}.json"


def _digest(files: Mapping[str, bytes]) -> str:
    return wording.audio_digest({ending: sha256(content).hexdigest() for ending, content in files.items()})


def _holds(copy: Path, content: bytes) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return copy.read_bytes() == content
    return False
