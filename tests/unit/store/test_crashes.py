"""A service is killed before each step of a recording's way, and the next one finds everything: nothing lost, doubled or untagged."""

import hashlib
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyrage
import pytest
import pytest_asyncio

from ccari.calls.recovery import recover
from ccari.recordings.encryption import decrypt, encrypt
from ccari.store.database import Database
from tests.unit.recordings.made import channels_of, files, record, sides_of, sound_of
from tests.unit.store import made
from tests.unit.store.crashing import SOUND, Crashing, Service, service


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (folder := tmp_path / "spool").mkdir()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture(scope="module")
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def crashing(dsn: str, spool: Path, folder: Path, identity: pyrage.x25519.Identity) -> Iterator[Crashing]:
    started = Crashing(dsn, spool, folder, str(identity.to_public()))
    yield started
    started.close()


@pytest_asyncio.fixture
async def successor(
    dsn: str, spool: Path, folder: Path, identity: pyrage.x25519.Identity
) -> AsyncIterator[Service]:
    async with service(dsn, spool, folder, str(identity.to_public())) as running:
        yield running


async def heard(successor: Service) -> str:
    """A call whose notice was heard."""
    call = made.call()
    await successor.store.calls.open(call, made.question(call))
    await successor.store.calls.commit_heard(call.id, "v1", "i1", ())
    return str(call.id)


async def waiting(successor: Service, spool: Path) -> str:
    """A call whose recording could not be stored when it ended."""
    call = made.call()
    await successor.store.calls.open(call, made.question(call))
    await successor.store.calls.commit_heard(call.id, "v1", "i1", ())
    tag = made.tag(call)
    await successor.store.recordings.tag(tag, ())
    await successor.store.recordings.started(tag.recording_id, tag.started_at)
    await successor.store.recordings.finished(tag, None, ())
    record(spool / f"{tag.recording_id}.wav", SOUND)
    return str(call.id)


async def take_over(successor: Service) -> None:
    await recover(successor.desk, set)
    await successor.caretaker.tend()


async def rows(database: Database, call: str) -> list[dict[str, Any]]:
    return await database.rows("SELECT * FROM recordings WHERE call_id = $1", call)


def assert_kept(
    row: dict[str, Any], spool: Path, folder: Path, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    assert row["state"] == "stored"
    file = folder / row["file"]
    beside = row["file"].partition(".")[0] + ".json"
    assert files(folder) == sorted([beside, row["file"]])
    assert files(spool) == []
    assert sorted(each.name for each in folder.iterdir()) == [".work", "acme"]
    assert files(folder / ".work") == files(folder.with_name("bench")) == []
    content = file.read_bytes()
    assert (len(content), hashlib.sha256(content).digest()) == (row["bytes"], row["file_sha256"])
    (plain := tmp_path / "plain.flac").write_bytes(decrypt(file, [identity]))
    assert hashlib.sha256(plain.read_bytes()).digest() == row["sha256"]
    assert_whole(plain)
    tag = json.loads((folder / beside).read_bytes())
    assert (tag["recording_id"], tag["call_id"]) == (str(row["id"]), str(row["call_id"]))
    assert (tag["file_sha256"], tag["sha256"]) == (row["file_sha256"].hex(), row["sha256"].hex())


def assert_whole(plain: Path) -> None:
    """The agent's side, which begins earlier by as long as the machine takes, is moved to where the callee's begins."""
    if channels_of(plain) == 1:
        assert sound_of(plain) == SOUND
    else:
        agent, callee = sides_of(plain)
        assert (len(agent), callee) == (len(SOUND), SOUND)
        said = agent.rstrip(b"\0")
        assert said
        assert SOUND.startswith(said)


async def told(successor: Service, row: dict[str, Any]) -> list[str]:
    events = (await successor.store.records.show_call(row["call_id"])).events
    return [each["event"] for each in events if each["event"].startswith("recording_")]


async def test_a_service_killed_between_two_steps_of_a_call_loses_doubles_or_leaves_something(
    crashing: Crashing, successor: Service, database: Database, spool: Path, folder: Path,
    identity: pyrage.x25519.Identity, tmp_path: Path,
) -> None:  # fmt: skip
    step, unrecorded, steps = 0, 0, None
    while steps is None:
        step += 1
        call = await heard(successor)
        steps = await crashing.run(call, step)
        await take_over(successor)
        found = await rows(database, call)
        if not found or found[0]["state"] == "discarded":
            # nothing was recorded yet
            assert files(spool) == files(tmp_path) == []
            unrecorded += 1
            continue
        (row,) = found
        assert_kept(row, spool, folder, identity, tmp_path)
        assert await told(successor, row) == ["recording_tagged", "recording_stored"]
        shutil.rmtree(folder / "acme")
    assert step == steps + 1
    # before the tag's transaction, before its commit, and after it
    assert unrecorded == 3
    assert steps > 25


async def test_a_service_killed_while_it_brings_what_waits_loses_doubles_or_leaves_something(
    crashing: Crashing, successor: Service, database: Database, spool: Path, folder: Path,
    identity: pyrage.x25519.Identity, tmp_path: Path,
) -> None:  # fmt: skip
    step, steps = 0, None
    while steps is None:
        step += 1
        call = await waiting(successor, spool)
        steps = await crashing.run("tend", step)
        await take_over(successor)
        (row,) = await rows(database, call)
        assert_kept(row, spool, folder, identity, tmp_path)
        assert await told(successor, row) == ["recording_stored"]
        shutil.rmtree(folder / "acme")
    assert step == steps + 1
    assert steps > 25


async def test_the_encoder_of_a_killed_service_writes_into_what_the_next_one_makes(
    crashing: Crashing, successor: Service, database: Database, spool: Path, folder: Path,
    identity: pyrage.x25519.Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It gets to open its file when the next service is done with its own, and has begun to write."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for each in ("mkfifo", "cat"):
        (bin_ / each).symlink_to(str(shutil.which(each)))
    (bin_ / "flac").write_text(
        f"#!/bin/sh\nexec 2>/dev/null\nmkfifo {tmp_path}/go {tmp_path}/ended\nkill -9 $PPID\ncat {tmp_path}/go\nfor last; do :; done\n"
        f'echo half >"$last"; echo $? >{tmp_path}/ended\n'
    )
    (bin_ / "flac").chmod(0o755)

    def encrypt_after_it(source: Path, target: Path, recipients: Sequence[str]) -> None:
        (tmp_path / "go").write_text("on")
        assert (tmp_path / "ended").read_text() != "0\n"
        encrypt(source, target, recipients)

    call = await heard(successor)
    assert await crashing.run(call, 0, path=str(bin_)) is None
    monkeypatch.setattr("ccari.recordings.archive.encrypt", encrypt_after_it)
    await take_over(successor)
    (row,) = await rows(database, call)
    assert_kept(row, spool, folder, identity, tmp_path)
