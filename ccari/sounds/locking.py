"""Locks a folder of sounds, so that one command changes it at a time: the manifest is read at the start, and written as a whole at the
end.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ccari.errors import SoundError, why
from ccari.keyring.files import give_as_above
from ccari.sounds.manifest import FILE_NAME, FOLDER_MODE

#: Prefix of the working folders in which a build keeps sounds until they are finished.
UNFINISHED = ".build-"


def make_folder(folder: Path) -> None:
    """Create a folder for sounds, with missing parents. What root creates belongs to the owner of the folder above, whose next build must be
    able to write there. Raises OSError.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        give_as_above(each)
        each.chmod(FOLDER_MODE)


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock the folder, creating it if needed, and remove what a killed build left.

    The lock is on the folder itself, and ends with the process.

    Raises
    ------
    SoundError
        If another command has it locked, or the folder cannot be made or locked.
    """
    try:
        make_folder(folder)
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
            f"another command is building or importing sounds in {folder}: run this one again when it has finished"
        ) from None
    except OSError as error:
        raise SoundError(f"{folder} cannot be locked: {why(error)}") from None
