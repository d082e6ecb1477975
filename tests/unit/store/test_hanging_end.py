"""A service whose disk hangs, as a dead NFS server's does: it ends all the same, and says what hung."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import orjson
import pytest

from ccari.app.deadline import CUT_STATUS
from tests.integration.service import Process, Service
from tests.unit.store.test_lost_secrets import ccari

__all__ = ["ccari"]

SECONDS = 60.0


async def over(process: Process) -> int:
    try:
        async with asyncio.timeout(SECONDS):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """What a service left that was killed while it kept a right; whoever reads it waits without end."""
    folder = tmp_path / "local-journal" / "waiting"
    folder.mkdir(parents=True)
    (folder.parent / "aside").mkdir()
    path = folder / ".1.right.00.draft"
    os.mkfifo(path)
    return path


async def test_a_disk_that_hangs_keeps_a_service_that_is_told_to_stop(ccari: Service, hanging: Path) -> None:
    await ccari.spawn()
    assert ccari.process is not None
    # it hangs once somebody reads: only then can it be opened for writing
    writer = await opened(hanging, ccari.process)
    try:
        ccari.process.send_signal(signal.SIGTERM)
        assert await over(ccari.process) == CUT_STATUS
    finally:
        os.close(writer)
    events = {line["event"]: line for line in ccari.lines()}
    assert "service_stopped" in events
    (hung,) = [each for each in events["service_cut"]["threads"] if each.startswith("ccari-local-journal")]
    assert "ccari.store.local_journal:" in hung
    assert "_settle_draft" in hung


async def opened(path: Path, process: Process) -> int:
    async with asyncio.timeout(SECONDS):
        while process.returncode is None:
            try:
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                # nobody reads yet
                await asyncio.sleep(0.01)
    raise AssertionError("it has ended before")


HANGS = """
import asyncio, sys
from pathlib import Path
from ccari import log
from ccari.app.deadline import Deadline
from ccari.own_threads import OwnThreads

async def closing():
    deadline, threads = Deadline(), OwnThreads("ccari-archive")
    # what is being moved is waited for
    working = threads.begin(Path(sys.argv[1]).read_bytes)
    deadline.within(float(sys.argv[2]), "unsuitable")
    deadline.within(3600.0)
    await asyncio.wait([working])

log.configure("json", "info", sys.stdout)
asyncio.run(closing())
"""


async def cut(path: Path, seconds: float, out: int = asyncio.subprocess.PIPE) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-c", HANGS, str(path), str(seconds), stdout=out
    )
    said = b"" if process.stdout is None else await process.stdout.read()
    return await over(process), said


async def test_what_waits_for_a_thread_that_hangs_is_waited_for_or_a_later_time_counts(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "pipe")
    code, said = await cut(tmp_path / "pipe", 0.1)
    assert code == CUT_STATUS
    line = orjson.loads(said)
    assert (line["event"], line["level"], line["reason"]) == ("service_cut", "error", "unsuitable")
    assert line["tasks"] == ["closing"]
    assert [each for each in line["threads"] if each.startswith("ccari-archive_0: ")]


async def test_a_log_that_nobody_reads_keeps_a_service_whose_time_is_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, bytes(4096)):
                pass
        os.set_blocking(writer, True)
        code, _ = await cut(tmp_path / "pipe", 0.1, out=writer)
    finally:
        os.close(reader)
        os.close(writer)
    assert code == CUT_STATUS
