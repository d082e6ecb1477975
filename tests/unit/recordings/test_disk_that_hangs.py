"""A spool or a recordings folder that does not answer, as may happen on a network: nothing else waits for it."""

import asyncio
import contextlib
import itertools
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from ccari.app.recordings import open_spool
from ccari.config import AsteriskSection, Settings
from ccari.errors import RecordingDelayed
from ccari.ports.recordings import InPlace, Spool, StoredFile
from ccari.recordings import listening, remote, shelf
from ccari.recordings import spool as spools
from ccari.recordings.archive import FileArchive
from ccari.recordings.listening import Listener
from ccari.recordings.remote import open_remote_spool
from ccari.recordings.shelf import Shelf
from ccari.recordings.spool import SharedSpool
from tests.unit.recordings.made import TAG, raw_in, record
from tests.unit.recordings.test_remote_spool import Asterisk

SECONDS = 30.0


class Disk:
    """``works`` is set once the disk answers again."""

    def __init__(self) -> None:
        self.begun, self.works = threading.Event(), threading.Event()

    def hang(self, *_: Any) -> bool:
        self.begun.set()
        self.works.wait(SECONDS)
        return False


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    """Beside it the service has one thread that all share: whoever hangs in it keeps it from the others."""
    found = Disk()
    with ThreadPoolExecutor(1) as shared:
        asyncio.get_running_loop().set_default_executor(shared)
        yield found
        found.works.set()


async def _told(end: Awaitable[Any]) -> str:
    with pytest.raises(RecordingDelayed) as refused:
        await asyncio.shield(end)
    return str(refused.value)


async def assert_others_go_on() -> None:
    async with asyncio.timeout(SECONDS):
        assert await asyncio.to_thread(lambda: "goes on") == "goes on"


