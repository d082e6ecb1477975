"""Turns a finished raw file into a stored recording: encoded with its tag inside, hashed, encrypted, with its tag file beside it.

A file gets its final name only once it is whole and flushed to disk. The raw file stays in the spool until the database knows the stored
one. So after a crash at any point, all steps can be repeated.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from ccari.errors import ConfigError, RecordingDelayed, RecordingError, why
from ccari.own_threads import OwnThreads
from ccari.ports.recordings import Channels, RecordingTag, Spool, StoredFile
from ccari.recordings import raw
from ccari.recordings.encoding import Encoding
from ccari.recordings.encryption import encrypt
from ccari.recordings.known_folder import KnownFolder
from ccari.recordings.sound import AgentsSide, Sound
from ccari.recordings.tags import ENCRYPTED, all_of, metadata, sidecar

_T = TypeVar("_T")
#: Distinguishes a file from one that has replaced it; None: there is no file.
_Version = tuple[int, int] | None

#: How many recordings are encoded at a time: one, so that calls in progress have a core to themselves.
AT_ONCE = 1
#: The folder for drafts. It is below the recordings folder, so that a rename moves a file out of it; no controller can have this name. If
#: recordings are encrypted, so are the drafts in it.
_WORK = ".work"


class FileArchive:
    """:class:`ccari.ports.recordings.Archive` in ``dir/CONTROLLER/YYYY-MM-DD/ID.EXT.age`` (without ``.age`` if there are no recipients),
    with the tag in ``ID.json``.

    The date is when the recording started, in UTC. ``recipients`` is called for each recording. Audio that is not encrypted yet is kept
    in ``bench``, on this machine's own disk, since ``folder`` may be on another machine; without ``bench`` it is kept in ``folder`` too.
    ``known`` tells whether ``folder`` is the one that earlier recordings were stored in.
    """

    def __init__(
        self, spool: Spool, folder: Path, form: str, recipients: Callable[[], Sequence[str]], bench: Path | None = None,
        known: KnownFolder | None = None,
    ) -> None:  # fmt: skip
        self._spool = spool
        self._folder = folder
        self._form = form
        self._recipients = recipients
        self._work = folder / _WORK
        self._bench = bench or self._work
        self._known = known
        self._encoding_turn = asyncio.Semaphore(AT_ONCE)
        self._left_in_spool = asyncio.Event()
        self._threads = OwnThreads("ccari-archive", RecordingDelayed)

    async def keep(
        self,
        tag: RecordingTag,
        until: datetime | None = None,
        *,
        ended: datetime | None = None,
        lead_ms: int = 0,
        patience: float | None = None,
    ) -> StoredFile:
        """Safe to call again for the same recording: it starts over. If the file is shorter than the time until ``ended``, the gap may be
        anywhere, so a cut at ``until`` also removes that much. ``patience``: how many seconds to try before the recording is left for
        later, because others come first or it is too long; None: no limit.
        """
        cut = None
        if until is not None:
            cut = _Cut(_ms(until - tag.started_at), None if ended is None else _ms(ended - tag.started_at))
        try:
            async with asyncio.timeout(patience) as waiting:
                # before any wait, since this machine may stall in one
                earlier = await self._threads.run(_version, self._folder / _tag_file(tag))
                path = await self._spool.take(tag.recording_id)
                is_stereo = tag.channels == Channels.STEREO
                agents = await self._spool.take_agents(tag.recording_id) if is_stereo else None
                async with self._encoding_turn:
                    deadline = waiting.when()
                    waiting.reschedule(None)
                    encoding = Encoding()
                    storing = self._threads.begin(
                        self._store,
                        tag,
                        path,
                        (agents, lead_ms) if is_stereo else None,
                        cut,
                        encoding,
                        earlier,
                    )
                    return await seen_through(storing, encoding, deadline)
        except TimeoutError:
            raise RecordingDelayed("storing it takes longer than the end of a call can wait") from None
        except ConfigError as error:
            raise RecordingDelayed(str(error)) from None
        except OSError as error:
            raise RecordingDelayed(f"{tag.recording_id} could not be stored: {why(error)}") from None

    def _store(
        self,
        tag: RecordingTag,
        path: Path,
        agents: tuple[Path | None, int] | None,
        cut: "_Cut | None",
        encoding: Encoding,
        earlier: _Version,
    ) -> StoredFile:
        """All the blocking work of :meth:`keep`, in one thread: switching between loop and thread costs the loop as much as one step."""
        recipients = tuple(self._recipients())
        marked = None
        if self._known is not None:
            self._known.check()
            _make_folders(self._folder)
            marked = self._known.identify()
        self._remove_drafts(tag.recording_id)
        with _private_folder(self._bench if recipients else self._work, f"{tag.recording_id}.") as work:
            plain = work / f"{tag.recording_id}.{self._form}"
            side = None if agents is None else _agents_side(*agents, cut)
            found = raw.read(path)
            sound = Sound(found, None if cut is None else cut.most_ms(found), side)
            encoding.write(sound, plain, self._form, metadata(tag))
            kept = self._place(tag, plain, sound, recipients, earlier)
        if self._known is not None and marked is not None:
            self._known.remember(marked)
        return kept

    def _place(
        self, tag: RecordingTag, plain: Path, sound: Sound, recipients: tuple[str, ...], earlier: _Version
    ) -> StoredFile:
        """Encrypt the encoded file, and move it and its tag into place. ``earlier``: the file that was there at the start."""
        tag_file, name = _tag_file(tag), plain.name
        sha256, draft = _digest(plain), self._work / plain.parent.name
        tag_draft, encrypted = (
            draft.with_name(f"{draft.name}.json"),
            draft.with_name(f"{draft.name}{ENCRYPTED}"),
        )
        with _drafts(tag_draft, encrypted):
            _make_folders(self._work, 0o700)
            ready = plain
            if recipients:
                name, ready = f"{name}{ENCRYPTED}", encrypted
                encrypt(plain, ready, recipients)
                plain.unlink()
            kept = StoredFile(
                str(tag_file.with_name(name)), self._form, sound.duration_ms, sha256, ready.stat().st_size, _digest(ready),
                recipients, sound.silent, sound.agent_missing_ms,
            )  # fmt: skip
            tag_draft.write_bytes(sidecar(tag, kept))
            _move_into(self._folder / tag_file.parent, {tag_file.name: tag_draft, name: ready}, earlier)
            return kept

    async def has(self, recording_id: UUID) -> bool:
        return recording_id in await self.in_spool()

    async def in_spool(self) -> frozenset[UUID]:
        return frozenset(await self._spool.recording_ids())

    def check(self) -> None:
        try:
            self._recipients()
        except ConfigError as error:
            raise RecordingError(str(error)) from None

    async def discard(self, recording_id: UUID) -> None:
        await self._spool.remove(recording_id)

    def leave(self) -> None:
        self._left_in_spool.set()

    async def until_left(self) -> None:
        """Wait until a finished file is left in the spool (:meth:`leave`), counting from the previous call."""
        await self._left_in_spool.wait()
        self._left_in_spool.clear()

    async def tidy(self, recording_id: UUID) -> None:
        """Remove a recording's drafts that a killed service left. Raises RecordingDelayed."""
        await self._in_thread(self._remove_drafts, recording_id)

    async def drafts(self) -> list[UUID]:
        """The recordings that have drafts: in progress, or left by a killed service. Raises RecordingDelayed."""
        return await self._in_thread(self._with_drafts)

    async def _in_thread(self, work: Callable[..., _T], *given: Any) -> _T:
        try:
            return await self._threads.run(work, *given)
        except OSError as error:
            raise RecordingDelayed(f"the recordings folder cannot be read: {why(error)}") from None

    def _remove_drafts(self, recording_id: UUID) -> None:
        for draft in self._all_drafts():
            if draft.name.startswith(str(recording_id)):
                _remove(draft)

    def _with_drafts(self) -> list[UUID]:
        recording_ids = set()
        for draft in self._all_drafts():
            with contextlib.suppress(ValueError):
                recording_ids.add(UUID(draft.name.partition(".")[0]))
        return list(recording_ids)

    def _all_drafts(self) -> list[Path]:
        """Files and folders, each named after its recording's id."""
        drafts: list[Path] = []
        for folder in {self._work, self._bench}:
            with contextlib.suppress(FileNotFoundError):
                drafts += folder.iterdir()
        return drafts


