"""Opens files that an administrator names, and may replace with something else while the service runs."""

import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """The file, opened for reading. Raises OSError, also for a pipe or a device: reading one may wait for
    ever, and hold up calls, or later readers in the same thread.
    """
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - a path's own takes no opener; the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "it is a pipe or a device, not a file", str(path))
    return file


def _without_waiting(path: str, flags: int) -> int:
    """With O_NONBLOCK, even opening a pipe does not wait."""
    return os.open(path, flags | os.O_NONBLOCK)
