"""Writes files that a command gives out."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ccari.errors import CcariError, why


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A new file, readable by its owner only, removed again if writing to it fails. Raises CcariError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CcariError(f"{path} exists already: give another name") from None
    except OSError as error:
        raise CcariError(f"cannot write {path}: {why(error)}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CcariError(f"cannot write {path}: {why(error)}") from None
        raise
