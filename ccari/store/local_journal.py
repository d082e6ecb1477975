"""The local journal: rights that were pressed while the database was away, each a file of its own on this node's disk.

``data_dir/local-journal/waiting`` holds what is to be registered, ``aside`` what cannot be, for a person to see to. A file
is there whole or not at all: it is written and synced under another name, takes its own, and then the folder is synced.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from ccari.errors import StoreError, why
from ccari.keyring.files import FOLDER_MODE, PRIVATE_MODE, draft_of, is_draft, settle
from ccari.ports.pressed import Pressed, Standing
from ccari.store.pressed import UnreadableError, name_of, pressed_at, seal, unseal

_log = structlog.get_logger()

#: Rights that wait, and their bytes. A centre of 500 agents hears some dozens in an hour.
MOST_RIGHTS = 5000
MOST_BYTES = 32 << 20
#: What one right may take: some 2 KiB, and what its call has to tell.
MOST_RIGHT_BYTES = 256 << 10
#: For the disk to take a right; whoever pressed waits for it.
KEEP_SECONDS = 1.5

_ENDING, _TORN = ".right", ".torn"


class LocalJournalFiles:
    """:class:`ccari.ports.LocalJournal` in ``data_dir``. ``key`` gives what it is encrypted by, or raises ConfigError.

    Several processes may use it: each right is kept by one, and registered by one at a time.
    """

    def __init__(self, data_dir: Path, key: Callable[[], bytes]) -> None:
        self.folder = data_dir / "local-journal"
        self.waiting = self.folder / "waiting"
        self.aside = self.folder / "aside"
        self._key = key
        # registered already, though their files could not be removed
        self._done: set[str] = set()

    async def keep(self, pressed: Pressed) -> None:
        """Have it on the disk, whole and to stay.

        Raises
        ------
        StoreError
            If it is not: the disk or the journal is full, the key is missing, or the disk does not answer.
        """
        try:
            async with asyncio.timeout(KEEP_SECONDS):
                await asyncio.to_thread(self._keep, pressed)
        except TimeoutError:
            raise StoreError(f"the local journal in {self.folder} did not take it in time") from None
        except OSError as error:
            raise StoreError(f"the local journal in {self.folder} cannot be written: {why(error)}") from None

    def waits(self) -> bool:
        """Whether anything is not registered yet. Raises StoreError if that cannot be known."""
        return any(name not in self._done for name in self.names())

    def names(self) -> list[str]:
        """What waits, in the order in which it was pressed. Raises StoreError if the folder cannot be read."""
        try:
            return sorted(each.name for each in self.waiting.iterdir() if each.name.endswith(_ENDING))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"cannot read {self.waiting}: {why(error)}") from None

    def standing(self) -> Standing:
        """How much there is. Needs no key. Raises StoreError if the folder cannot be read."""
        names = self.names()
        since = None
        for name in names:
            with contextlib.suppress(ValueError):
                since = pressed_at(name)
                break
        aside = self.put_by()
        torn = sum(name.endswith(_TORN) for name in aside)
        return Standing(len(names), since, len(aside) - torn, torn)

    def put_by(self) -> list[str]:
        """The names of what is aside. Raises StoreError if the folder cannot be read."""
        try:
            return sorted(each.name for each in self.aside.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"cannot read {self.aside}: {why(error)}") from None

    def read(self, name: str, folder: Path | None = None) -> Pressed:
        """One of those that wait (or are in ``folder``).

        Raises
        ------
        UnreadableError
            If it is not what was kept under that name.
        ConfigError
            If there is no key.
        OSError
            If the disk does not give it.
        """
        with ((folder or self.waiting) / name).open("rb") as file:
            content = file.read(MOST_RIGHT_BYTES + 1)
        return unseal(name, content, self._key())

    def remove(self, name: str) -> None:
        """It is registered. Where the disk refuses, it is at least not waited for any more."""
        self._done.add(name)
        try:
            (self.waiting / name).unlink(missing_ok=True)
            settle(self.waiting)
        except OSError as error:
            _log.error("right_not_removed", record=name, reason=why(error))
        else:
            self._done.discard(name)

    def put_aside(self, name: str, source: Path | None = None) -> None:
        """Out of the way of the others, for a person to see to; nothing is thrown away. Raises OSError."""
        self._make()
        (source or self.waiting / name).replace(self.aside / name)
        for each in (self.aside, self.waiting):
            settle(each)

    def take_back(self, name: str) -> None:
        """From aside among those that wait. Raises OSError."""
        (self.aside / name).replace(self.waiting / name)
        for each in (self.waiting, self.aside):
            settle(each)

    @contextlib.contextmanager
    def registering(self) -> Iterator[bool]:
        """Be the only one who registers what waits; False if another does."""
        with self._lock("registering", fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
            yield held

    def tidy(self) -> None:
        """See to what a process has left that was killed while it kept a right. Nobody had been told that it was kept.

        What is whole is taken for what it is; what is torn is put aside. The folders are there afterwards. Raises OSError, and
        ConfigError if there is no key.
        """
        with self._lock("keeping", fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
            if not held:
                # somebody keeps one this moment: what lies there may be theirs
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
        name = name_of(pressed)
        content = seal(pressed, self._key())
        self._make()
        with self._lock("keeping", fcntl.LOCK_SH):
            self._check_room(len(content))
            with draft_of(self.waiting / name, content, for_folder=True) as draft:
                draft.replace(self.waiting / name)
            settle(self.waiting)

    def _check_room(self, size: int) -> None:
        sizes = [each.stat().st_size for each in os.scandir(self.waiting) if each.name.endswith(_ENDING)]
        if len(sizes) >= MOST_RIGHTS or sum(sizes) + size > MOST_BYTES or size > MOST_RIGHT_BYTES:
            _log.error("local_journal_full", rights=len(sizes), bytes=sum(sizes), size=size)
            raise StoreError(f"the local journal is full: {len(sizes)} rights wait in {self.folder}")

    def _make(self) -> None:
        """The folders, their owner's alone, who is that of ``data_dir`` where root makes them."""
        for each in (self.folder, self.waiting, self.aside):
            if each.exists():
                continue
            each.mkdir(mode=FOLDER_MODE, parents=each is self.folder, exist_ok=True)
            if os.geteuid() == 0:
                above = each.parent.stat()
                os.chown(each, above.st_uid, above.st_gid)
            settle(each.parent)

    @contextlib.contextmanager
    def _lock(self, name: str, how: int) -> Iterator[bool]:
        """It vanishes with its process."""
        self._make()
        path = self.folder / f"{name}.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_MODE)
        try:
            if os.geteuid() == 0:
                above = self.folder.stat()
                os.fchown(handle, above.st_uid, above.st_gid)
            try:
                fcntl.flock(handle, how)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)
