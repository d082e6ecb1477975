"""Where Asterisk leaves what it has recorded: a folder that we share with it."""

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

#: For any answer of the folder, which may be another machine's: a list of a million files takes twenty.
ANSWER_SECONDS = 30.0
#: Asked for at once: when a trunk fails, all calls of a service end with it.
MOST_UNDER_WAY = 4096


def _is_something_else(path: Path) -> bool:
    """Others may write in the spool: what is no file would be followed to one of ours, or waited for without end."""
    try:
        return not stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    return path.exists() and not _is_something_else(path)


def _unlink(*paths: Path) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RecordingError(f"{path.name} could not be removed: {error.strerror}") from None


def uuid_of(name: str) -> UUID | None:
    """The recording of that name, as ccari writes it: Python reads an id in braces too, and then there is no such file."""
    with contextlib.suppress(ValueError):
        found = UUID(name)
        return found if str(found) == name else None
    return None


class SharedSpool:
    """``folder`` is ``recording`` below Asterisk's ``astspooldir``; other applications have their files in it too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = OwnThreads("ccari-spool", RecordingDelayed, MOST_UNDER_WAY)

    async def take(self, recording_id: UUID) -> Path:
        path = self._path(recording_id)
        await raw.closed(lambda: self._asked(self._is_open, path))
        return path

    def _is_open(self, path: Path) -> bool:
        if _is_something_else(path):
            raise RecordingError(
                f"{path.name} is no file, but a link or a pipe: Asterisk has not recorded it"
            )
        if not os.access(self._folder, os.R_OK | os.X_OK):
            raise RecordingDelayed(f"{self._folder} cannot be read: check [asterisk] spool")
        if not path.exists():
            # not lost: a folder that is not Asterisk's, or not mounted now, lacks it too
            raise RecordingDelayed(f"there is no file {path.name} in {self._folder}: check [asterisk] spool")
        return raw.is_open(path)

    async def take_agents(self, recording_id: UUID) -> Path | None:
        path = self._agents(recording_id)
        await raw.closed(lambda: self._asked(lambda: not _is_something_else(path) and raw.is_open(path)))
        return path if await self._asked(_is_file, path) else None

    async def remove(self, recording_id: UUID) -> None:
        await self._asked(_unlink, self._agents(recording_id), self._path(recording_id))

    async def listed(self) -> Sequence[UUID]:
        try:
            return await self._asked(lambda: list(dict.fromkeys(self._named())))
        except FileNotFoundError:
            # Asterisk makes the folder with its first recording
            return []
        except OSError as error:
            raise RecordingDelayed(f"{self._folder} cannot be read: {error.strerror}") from None

    async def _asked(self, work: Callable[..., _T], *given: Any) -> _T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._threads.run(work, *given)
        except TimeoutError:
            raise RecordingDelayed(f"{self._folder} does not answer: check [asterisk] spool") from None

    def _named(self) -> Iterator[UUID]:
        for path in self._folder.iterdir():
            if path.suffix == ".wav" and (found := uuid_of(path.stem.removesuffix(AGENTS_SIDE))):
                yield found

    def _path(self, recording_id: UUID) -> Path:
        return self._folder / f"{recording_id}.wav"

    def _agents(self, recording_id: UUID) -> Path:
        return self._folder / f"{agents_side(recording_id)}.wav"
