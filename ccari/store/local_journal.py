"""The local journal: rights pressed while the database was away, one file each on this node's disk.

``data_dir/local-journal/waiting`` holds rights to be registered; ``aside`` holds those that cannot be, for a person to examine. A file is
there whole or not at all: it is written and synced under a temporary name and renamed, then the folder is synced.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, time_ns
from typing import NamedTuple, Self

import structlog

from ccari.config import Settings
from ccari.errors import ConfigError, StoreError, why
from ccari.keyring.files import FOLDER_MODE, PRIVATE_MODE, draft_of, give_as_above, is_draft, settle
from ccari.keyring.journal_key import JournalKey
from ccari.own_threads import OwnThreads, in_time
from ccari.ports.calls import OpenedCall
from ccari.ports.keying import Digests
from ccari.ports.pressed import Pressed, Standing
from ccari.store.pressed import (
    HEADER_BYTES,
    UnreadableError,
    is_of_another_key,
    name_of,
    pressed_at,
    seal,
    unseal,
)

_log = structlog.get_logger()

#: The most rights that may wait, and their bytes. A centre of 500 agents gets a few dozen an hour.
MOST_RIGHTS = 5000
MOST_BYTES = 32 << 20
#: The most bytes for one right: some 2 KiB, and what its call adds to the journal.
MOST_RIGHT_BYTES = 256 << 10
#: Seconds for the disk to store a right, while the person who pressed it waits.
KEEP_SECONDS = 1.5
#: Seconds for the disk to list what it holds, while a gate waits.
ANSWER_SECONDS = 1.0
#: Seconds for the disk's part in registering a right, which nobody waits for.
REGISTER_SECONDS = 10.0

#: How long, in seconds, a look stays valid while the folders' stamps are unchanged. A stamp cannot reveal a lost disk, say; the next look
#: does.
LOOK_SECONDS = 1.0
#: In nanoseconds: no file system in use has a coarser clock. Two changes within one tick leave the same time stamp.
_TICK_NS = 2_000_000_000

_ENDING, _TORN = ".right", ".torn"

#: A folder's identity and the time of the last change in it, which no one can set (ctime).
_Stamp = tuple[int, int, int]


class _Nothing(NamedTuple):
    """A look that found nothing, and the stamps of the folders before it."""

    stamps: list[_Stamp]
    until: float
    found: Standing


class LocalJournalFiles:
    """:class:`ccari.ports.pressed.LocalJournal` in ``data_dir``. ``key`` returns the encryption key, or raises ConfigError.

    Several processes may use it: each right is kept by one process, and only one registers rights at a time.
    """

    def __init__(self, data_dir: Path, key: Callable[[], bytes]) -> None:
        self.folder = data_dir / "local-journal"
        self.waiting = self.folder / "waiting"
        self.aside = self.folder / "aside"
        self._places = str(self.waiting), str(self.aside)
        self._key = key
        #: Threads for all blocking work of the event loop here.
        self.disk = OwnThreads("ccari-local-journal")
        self._looking: asyncio.Future[Standing] | None = None
        self._nothing: _Nothing | None = None
        # registered already, but their files could not be removed
        self._done: set[str] = set()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The journal of the node that has these settings."""
        return cls(settings.data_dir, JournalKey(settings.keys_dir).read)

    async def keep(self, pressed: Pressed) -> None:
        """Write the right to disk, whole and durably. Raises StoreError if the disk or the journal is full, or the disk does not answer,
        and ConfigError if there is no key.
        """
        keeping = self.disk.begin(self._keep, pressed)
        try:
            await in_time(keeping, KEEP_SECONDS)
        except TimeoutError:
            # if the disk hangs before the write has started, it never starts
            keeping.cancel()
            raise StoreError(f"the local journal in {self.folder} did not store the right in time") from None
        except OSError as error:
            raise StoreError(f"the local journal in {self.folder} cannot be written: {why(error)}") from None
        # a look that began before may have missed this right: later callers must not get its result
        self._looking = None

    async def unsettled(self) -> Standing:
        """Concurrent callers share one look. If the last look found nothing and the folders' stamps are unchanged, its result is reused
        for a moment.
        """
        # not in a thread, which takes ten times as long: the kernel has the stamps of these folders cached
        nothing = self._nothing
        if nothing is not None and monotonic() < nothing.until and _stamps(self._places) == nothing.stamps:
            return nothing.found
        looking = self._looking
        if looking is None or looking.done():
            looking = self._looking = self.disk.begin(self._look)
        try:
            return await in_time(looking, ANSWER_SECONDS)
        except TimeoutError:
            raise StoreError(f"the local journal in {self.folder} did not answer in time") from None

    async def passed_over(self) -> int:
        try:
            return await self.disk.within(ANSWER_SECONDS, self.of_another_key)
        except ConfigError as error:
            raise StoreError(str(error)) from None

    async def pressed_by(self, controller: str, digests: Digests) -> int:
        """Like :meth:`of_person`. Also raises StoreError if the disk does not answer."""
        return await self.disk.within(REGISTER_SECONDS, self.of_person, controller, digests)

    def _look(self) -> Standing:
        """Like :meth:`standing`. An empty result stays valid until a folder changes, which adding a file shows, unless it comes in the
        same clock tick as the folder's last change.
        """
        stamps, now, until = _stamps(self._places), time_ns(), monotonic() + LOOK_SECONDS
        found = self.standing()
        settled = all(now - changed > _TICK_NS for _, _, changed in stamps)
        is_known = settled and len(stamps) == len(self._places) and not (found.waiting or found.aside)
        self._nothing = _Nothing(stamps, until, found) if is_known else None
        return found

    def names(self) -> list[str]:
        """The names of waiting rights, in the order of their presses. Raises StoreError if the folder cannot be read."""
        return [name for name in _names_in(self.waiting) if name.endswith(_ENDING)]

    def standing(self) -> Standing:
        """How much there is, not counting registered files that could not be removed. Needs no key.

        Raises StoreError if the folder cannot be read.
        """
        before, aside = self.names(), self.put_by()
        # a right being moved back from ``aside`` may be missed in both
        names = sorted({*before, *self.names()} - self._done)
        since = None
        for name in names:
            with contextlib.suppress(ValueError):
                since = pressed_at(name)
                break
        torn, whole = (sum(name.endswith(ending) for name in aside) for ending in (_TORN, _ENDING))
        size = self._size(names)
        full = len(names) >= MOST_RIGHTS or size + MOST_RIGHT_BYTES > MOST_BYTES
        return Standing(len(names), since, whole, torn, size, full)

    def _size(self, names: Iterable[str]) -> int:
        """In bytes, of the files that still exist: another process may be registering some."""
        size = 0
        for name in names:
            with contextlib.suppress(OSError):
                size += (self.waiting / name).stat().st_size
        return size

    def of_another_key(self) -> int:
        """How many waiting rights were encrypted with another key, by their own header. Raises ConfigError if there is no key, and
        StoreError if they cannot be read.
        """
        key, found = self._key(), 0
        for name in self.names():
            try:
                with (self.waiting / name).open("rb") as file:
                    found += is_of_another_key(file.read(HEADER_BYTES), key)
            except FileNotFoundError:
                # registered at this moment
                continue
            except OSError as error:
                raise StoreError(f"cannot read {self.waiting / name}: {why(error)}") from None
        return found

    def put_by(self) -> list[str]:
        """The names of the rights in ``aside``. Raises StoreError if the folder cannot be read."""
        return _names_in(self.aside)

    def of_person(self, controller: str, digests: Digests) -> int:
        """How many rights that this person pressed wait or were put aside. Unreadable records are not counted: nobody can tell whose they
        are. Raises StoreError if a folder cannot be read.
        """
        return sum(
            call.controller == controller and call.keyed is not None and not {*call.keyed.all}.isdisjoint(digests.all)
            for call in self._calls()
        )  # fmt: skip

    def _calls(self) -> Iterator[OpenedCall]:
        for folder, names in ((self.waiting, self.names()), (self.aside, self.put_by())):
            for name in names:
                with contextlib.suppress(UnreadableError, ConfigError, OSError):
                    yield self.read(name, folder).call

    def read(self, name: str, folder: Path | None = None) -> Pressed:
        """One of those that wait (or are in ``folder``).

        Raises
        ------
        UnreadableError
            If it is not what was kept under that name.
        ConfigError
            If there is no key, or another (:class:`ccari.store.pressed.AnotherKeyError`).
        OSError
            If the disk does not give it.
        """
        with ((folder or self.waiting) / name).open("rb") as file:
            content = file.read(MOST_RIGHT_BYTES + 1)
        return unseal(name, content, self._key())

    def remove(self, name: str) -> None:
        """Remove a registered right. Even if the disk refuses, it no longer counts as waiting."""
        self._done.add(name)
        try:
            (self.waiting / name).unlink(missing_ok=True)
            settle(self.waiting)
        except OSError as error:
            _log.error("right_not_removed", record=name, reason=why(error))
        else:
            self._done.discard(name)

    def put_aside(self, name: str, source: Path | None = None) -> None:
        """Move a right out of the way of the others, for a person to examine: nothing is thrown away. Raises OSError."""
        self._make()
        (source or self.waiting / name).replace(self.aside / name)
        for each in (self.aside, self.waiting):
            settle(each)

    def take_back(self, name: str) -> None:
        """Move a right from ``aside`` back among those that wait. Raises OSError."""
        (self.aside / name).replace(self.waiting / name)
        for each in (self.waiting, self.aside):
            settle(each)

    @contextlib.asynccontextmanager
    async def registering(self) -> AsyncIterator[bool]:
        """Hold the lock that lets one process register rights; False if another has it. Raises StoreError if the disk refuses."""
        how = fcntl.LOCK_EX | fcntl.LOCK_NB
        handle = await self.disk.within(
            REGISTER_SECONDS, self._open_lock, "registering", how, unwanted=_close
        )
        try:
            yield handle is not None
        finally:
            _close(handle)

    def tidy(self) -> None:
        """Settle what a process left behind that was killed while it kept a right. Nobody had been told that it was kept.

        A whole file becomes a waiting right; a torn one is put aside. Creates the folders. Raises OSError, StoreError, and ConfigError if
        the key is missing or another.
        """
        with self._lock("keeping", fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
            if not held:
                # another process is keeping a right now: the file may be its draft
                return
            for draft in sorted(each for each in self.waiting.iterdir() if is_draft(each)):
                self._settle_draft(draft)

    def _settle_draft(self, draft: Path) -> None:
        name = draft.name[1:].rsplit(".", 2)[0]
        try:
            unseal(name, draft.read_bytes(), self._key())
        except UnreadableError:
            self.put_aside(f"{name}{_TORN}", draft)
            _log.warning("right_torn", record=name, advice="it was not confirmed to whoever pressed it")
        else:
            draft.replace(self.waiting / name)
            settle(self.waiting)
            _log.warning(
                "right_found", record=name, advice="it was not confirmed, and is registered all the same"
            )

    def _keep(self, pressed: Pressed) -> None:
        name, key = name_of(pressed), self._key()
        content = seal(pressed, key)
        if len(content) > MOST_RIGHT_BYTES:
            # the call's own journal entries follow, at the latest when it ends
            told = {"call_id": str(pressed.call.id), "bytes": len(content), "entries": len(pressed.journal)}
            _log.warning("right_kept_alone", **told)
            content = seal(replace(pressed, journal=()), key)
        self._make()
        with self._lock("keeping", fcntl.LOCK_SH):
            self._check_room(len(content))
            with draft_of(self.waiting / name, content, for_folder=True) as draft:
                draft.replace(self.waiting / name)
            settle(self.waiting)

    def _check_room(self, size: int) -> None:
        if size > MOST_RIGHT_BYTES:
            raise StoreError(f"the right takes {size} bytes, and may take at most {MOST_RIGHT_BYTES}")
        sizes = []
        with os.scandir(self.waiting) as there:
            for each in there:
                # one may be registered at this moment
                with contextlib.suppress(FileNotFoundError):
                    if each.name.endswith(_ENDING):
                        sizes.append(each.stat().st_size)
        if len(sizes) >= MOST_RIGHTS or sum(sizes) + size > MOST_BYTES:
            _log.error("local_journal_full", rights=len(sizes), bytes=sum(sizes), size=size)
            raise StoreError(f"the local journal is full: {len(sizes)} rights wait in {self.folder}")

    def _make(self) -> None:
        """Create the folders, for their owner only. If root creates them, they get the owner of ``data_dir``."""
        for each in (self.folder, self.waiting, self.aside):
            if each.exists():
                continue
            each.mkdir(mode=FOLDER_MODE, parents=each is self.folder, exist_ok=True)
            give_as_above(each)
            settle(each.parent)

    @contextlib.contextmanager
    def _lock(self, name: str, how: int) -> Iterator[bool]:
        """The lock ends with its process. Raises StoreError if the disk refuses it."""
        handle = self._open_lock(name, how)
        try:
            yield handle is not None
        finally:
            _close(handle)

    def _open_lock(self, name: str, how: int) -> int | None:
        """The file, which is locked while it is open; None if another process has it."""
        path = self.folder / f"{name}.lock"
        try:
            self._make()
            # no link: root runs commands here, and must not give another's file to whoever can write to this folder
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_MODE)
            try:
                if os.geteuid() == 0:
                    above = self.folder.stat()
                    os.fchown(handle, above.st_uid, above.st_gid)
                fcntl.flock(handle, how)
            except OSError as error:
                os.close(handle)
                if isinstance(error, BlockingIOError):
                    return None
                raise
        except OSError as error:
            raise StoreError(f"the local journal cannot be locked: {path}: {why(error)}") from None
        return handle


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot read {folder}: {why(error)}") from None


def _stamps(folders: Iterable[str]) -> list[_Stamp]:
    """The stamps of the folders that exist."""
    found = []
    for each in folders:
        try:
            told = os.stat(each)  # noqa: PTH116 - at each gate, and pathlib takes thrice the time
        except OSError:
            continue
        found.append((told.st_dev, told.st_ino, told.st_ctime_ns))
    return found


def _close(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)
