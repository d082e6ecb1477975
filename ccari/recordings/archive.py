"""From a finished raw file to its place: checked, encoded with its tag inside, hashed, encrypted, its tag beside it.

Nothing lies under a final name before it is whole and on the disk, and the raw file stays until the database knows of its
successor: whoever dies between two steps does all of them again.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from ccari.errors import ConfigError, RecordingDelayed, RecordingError, why
from ccari.own_threads import OwnThreads
from ccari.ports.recordings import Channels, Kept, RecordingTag, Spool
from ccari.recordings import raw
from ccari.recordings.encoding import Encoding
from ccari.recordings.encryption import encrypt
from ccari.recordings.sound import AgentsSide, Sound
from ccari.recordings.tags import all_of, metadata, sidecar

_T = TypeVar("_T")

#: Recordings that are encoded side by side: one core is left to the calls that go on.
AT_ONCE = 1
#: Below the recordings folder, so that a file can be moved out of it in one step. No controller is named so. What lies in
#: it is encrypted, where recordings are.
_WORK = ".work"


class FileArchive:
    """``dir/CONTROLLER/YYYY-MM-DD/ID.EXT.age`` (without ``.age`` for no recipients) with the tag in ``ID.json``.

    ``recipients`` is asked for each recording; the date is UTC's, of the start. What is still to be encrypted lies in
    ``bench``, on this machine's own disk: ``folder`` may be another's. Without it, that is in ``folder`` too.
    """

    def __init__(
        self, spool: Spool, folder: Path, form: str, recipients: Callable[[], Sequence[str]], bench: Path | None = None
    ) -> None:  # fmt: skip
        self._spool = spool
        self._folder = folder
        self._form = form
        self._recipients = recipients
        self._work = folder / _WORK
        self._bench = bench or self._work
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._left = asyncio.Event()
        self._threads = OwnThreads("ccari-archive", RecordingDelayed)

    async def keep(
        self,
        tag: RecordingTag,
        until: datetime | None = None,
        *,
        lead_ms: int = 0,
        patience: float | None = None,
    ) -> Kept:
        """Bring a finished recording to its place; its raw files stay in the spool until they are discarded.

        What was said after ``until`` is left out. Asked again, it does all of it again. ``patience``: seconds after which
        it is left for later, as others are before it or there is too much of it; None: it takes as long as it takes.
        ``lead_ms``: how much earlier the agent's side of a stereo recording began.

        Raises
        ------
        RecordingDelayed
            If it cannot be done now: no encoder, no room, no recipients, no spool, no such file in it, no patience.
        RecordingError
            If it holds no sound, or none that may be kept.
        """
        most_ms = None if until is None else int((until - tag.started_at).total_seconds() * 1000)
        try:
            async with asyncio.timeout(patience) as waiting:
                path = await self._spool.take(tag.recording_id)
                is_stereo = tag.channels == Channels.STEREO
                agents = await self._spool.take_agents(tag.recording_id) if is_stereo else None
                async with self._turn:
                    left = waiting.when()
                    waiting.reschedule(None)
                    encoding = Encoding()
                    working = self._threads.begin(
                        self._bring, tag, path, (agents, lead_ms) if is_stereo else None, most_ms, encoding
                    )
                    return await seen_through(working, encoding, left)
        except TimeoutError:
            raise RecordingDelayed("there is more to do than a call's end can wait for") from None
        except ConfigError as error:
            raise RecordingDelayed(str(error)) from None
        except OSError as error:
            raise RecordingDelayed(f"{tag.recording_id} could not be kept: {why(error)}") from None

    def _bring(
        self,
        tag: RecordingTag,
        path: Path,
        agents: tuple[Path | None, int] | None,
        most_ms: int | None,
        encoding: Encoding,
    ) -> Kept:
        """All of it in one thread: each hand-over costs the calls' loop as much as a step of it."""
        recipients = tuple(self._recipients())
        self._tidy(tag.recording_id)
        with _made(self._bench if recipients else self._work, f"{tag.recording_id}.") as work:
            plain = work / f"{tag.recording_id}.{self._form}"
            side = None if agents is None else AgentsSide(_read(agents[0]), agents[1])
            sound = Sound(raw.read(path), most_ms, side)
            encoding.write(sound, plain, self._form, metadata(tag))
            return self._put(tag, plain, sound, recipients)

    def _put(self, tag: RecordingTag, plain: Path, sound: Sound, recipients: tuple[str, ...]) -> Kept:
        place, name = Path(tag.controller) / tag.started_at.strftime("%Y-%m-%d"), plain.name
        sha256, drafts = _digest(plain), self._work / plain.parent.name
        with _removed(drafts.with_name(f"{drafts.name}.json"), drafts.with_name(f"{drafts.name}.age")) as (
            tagged,
            sealed,
        ):
            _make_folders(self._work, 0o700)
            ready = plain
            if recipients:
                name, ready = f"{name}.age", sealed
                encrypt(plain, ready, recipients)
                plain.unlink()
            kept = Kept(
                str(place / name), self._form, sound.duration_ms, sha256, ready.stat().st_size, _digest(ready),
                recipients, sound.silent, sound.agent_missing_ms,
            )  # fmt: skip
            tagged.write_bytes(sidecar(tag, kept))
            _put(self._folder / place, {f"{tag.recording_id}.json": tagged, name: ready})
            return kept

    async def has(self, recording_id: UUID) -> bool:
        """Whether its raw file is in the spool; raise RecordingDelayed if nobody can tell."""
        return recording_id in await self.lying()

    async def lying(self) -> frozenset[UUID]:
        """Of which recordings raw files are in the spool; raise RecordingDelayed if nobody can tell."""
        return frozenset(await self._spool.listed())

    def check(self) -> None:
        """Find out before somebody is recorded that it could not be encrypted: nobody is recorded then.

        Raises
        ------
        RecordingError
            If there are no recipients.
        """
        try:
            self._recipients()
        except ConfigError as error:
            raise RecordingError(str(error)) from None

    async def discard(self, recording_id: UUID) -> None:
        """Leave nothing of it in the spool.

        Raises
        ------
        RecordingError
            If the file cannot be removed.
        """
        await self._spool.remove(recording_id)

    def leave(self) -> None:
        self._left.set()

    async def until_left(self) -> None:
        """Wait until a finished file was left in the spool, since the last time."""
        await self._left.wait()
        self._left.clear()

    async def tidy(self, recording_id: UUID) -> None:
        """Remove what a killed service has left of its work on a recording; raises RecordingDelayed."""
        await self._looked(self._tidy, recording_id)

    async def at_work(self) -> list[UUID]:
        """The recordings that are worked on, or were by a service that was killed; raises RecordingDelayed."""
        return await self._looked(self._at_work)

    async def _looked(self, look: Callable[..., _T], *given: Any) -> _T:
        try:
            return await self._threads.run(look, *given)
        except OSError as error:
            raise RecordingDelayed(f"the recordings folder cannot be read: {why(error)}") from None

    def _tidy(self, recording_id: UUID) -> None:
        for left in self._left_of(recording_id):
            _remove(left)

    def _at_work(self) -> list[UUID]:
        found = set()
        for each in self._works():
            with contextlib.suppress(ValueError):
                found.add(UUID(each.name.partition(".")[0]))
        return list(found)

    def _left_of(self, recording_id: UUID) -> list[Path]:
        whose = str(recording_id)
        return [each for each in self._works() if each.name.startswith(whose)]

    def _works(self) -> list[Path]:
        found: list[Path] = []
        for folder in {self._work, self._bench}:
            with contextlib.suppress(FileNotFoundError):
                found += folder.iterdir()
        return found


