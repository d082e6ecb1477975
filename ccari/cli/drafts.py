"""Files that are written whole or not at all."""

import contextlib
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
    if out.exists() and not out.is_file():
        raise CcariError(f"cannot write {out}: something is there that is no regular file")
    draft = out.with_name(f".{out.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        with draft.open("wb") as file:
            yield file
        draft.replace(out)
    except OSError as error:
        raise CcariError(f"cannot write {out}: {why(error)}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
