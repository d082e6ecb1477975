"""Opening files that an administrator names, and may put something else in the place of while the service runs."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """The file, open to be read. Raises OSError, also for a pipe or a device: whoever reads one may wait for ever, and with them the
    calls, or all who read in the same thread later.
    """
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - a path's own takes no opener; the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "it is a pipe or a device, not a file", str(path))
    return file


def _without_waiting(path: str, flags: int) -> int:
    """Not even the opening of a pipe waits then."""
    return os.open(path, flags | os.O_NONBLOCK)