async def seen_through(work: Awaitable[StoredFile], encoding: Encoding, until: float | None) -> StoredFile:
    """Wait for ``work``, which runs ``encoding`` in a thread, until ``until`` on the loop's clock (None: no limit).

    On time-out or cancellation the encoding is stopped; once encoding is done, encrypting and moving the file are awaited. Either way the
    thread has ended when this returns.

    Raises
    ------
    TimeoutError
        If ``until`` came while the encoding was going on.
    """
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait(
            [working], timeout=None if until is None else until - asyncio.get_running_loop().time()
        )
        if not working.done():
            if encoding.stop():
                raise TimeoutError
            await asyncio.wait([working])
        return working.result()
    finally:
        encoding.stop()
        if not working.done():
            await asyncio.wait([working])
        if not working.cancelled():
            # retrieve it, so that asyncio does not report the error of an encoding that was stopped
            working.exception()


def _tag_file(tag: RecordingTag) -> Path:
    """The path of a stored recording's tag below the recordings folder, beside its file."""
    return Path(tag.controller) / tag.started_at.strftime("%Y-%m-%d") / f"{tag.recording_id}.json"


def _version(file: Path) -> _Version:
    """Which file has this name now; None if none has."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _move_into(folder: Path, files: Mapping[str, Path], earlier: _Version) -> None:
    """Move the files of one recording into ``folder``, in order, under their new names; flush each to disk first.

    Files that an earlier attempt left there in another format, or unencrypted, are removed first. Raises RecordingDelayed if the first
    file there is no longer the ``earlier`` one: this machine stalled, and the service that took over Asterisk has stored the
    recording meanwhile. The database knows that file's hash, and no two encryptions are the same.
    """
    _make_folders(folder)
    for draft in files.values():
        draft.chmod(0o640)
        _sync(draft)
    first = folder / next(iter(files))
    if _version(first) != earlier:
        raise RecordingDelayed("another service has stored it meanwhile")
    for left in all_of(first):
        if left.name not in files:
            left.unlink()
    for name, draft in files.items():
        draft.replace(folder / name)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Cut:
    """When the callee refused, and when the recording ended, if that is known: in milliseconds since its start, by the clock."""

    at_ms: int
    ended_ms: int | None

    def most_ms(self, found: raw.Raw, lead_ms: int = 0) -> int:
        """How many milliseconds of the recording may be kept, in a file that began ``lead_ms`` earlier. If the file is shorter than the
        recording lasted (Asterisk stalled, the disk was full), nobody knows where the gap is. It is taken to lie before the
        refusal, which is then that much earlier in the file.
        """
        lacking = 0 if self.ended_ms is None else max(0, lead_ms + self.ended_ms - found.duration_ms)
        return self.at_ms - lacking


def _ms(time: timedelta) -> int:
    return int(time.total_seconds() * 1000)


def _agents_side(path: Path | None, lead_ms: int, cut: _Cut | None) -> AgentsSide:
    """Silent if there is no file, or no sound in it."""
    found = None
    if path is not None:
        with contextlib.suppress(RecordingError):
            found = raw.read(path)
    return AgentsSide(found, lead_ms, None if cut is None or found is None else cut.most_ms(found, lead_ms))


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextlib.contextmanager
def _private_folder(within: Path, prefix: str) -> Iterator[Path]:
    """A new folder that only its owner can read, removed afterwards: its audio is not encrypted yet.

    Its name is new each time: a killed service's encoder may outlive it, and open its file only later.
    """
    _make_folders(within, 0o700)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    try:
        yield folder
    finally:
        _remove(folder)


@contextlib.contextmanager
def _drafts(*paths: Path) -> Iterator[None]:
    """Drafts; those not moved into place are removed afterwards."""
    try:
        yield
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def _remove(draft: Path) -> None:
    try:
        draft.rmdir()
    except NotADirectoryError:
        draft.unlink(missing_ok=True)
    except OSError:
        # not empty: it holds a recording that was not moved into place
        shutil.rmtree(draft, ignore_errors=True)


def _make_folders(folder: Path, mode: int = 0o750) -> None:
    """Create the folder, and its missing parents with mode 0750: ``mkdir(parents=True)`` would leave the parents open to everybody."""
    if folder.exists():
        return
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(mode=mode if path == folder else 0o750, exist_ok=True)
