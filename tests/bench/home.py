"""Where a benchmark has its database and its files."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A folder that the server's own user can reach, gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="ccari-bench-"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
