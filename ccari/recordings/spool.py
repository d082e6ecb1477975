"""The spool of an Asterisk on this machine: the folder where it leaves its recordings."""

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from ccari.errors import RecordingDelayed, RecordingError
from ccari.own_threads import OwnThreads
from ccari.ports.recordings import AGENTS_SIDE, agents_side
from ccari.recordings import raw

_T = TypeVar("_T")

#: How long the folder may take to answer; it may be on another machine. Listing a million files takes 20 s.
ANSWER_SECONDS = 30.0
#: The same while the service starts, which must not wait for it.
REACH_SECONDS = 5.0
#: How many operations may be under way at once: when a trunk fails, all calls of a service end at the same moment.
MOST_UNDER_WAY = 4096


def _is_no_regular_file(path: Path) -> bool:
    """True for a link, which could lead to one of our own files, or a pipe, which could block for ever: others can write to the spool.
    False if there is nothing.
    """
    try:
        return not stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    return path.exists() and not _is_no_regular_file(path)


def _unlink(*paths: Path) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RecordingError(f"{path.name} could not be removed: {error.strerror}") from None


def uuid_of(name: str) -> UUID | None:
    """The id that a file is named after; None unless it is written exactly as ccari writes ids. Python also parses an id in braces, but
    that names another file.
    """
    with contextlib.suppress(ValueError):
        recording_id = UUID(name)
        return recording_id if str(recording_id) == name else None
    return None


class SharedSpool:
    """``folder`` is ``recording`` below Asterisk's ``astspooldir``. Other applications keep files there too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = OwnThreads("ccari-spool", RecordingDelayed, MOST_UNDER_WAY)

    async def is_reachable(self) -> bool:
        """Whether the folder can be read and written. One that does not answer within :data:`REACH_SECONDS` cannot."""
        try:
            return await self._threads.within(
                REACH_SECONDS, os.access, self._folder, os.R_OK | os.W_OK | os.X_OK
            )
        except RecordingDelayed:
            return False

    async def take(self, recording_id: UUID) -> Path:
        path = self._path(recording_id)
        await raw.closed(lambda: self._in_thread(self._is_open, path))
        return path

    def _is_open(self, path: Path) -> bool:
        if _is_no_regular_file(path):
            raise RecordingError(f"{path.name} is a link or a pipe, not a file: Asterisk did not record it")
        if not os.access(self._folder, os.R_OK | os.X_OK):
            raise RecordingDelayed(f"{self._folder} cannot be read: check [asterisk] spool")
        if not path.exists():
            # the recording is not lost: the folder may be the wrong one, or not mounted now
            raise RecordingDelayed(f"there is no file {path.name} in {self._folder}: check [asterisk] spool")
        return raw.is_open(path)

    async def take_agents(self, recording_id: UUID) -> Path | None:
        path = self._agents(recording_id)
        await raw.closed(lambda: self._in_thread(lambda: not _is_no_regular_file(path) and raw.is_open(path)))
        return path if await self._in_thread(_is_file, path) else None

    async def remove(self, recording_id: UUID) -> None:
        await self._in_thread(_unlink, self._agents(recording_id), self._path(recording_id))

    async def recording_ids(self) -> Sequence[UUID]:
        try:
            return await self._in_thread(lambda: list(dict.fromkeys(self._recordings())))
        except FileNotFoundError:
            # Asterisk creates the folder with its first recording
            return []
        except OSError as error:
            raise RecordingDelayed(f"{self._folder} cannot be read: {error.strerror}") from None

    async def _in_thread(self, work: Callable[..., _T], *given: Any) -> _T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._threads.run(work, *given)
        except TimeoutError:
            raise RecordingDelayed(f"{self._folder} does not answer: check [asterisk] spool") from None

    def _recordings(self) -> Iterator[UUID]:
        for path in self._folder.iterdir():
            if path.suffix == ".wav" and (recording_id := uuid_of(path.stem.removesuffix(AGENTS_SIDE))):
                yield recording_id

    def _path(self, recording_id: UUID) -> Path:
        return self._folder / f"{recording_id}.wav"

    def _agents(self, recording_id: UUID) -> Path:
        return self._folder / f"{agents_side(recording_id)}.wav"
