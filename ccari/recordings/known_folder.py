"""Tells the recordings folder from its mount point, which takes its place while its disk is not mounted. Recordings stored there would be
hidden once the disk is mounted: nobody would find them, and they would never be deleted.

The folder has a random id in a file, and this machine remembers it. Device numbers change with each boot, and the folder below a mount
need not be empty.
"""

import contextlib
import os
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path

from ccari.config import Settings
from ccari.errors import RecordingDelayed
from ccari.keyring.files import draft_of, settle

#: Hidden, so that it is not taken for a controller's folder.
_MARKER = ".ccari-recordings"


def known_folder(settings: Settings) -> "KnownFolder":
    """The recordings folder of the settings, as this node knows it."""
    return KnownFolder(settings.recordings_dir, settings.data_dir / "recordings-folder")


@dataclass(frozen=True, slots=True)
class FolderFault:
    """What is wrong with the recordings folder (``found``), and what to do about it."""

    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.found}: {self.advice}"


class KnownFolder:
    """``memory``: a file on this machine's own disk that names ``folder`` and its id, once something was stored in it."""

    def __init__(self, folder: Path, memory: Path) -> None:
        self._folder = folder
        self._marker = folder / _MARKER
        self._memory = memory
        self._half = FolderFault(f"{self._marker} is empty", "if it stays so, remove it")
        self._other = FolderFault(
            f"{folder} is not the folder in which recordings were stored before",
            "mount its disk; if it is mounted and this is the right folder, move there what may lie below the mount, and then run "
            f"on each node: rm {shlex.quote(str(memory))}",
        )

    def fault(self) -> FolderFault | None:
        """What is wrong if this is not the folder that recordings were stored in before, or its id is not whole; else None. Raises
        OSError.
        """
        marked, remembered = self._marked(), self._remembered()
        if marked == b"":
            return self._half
        if remembered is None or marked == remembered:
            return None
        return self._other

    def check(self) -> None:
        """Raise RecordingDelayed if there is a :meth:`fault`. Raises OSError."""
        if (fault := self.fault()) is not None:
            raise RecordingDelayed(str(fault))

    def identify(self) -> bytes:
        """The folder's id, created if it has none. Raises RecordingDelayed if it is not whole, and OSError."""
        if (marked := self._marked()) is None:
            # the first node creates the id, and the others use it
            with contextlib.suppress(FileExistsError):
                self._mark()
            marked = self._marked()
        if not marked:
            raise RecordingDelayed(str(self._half))
        return marked

    def remember(self, marked: bytes) -> None:
        """Record that something was stored in the folder, whose id is ``marked``. Raises OSError."""
        if self._remembered() != marked:
            content = marked + b"\n" + os.fsencode(self._folder.absolute())
            # whole or not at all: a full disk or a power failure must not make this machine forget the folder
            with draft_of(self._memory, content) as draft:
                draft.replace(self._memory)
            settle(self._memory.parent)

    def _remembered(self) -> bytes | None:
        """The remembered id of the folder; None if nothing was stored in it, or in another one since."""
        try:
            marked, _, folder = self._memory.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        return marked if folder == os.fsencode(self._folder.absolute()) else None

    def _marked(self) -> bytes | None:
        try:
            return self._marker.read_bytes().strip()
        except FileNotFoundError:
            return None

    def _mark(self) -> None:
        with self._marker.open("xb", buffering=0) as file:
            try:
                file.write(secrets.token_hex(16).encode() + b"\n")
                os.fsync(file.fileno())
            except OSError:
                # a full disk, say: an empty marker left behind would have the folder refused even once there is room
                self._marker.unlink()
                raise
        settle(self._folder)
