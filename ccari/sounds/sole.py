"""One command at a time changes a folder of sounds: its manifest is read at the beginning, and written whole at the end."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ccari.errors import SoundError, why
from ccari.sounds.manifest import FILE_NAME

#: What a build makes lies below a folder of such a name until it is whole.
UNFINISHED = ".build-"


@contextlib.contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Be the only one who changes the folder, which is made if it is not there. What a killed build has left is taken away.

    The lock is on the folder itself, and vanishes with its process.

    Raises
    ------
    SoundError
        If somebody else is at it, or the folder cannot be made or locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SoundError(f"{error.filename or folder}: {why(error)}") from None
    try:
        _lock(handle, folder)
        for each in folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(each, ignore_errors=True)
        for each in folder.glob(f".{FILE_NAME}.*"):
            each.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SoundError(
            f"somebody else builds or imports sounds in {folder} now: run it again when that is done"
        ) from None
    except OSError as error:
        raise SoundError(f"{folder} cannot be locked: {why(error)}") from None
