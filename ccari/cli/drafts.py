"""Files that are written whole or not at all."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ccari.errors import CcariError, why
from ccari.keyring.files import open_draft


@contextlib.contextmanager
def writing(out: Path | None) -> Iterator[BinaryIO]:
    """A file that is there when all of it is written, for its owner alone to read; or standard output.

    Raises
    ------
    CcariError
        If the file cannot be written, or something that is no file is in its place.
    """
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if out.exists() and not out.is_file():
            raise CcariError(f"cannot write {out}: something is there that is no regular file")
        with open_draft(out) as (draft, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.replace(out)
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None


def refuse_unwritable(out: Path) -> None:
    """Raise CcariError where :func:`writing` would: before work that cannot be done again for the sake of a file."""
    try:
        with open_draft(out):
            pass
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None
