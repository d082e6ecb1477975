"""A spool or a recordings folder that does not answer, as a network's may not: nothing else waits for it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ccari.errors import RecordingDelayed
from ccari.ports.recordings import Spool
from ccari.recordings import spool as spools
from ccari.recordings.archive import FileArchive
from ccari.recordings.spool import SharedSpool
from tests.unit.recordings.made import TAG, raw_in, record

SECONDS = 30.0


class Disk:
    """``works`` once it answers again."""

    def __init__(self) -> None:
        self.begun, self.works = threading.Event(), threading.Event()

    def hang(self, *_: Any) -> bool:
        self.begun.set()
        self.works.wait(SECONDS)
        return False


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    """Beside it the service has one thread for all who share: whoever hangs in it keeps it from the others."""
    found = Disk()
    with ThreadPoolExecutor(1) as shared:
        asyncio.get_running_loop().set_default_executor(shared)
        yield found
        found.works.set()


async def assert_others_go_on() -> None:
    async with asyncio.timeout(SECONDS):
        assert await asyncio.to_thread(lambda: "goes on") == "goes on"


async def test_a_spool_that_hangs_takes_the_threads_of_all_the_service(
    spool: Path, kept_in: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that ended left one in it."""
    monkeypatch.setattr(spools, "MOST_UNDER_WAY", most := 16)
    monkeypatch.setattr(spools, "_is_something_else", disk.hang)
    archive = FileArchive(SharedSpool(spool), kept_in, "wav", tuple)
    ends = [archive.keep(TAG, patience=0.05) for _ in range(2 * most)]
    told = await asyncio.gather(*ends, return_exceptions=True)
    await assert_others_go_on()
    assert {type(each) for each in told} == {RecordingDelayed}
    assert sum("the disk does not answer" in str(each) for each in told) == most


@pytest.mark.parametrize(
    "ask",
    [
        lambda spool: spool.take(uuid4()),
        lambda spool: spool.take_agents(uuid4()),
        lambda spool: spool.remove(uuid4()),
        lambda spool: spool.listed(),
    ],
    ids=["take", "take_agents", "remove", "listed"],
)
async def test_the_end_of_a_call_waits_without_end_for_a_spool_that_hangs(
    spool: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Spool], Any]
) -> None:
    monkeypatch.setattr(spools, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(spools, "_is_something_else", disk.hang)
    monkeypatch.setattr(spools, "_unlink", disk.hang)
    monkeypatch.setattr(SharedSpool, "_named", disk.hang)
    async with asyncio.timeout(SECONDS):
        with pytest.raises(RecordingDelayed, match=f"{spool} does not answer"):
            await ask(SharedSpool(spool))


@pytest.mark.parametrize("step", ["_put", "_works"])
async def test_a_recordings_folder_that_hangs_takes_the_threads_of_all_the_service(
    spool: Path, kept_in: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    archive = FileArchive(SharedSpool(spool), kept_in, "wav", tuple)
    record(raw_in(spool))
    working = asyncio.ensure_future(archive.keep(TAG) if step == "_put" else archive.at_work())
    with monkeypatch.context() as hung:
        hung.setattr(FileArchive, step, disk.hang)
        with ThreadPoolExecutor(1) as apart:
            assert await asyncio.get_running_loop().run_in_executor(apart, disk.begun.wait, SECONDS)
        await assert_others_go_on()
        disk.works.set()
        await asyncio.wait([working])
    # what hung has come to nothing
    working.exception()