async def test_a_spool_that_hangs_takes_the_threads_of_all_the_service(
    spool: Path, kept_in: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that ended left one thread hanging in it."""
    monkeypatch.setattr(spools, "MOST_UNDER_WAY", most := 16)
    monkeypatch.setattr(spools, "_is_no_regular_file", disk.hang)
    archive = FileArchive(SharedSpool(spool), kept_in, "wav", tuple)
    async with asyncio.timeout(SECONDS):
        ends = [asyncio.create_task(archive.keep(TAG)) for _ in range(2 * most)]
        refused = [await each for each in itertools.islice(asyncio.as_completed(map(_told, ends)), most)]
        await assert_others_go_on()
        assert sum(not each.done() for each in ends) == most
        disk.works.set()
        told = await asyncio.gather(*ends, return_exceptions=True)
    assert all("the disk does not answer" in each for each in refused)
    assert {type(each) for each in told} == {RecordingDelayed}


async def test_a_service_does_not_start_because_its_spool_hangs(
    spool: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the spool of an Asterisk on another machine may: nobody was called, and no right was registered, nor anything deleted."""

    def hang(*_: Any) -> bool:
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            pytest.fail("it hangs in the event loop")
        return disk.hang()

    monkeypatch.setattr(spools, "REACH_SECONDS", 0.05)
    monkeypatch.setattr(os, "access", hang)
    settings = Settings(asterisk=AsteriskSection(spool=spool))
    with capture_logs() as logs:
        async with asyncio.timeout(SECONDS), open_spool(settings):
            await assert_others_go_on()
    assert [each["event"] for each in logs] == ["spool_unreachable"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda spool: spool.take(uuid4()),
        lambda spool: spool.take_agents(uuid4()),
        lambda spool: spool.remove(uuid4()),
        lambda spool: spool.recording_ids(),
    ],
    ids=["take", "take_agents", "remove", "recording_ids"],
)
async def test_the_end_of_a_call_waits_without_end_for_a_spool_that_hangs(
    spool: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Spool], Any]
) -> None:
    monkeypatch.setattr(spools, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(spools, "_is_no_regular_file", disk.hang)
    monkeypatch.setattr(spools, "_unlink", disk.hang)
    monkeypatch.setattr(SharedSpool, "_recordings", disk.hang)
    async with asyncio.timeout(SECONDS):
        with pytest.raises(RecordingDelayed, match=f"{spool} does not answer"):
            await ask(SharedSpool(spool))


@pytest.mark.parametrize("step", ["_place", "_all_drafts"])
async def test_a_recordings_folder_that_hangs_takes_the_threads_of_all_the_service(
    spool: Path, kept_in: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    archive = FileArchive(SharedSpool(spool), kept_in, "wav", tuple)
    record(raw_in(spool))
    working = asyncio.ensure_future(archive.keep(TAG) if step == "_place" else archive.drafts())
    with monkeypatch.context() as hung:
        hung.setattr(FileArchive, step, disk.hang)
        with ThreadPoolExecutor(1) as apart:
            assert await asyncio.get_running_loop().run_in_executor(apart, disk.begun.wait, SECONDS)
        await assert_others_go_on()
        disk.works.set()
        await asyncio.wait([working])
    # what hung came to nothing
    working.exception()


@pytest.mark.parametrize("step", ["_begin", "_write", "_end"])
async def test_our_own_disk_that_hangs_takes_the_threads_of_all_or_holds_up_what_is_fetched(
    spool: Path, tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    record(raw_in(spool))
    does = getattr(remote, step)

    def late(*given: Any) -> Any:
        disk.hang()
        return does(*given)

    async with (
        TestServer(Asterisk(spool).app) as server,
        open_remote_spool(str(server.make_url("/")), "ccari", lambda: "secret", tmp_path / "incoming") as far,
    ):
        with monkeypatch.context() as hung:
            hung.setattr(remote, "DISK_SECONDS", 0.5)
            hung.setattr(remote, step, late)
            async with asyncio.timeout(SECONDS):
                if step == "_end":
                    # everything was there before
                    await far.take(TAG.recording_id)
                else:
                    with pytest.raises(RecordingDelayed, match="the disk does not answer"):
                        await far.take(TAG.recording_id)
            assert disk.begun.is_set()
            await assert_others_go_on()
        assert (await far.take(TAG.recording_id)).read_bytes() == raw_in(spool).read_bytes()


class Places:
    """One recording that lies in the folder."""

    async def in_place(self, _: Any) -> InPlace:
        return InPlace(TAG, StoredFile("acme/x.wav.age", "wav", 1000, b"", 4, b"", (), silent=False))


async def test_a_recording_that_is_given_out_from_a_disk_that_hangs_is_waited_for_without_end(
    kept_in: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took one of the threads of the whole service, and the turn of whoever wanted another file."""
    (kept_in / "acme").mkdir(parents=True)
    (kept_in / "acme/x.wav.age").write_bytes(b"1234")
    lies = Shelf(SimpleNamespace(), SimpleNamespace(), Places(), kept_in)
    with monkeypatch.context() as hung:
        hung.setattr(shelf, "ANSWER_SECONDS", 0.05)
        hung.setattr(shelf, "_opened", disk.hang)
        async with asyncio.timeout(SECONDS):
            with pytest.raises(RecordingDelayed, match="the disk does not answer"):
                await anext((await lies.encrypted(TAG.recording_id))[1])
        await assert_others_go_on()
    assert [each async for each in (await lies.encrypted(TAG.recording_id))[1]] == [b"1234"]


async def test_a_recording_that_is_listened_to_from_a_disk_that_hangs_is_waited_for_without_end(
    kept_in: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = InPlace(TAG, StoredFile("acme/x.wav", "wav", 1000, b"", 4, b"", (), silent=False))
    monkeypatch.setattr(listening, "OPEN_SECONDS", 0.05)
    monkeypatch.setattr(listening, "open_recorded", disk.hang)
    async with asyncio.timeout(SECONDS):
        with pytest.raises(RecordingDelayed, match="the disk does not answer"):
            await Listener(Places(), kept_in).open(plain, "")
    await assert_others_go_on()
