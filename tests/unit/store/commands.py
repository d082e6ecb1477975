"""The commands on the test's database, and how a refusal looks."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.integration.service import Done, Service

#: :data:`made.NUMBER`, as people write it.
AS_WRITTEN = "600 100 001"


def on(dsn: str, data_dir: Path) -> Service:
    """The ccari command on a database, with all its files below ``data_dir``."""
    return Service(
        {"CCARI_DATABASE__URL": dsn, "CCARI_DATA_DIR": str(data_dir)}, data_dir / "log", data_dir / "err"
    )


@contextlib.contextmanager
def piped(content: bytes) -> Iterator[Path]:
    """A pipe with the content, which a command can open only once, like a shell's ``<(…)``."""
    end, writer = os.pipe()
    try:
        with os.fdopen(writer, "wb") as written:
            written.write(content)
        yield Path(f"/proc/{os.getpid()}/fd/{end}")
    finally:
        os.close(end)


def refused(done: Done, *words: str) -> None:
    """One clear line on standard error, and exit status 1."""
    assert (done.code, done.out) == (1, ""), done
    (line,) = done.err.splitlines()
    assert line.startswith("ccari: ")
    assert all(each in line for each in words), line


def unseen(done: Done, number: str = "60010000") -> Done:
    """Nothing that was printed holds a number or a traceback."""
    assert number not in done.out + done.err
    assert "Traceback" not in done.err
    return done


def list_refused(done: Done, *words: str) -> None:
    """The same for a list, whose faults are printed first."""
    unseen(done)
    assert (done.code, done.out) == (1, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("ccari: ")
    assert all(each in last for each in words), last