async def seen_through(work: Awaitable[Kept], encoding: Encoding, until: float | None) -> Kept:
    """Whoever is cancelled, or has no patience beyond ``until`` of the loop's clock, breaks the encoding off; what is being
    moved already is waited for. Nothing goes on behind one's back.
    """
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait(
            [working], timeout=None if until is None else until - asyncio.get_running_loop().time()
        )
        if not working.done() and encoding.stop():
            raise TimeoutError
        await asyncio.wait([working])
        return working.result()
    finally:
        encoding.stop()
        await asyncio.wait([working])
        if not working.cancelled():
            # of one that was broken off, so that asyncio need not report it
            working.exception()


def _put(folder: Path, files: Mapping[str, Path]) -> None:
    """Move files to where they stay, in that order, each whole and on the disk before it has its name there.

    What an earlier try has left there in another format, or open, goes first.
    """
    _make_folders(folder)
    for left in all_of(folder / next(iter(files))):
        if left.name not in files:
            left.unlink()
    for each in files.values():
        each.chmod(0o640)
        _sync(each)
    for name, each in files.items():
        each.replace(folder / name)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(agents: Path | None) -> raw.Raw | None:
    """The agent's side; None if there is no sound in it."""
    with contextlib.suppress(RecordingError):
        return None if agents is None else raw.read(agents)
    return None


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextlib.contextmanager
def _made(within: Path, prefix: str) -> Iterator[Path]:
    """A folder of one's own, empty at first and gone afterwards: the audio in it is not yet encrypted.

    Its name is new each time, as the encoder of a killed service may outlive it, and is still to open its file.
    """
    _make_folders(within, 0o700)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    try:
        yield folder
    finally:
        _remove(folder)


@contextlib.contextmanager
def _removed(*drafts: Path) -> Iterator[tuple[Path, ...]]:
    """What has not come to its place is gone afterwards."""
    try:
        yield drafts
    finally:
        for each in drafts:
            each.unlink(missing_ok=True)


def _remove(left: Path) -> None:
    try:
        left.rmdir()
    except NotADirectoryError:
        left.unlink(missing_ok=True)
    except OSError:
        # only of a recording that has not come to its place
        shutil.rmtree(left, ignore_errors=True)


def _make_folders(folder: Path, mode: int = 0o750) -> None:
    """``mkdir(parents=True)`` would leave the folders above open to everybody."""
    if folder.exists():
        return
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=mode if each == folder else 0o750, exist_ok=True)
