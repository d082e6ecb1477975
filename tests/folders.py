"""Folders that other users reach: the database server's own, above all. pytest's are closed to them."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def open_folder(name: str, below: Path | None = None) -> Iterator[Path]:
    """A new folder, which is gone afterwards; those below it say themselves who reaches them."""
    made = Path(tempfile.mkdtemp(prefix=f"ccari-{name}-", dir=below))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
