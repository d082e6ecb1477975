"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ccari.errors import CcariError, why


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
        with _draft_of(out) as (draft, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.replace(out)
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None


def refuse_unwritable(out: Path) -> None:
    """Raise CcariError where :func:`writing` would: before work that cannot be done again for the sake of a file."""
    try:
        with _draft_of(out):
            pass
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None


@contextlib.contextmanager
def _draft_of(out: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A file of this run's own beside ``out``; that name is gone afterwards."""
    draft = out.with_name(f".{out.name}.{secrets.token_hex(4)}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield draft, file
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
