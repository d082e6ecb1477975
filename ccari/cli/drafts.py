"""Writes output files whole or not at all."""

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
    """A file to write, readable by its owner only, that appears as ``out`` once it is complete; None: standard output.

    Raises
    ------
    CcariError
        If the file cannot be written, or something that is not a regular file is in its place.
    """
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if out.exists() and not out.is_file():
            raise CcariError(f"cannot write {out}: it exists and is not a regular file")
        with open_draft(out) as (draft, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.replace(out)
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None


def refuse_unwritable(out: Path) -> None:
    """Raise CcariError where :func:`writing` would. Called before work that cannot be done again if its file cannot be written."""
    try:
        with open_draft(out):
            pass
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None
