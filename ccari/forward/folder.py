"""The folder drop: a JSON file for each change of a request, for whatever carries files to the controller."""

import os
from pathlib import Path

from ccari.errors import ForwardError, why
from ccari.forward.message import message, message_id
from ccari.ports.forwarding import Forward


def drop(folder: Path, forward: Forward) -> Path:
    """Write ``REFERENCE-SEQ.json``, its owner's only: whole and on the disk before it has that name. Blocks.

    Raises
    ------
    ForwardError
        If it cannot be written. The folder is not made if it is missing: while its disk is not mounted, the files would go to
        the disk below, and be hidden once it is.
    """
    path = folder / f"{message_id(forward)}.json"
    draft = folder / f".{path.name}.draft"
    try:
        # one that a crash left may be anybody's to read
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a mode
            file.write(message(forward))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        _sync(folder)
    except OSError as error:
        raise ForwardError(f"cannot write in {folder}: {why(error)}") from None
    return path


def _sync(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
