"""The folder drop: a file is complete, readable only by its owner, and where it was meant to be."""

import contextlib
import json
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ccari.errors import ForwardError
from ccari.forward import folder as folders
from ccari.forward.folder import drop
from ccari.keyring.files import draft_of
from tests.unit.forward.test_message import FORWARD
from tests.unit.recordings.disks import mounted
from tests.unit.store.made import NUMBER
from tests.unit.test_own_threads import no_thread_to_spare

SECONDS = 30.0
#: A service that ends while a folder hangs.
ENDING = """
import asyncio, contextlib, sys, threading
from pathlib import Path
from ccari.forward import folder
from tests.unit.forward.test_message import FORWARD

begun = threading.Event()

def hangs(_):
    begun.set()
    threading.Event().wait()

folder.settle = hangs

async def ends():
    dropping = asyncio.create_task(folder.Folders().drop(Path(sys.argv[1]), FORWARD))
    await asyncio.to_thread(begun.wait)
    dropping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await dropping

asyncio.run(ends())
"""


def test_a_file_can_be_read_by_others_or_has_another_name(tmp_path: Path) -> None:
    path = drop(tmp_path, FORWARD)
    assert path == tmp_path / "ACME-2026-000123-1.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["number"] == NUMBER.e164
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_a_crash_left_half_written_stays_or_lends_its_mode(tmp_path: Path) -> None:
    for name in (".ACME-2026-000123-1.json.draft", ".ACME-2026-000123-1.json.00c0ffee.draft"):
        draft = tmp_path / name
        draft.write_text('{"half')
        draft.chmod(0o644)
    path = drop(tmp_path, FORWARD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["sequence"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_mounted_is_made_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(ForwardError, match=r"cannot write in .*/gone: No such file or directory"):
        drop(tmp_path / "gone", FORWARD)
    assert list(tmp_path.iterdir()) == []


def test_what_is_forwarded_while_a_disk_is_not_mounted_is_lost_below_its_mount_point(tmp_path: Path) -> None:
    point, link = tmp_path / "disk", tmp_path / "link"
    inside = point / "requests"
    with mounted(point, "size=64k"):
        inside.mkdir()
        link.symlink_to(point)
        assert drop(inside, FORWARD).parent == inside
        for folder in (point, link):
            with pytest.raises(
                ForwardError, match=f"{folder} is a mount point: .*; forward to a folder in it"
            ):
                drop(folder, FORWARD)
        assert list(point.iterdir()) == [inside]
    with pytest.raises(ForwardError, match="No such file or directory"):
        drop(inside, FORWARD)
    assert list(point.iterdir()) == []


def test_a_request_takes_the_place_of_another_that_had_its_reference(tmp_path: Path) -> None:
    """As after a restore, when the controller has not read the first yet. A message that is sent again may lack the number."""
    path = drop(tmp_path, FORWARD)
    first = path.read_bytes()
    another = replace(
        FORWARD, at=FORWARD.at + timedelta(days=1), received_at=FORWARD.received_at + timedelta(days=1)
    )
    with pytest.raises(
        ForwardError, match=f"{path} is there already, and about something else: .* move it away"
    ):
        drop(tmp_path, another)
    assert path.read_bytes() == first
    drop(tmp_path, replace(FORWARD, number=None))
    assert json.loads(path.read_bytes())["number"] is None
    path.write_text("{")
    with pytest.raises(ForwardError, match="is there already"):
        drop(tmp_path, FORWARD)
    path.unlink()
    drop(tmp_path, another)


@pytest.mark.parametrize("step", ["message", "settle"])
def test_what_could_not_be_written_leaves_a_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, step, full)
    with pytest.raises(ForwardError, match="No space left on device"):
        drop(tmp_path, FORWARD)
    assert list(tmp_path.glob(".*")) == []


def test_an_older_try_gives_its_name_to_the_draft_of_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, tries = [threading.Event() for _ in "12"], [threading.Event() for _ in "12"], iter((0, 1))

    @contextlib.contextmanager
    def slowly(path: Path, content: bytes) -> Iterator[Path]:
        number = next(tries)
        with draft_of(path, content) as draft:
            begun[number].set()
            go_on[number].wait(SECONDS)
            yield draft

    monkeypatch.setattr(folders, "draft_of", slowly)
    with ThreadPoolExecutor(2) as threads:
        older = threads.submit(drop, tmp_path, FORWARD)
        assert begun[0].wait(SECONDS)
        newer = threads.submit(drop, tmp_path, FORWARD)
        assert begun[1].wait(SECONDS)
        go_on[0].set()
        with contextlib.suppress(ForwardError):
            older.result(SECONDS)
        go_on[1].set()
        path = newer.result(SECONDS)
    assert json.loads(path.read_bytes())["sequence"] == 1
    assert list(tmp_path.iterdir()) == [path]


async def test_a_folder_that_no_thread_can_write_to_is_a_fault_of_the_courier(tmp_path: Path) -> None:
    """The other way, a webhook, went unrecorded, and was used again."""
    with no_thread_to_spare(), pytest.raises(ForwardError, match="cannot write in"):
        await folders.Folders().drop(tmp_path, FORWARD)


def test_a_folder_that_hangs_keeps_the_service_from_ending(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ENDING, tmp_path], check=True, timeout=SECONDS)
    assert len(list(tmp_path.iterdir())) == 1
