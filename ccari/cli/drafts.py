"""Writes output files whole or not at all."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ccari.errors import CcariError, why
from ccari.keyring.files import open_draft, put_in_place, refuse_taken, settle


@contextlib.contextmanager
def writing(out: Path | None, *, new: str | None = None) -> Iterator[BinaryIO]:
    """A file to write, readable by its owner only, that appears as ``out`` once it is complete, and is then on the disk, its name too; None:
    standard output.

    ``new``: what the file is called, if it must overwrite nothing: checked at once, and again at the end.

    Raises
    ------
    CcariError
        If the file cannot be written, something that is not a regular file is in its place, or it is there already and ``new``.
    """
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if new is not None:
            refuse_taken(out, new)
        if out.exists() and not out.is_file():
            raise CcariError(f"cannot write {out}: it exists and is not a regular file")
        with open_draft(out) as (draft, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            if new is None:
                draft.replace(out)
                # a folder that may be written into, but not listed
                with contextlib.suppress(PermissionError):
                    settle(out.parent)
            else:
                put_in_place(draft, out, new)
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None


def refuse_unwritable(out: Path) -> None:
    """Raise CcariError where :func:`writing` would. Call it before work that cannot be repeated if its file cannot be written."""
    try:
        with open_draft(out):
            pass
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None
