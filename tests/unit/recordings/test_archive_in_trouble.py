"""What cannot be stored now: its raw file stays, and nothing half done is left anywhere."""

import asyncio
import gc
import hashlib
import json
import os
import re
import resource
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid4

import pyrage
import pytest

from ccari.config import RecordingsSection
from ccari.errors import ConfigError, RecordingDelayed
from ccari.ports.recordings import StoredFile
from ccari.recordings import raw
from ccari.recordings.archive import FileArchive, seen_through
from ccari.recordings.encoding import Encoding
from ccari.recordings.encryption import decrypt
from ccari.recordings.known_folder import KnownFolder
from ccari.recordings.removal import remove
from ccari.recordings.sound import Sound
from ccari.recordings.spool import SharedSpool
from ccari.recordings.tags import FORMS, beside
from tests.unit.recordings.disks import mounted
from tests.unit.recordings.made import SECOND, TAG, files, raw_in, record, sound_of

#: More than enough, in the unit in which a file system in memory counts, for everything that is made of one second.
ENOUGH = 40
#: More than a pipe holds, and read at once.
LONG = SECOND * 30


@pytest.fixture
def recipients(identity: pyrage.x25519.Identity) -> Callable[[], Sequence[str]]:
    return lambda: (str(identity.to_public()),)


@pytest.fixture
def archive(spool: Path, kept_in: Path, recipients: Callable[[], Sequence[str]]) -> FileArchive:
    return FileArchive(SharedSpool(spool), kept_in, "flac", recipients)


@pytest.fixture
def node(spool: Path, recipients: Callable[[], Sequence[str]], tmp_path: Path) -> Callable[..., FileArchive]:
    """A service that has just started, on the node of that name, with that recordings folder."""

    def node(folder: Path, name: str = "a") -> FileArchive:
        known = KnownFolder(folder, tmp_path / f"{name}-recordings-folder")
        return FileArchive(SharedSpool(spool), folder, "flac", recipients, tmp_path / f"{name}-bench", known)

    return node


@pytest.mark.parametrize("below", ["no folder", "nothing", "drafts", "recordings", "an earlier start"])
async def test_a_recording_is_hidden_below_the_disk_that_it_belongs_on_because_that_is_not_mounted(
    spool: Path, kept_in: Path, tmp_path: Path, node: Callable[..., FileArchive], below: str
) -> None:
    """After a boot, for example. If the service was ever started before the disk was mounted, something lies below it."""
    record(raw_in(spool))
    first = await node(kept_in).keep(TAG)
    disk = kept_in.rename(tmp_path / "disk")  # noqa: ASYNC240
    match below:
        case "nothing":
            kept_in.mkdir()  # noqa: ASYNC240
        case "drafts":
            (kept_in / ".work").mkdir(parents=True)
        case "recordings":
            shutil.copytree(disk / "acme", kept_in / "acme")
        case "an earlier start":
            await node(kept_in, "b").keep(TAG)
    lying = files(kept_in)
    with pytest.raises(
        RecordingDelayed, match="not the folder in which recordings were stored before: mount"
    ):
        await node(kept_in).keep(TAG)
    assert raw_in(spool).exists()
    assert files(kept_in) == lying
    assert kept_in.exists() is (below != "no folder")  # noqa: ASYNC240
    shutil.rmtree(kept_in, ignore_errors=True)
    disk.rename(kept_in)
    assert (await node(kept_in).keep(TAG)).file == first.file


async def test_recordings_wait_for_ever_whose_folder_is_another_one_now(
    spool: Path, kept_in: Path, tmp_path: Path, node: Callable[..., FileArchive]
) -> None:
    record(raw_in(spool))
    first = await node(kept_in).keep(TAG)
    # somebody sets another folder, on another disk
    assert (await node(tmp_path / "else").keep(TAG)).file == first.file
    # and sets the first one again, restored from a backup as a whole
    shutil.copytree(kept_in, tmp_path / "backup")
    shutil.rmtree(kept_in)
    (tmp_path / "backup").rename(kept_in)
    await node(kept_in).keep(TAG)
    # or without the folder's id
    (kept_in / ".ccari-recordings").unlink()
    with pytest.raises(RecordingDelayed, match="run on each node: rm ") as told:
        await node(kept_in).keep(TAG)
    Path(str(told.value).rpartition("rm ")[2]).unlink()  # noqa: ASYNC240
    for _ in range(2):
        assert (await node(kept_in).keep(TAG)).file == first.file


async def test_two_nodes_that_begin_at_once_take_one_folder_for_two(kept_in: Path, tmp_path: Path) -> None:
    kept_in.mkdir()  # noqa: ASYNC240
    nodes = [KnownFolder(kept_in, tmp_path / str(n)) for n in range(8)]
    marked = await asyncio.gather(
        *(asyncio.to_thread(each.identify) for each in nodes), return_exceptions=True
    )
    # and a service that comes upon an id that is being written tries again
    marked = [
        each.identify() if isinstance(was, RecordingDelayed) else was
        for each, was in zip(nodes, marked, strict=True)
    ]
    assert len(set(marked)) == 1
    for each in nodes:
        each.remember(each.identify())
        each.check()


async def test_a_folder_that_was_full_at_first_is_known_by_no_id(kept_in: Path, tmp_path: Path) -> None:
    kept_in.mkdir()  # noqa: ASYNC240
    known = KnownFolder(kept_in, tmp_path / "known")
    with no_file_beyond(0), pytest.raises(OSError, match="File too large"):
        known.identify()
    assert files(kept_in) == []
    assert known.identify()
    (kept_in / ".ccari-recordings").write_bytes(b"")
    with pytest.raises(RecordingDelayed, match="is empty: if it stays so, remove it"):
        known.identify()


def test_a_disk_that_is_full_has_this_machine_forget_where_recordings_were_stored(tmp_path: Path) -> None:
    """What was stored next, while the folder's disk was not mounted, would have been hidden below it."""
    known = KnownFolder(tmp_path, tmp_path / "memory")
    known.remember(known.identify())
    (tmp_path / ".ccari-recordings").unlink()
    another = known.identify()
    with no_file_beyond(0), pytest.raises(OSError, match="File too large"):
        known.remember(another)
    assert known.fault() is not None
    assert [each.name for each in tmp_path.glob("*memory*")] == ["memory"]


async def assert_delayed(
    archive: FileArchive, spool: Path, kept_in: Path, words: str, sound: bytes = SECOND
) -> None:
    content = record(raw_in(spool), sound).read_bytes()
    with pytest.raises(RecordingDelayed, match=words):
        await archive.keep(TAG)
    assert raw_in(spool).read_bytes() == content
    assert files(kept_in) == []
    assert await archive.drafts() == []


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """No file of this process, or of those it starts, grows beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", ["wav", "flac", "opus"])
@pytest.mark.parametrize("counted", ["size={}k", "nr_inodes={}"])
async def test_a_full_disk_leaves_half_a_recording_or_loses_the_whole(
    spool: Path, kept_in: Path, identity: pyrage.x25519.Identity, form: str, counted: str
) -> None:
    """The disk has a little more room each time, until it has enough: so it has been full at each step."""
    sound = os.urandom(48000)
    content = record(raw_in(spool), sound).read_bytes()
    archive = FileArchive(SharedSpool(spool), kept_in, form, lambda: (str(identity.to_public()),))
    words = []
    for room in range(1, ENOUGH):
        with mounted(kept_in, counted.format(4 * room if "size" in counted else room)):
            try:
                kept = await archive.keep(TAG)
            except RecordingDelayed as error:
                words.append(str(error))
                assert files(kept_in) == []
                assert await archive.drafts() == []
                assert raw_in(spool).read_bytes() == content
            else:
                plain = spool / "plain"
                plain.write_bytes(decrypt(kept_in / kept.file, [identity]))
                assert len(sound_of(plain)) == len(sound)
                assert form == "opus" or sound_of(plain) == sound
                break
    assert 3 <= len(words) < ENOUGH - 1
    assert [each for each in words if not re.search("no room left|No space left", each)] == []


async def test_a_file_that_may_not_grow_is_kept_by_half(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(raw_in(spool), os.urandom(16000))
    with no_file_beyond(4000), pytest.raises(RecordingDelayed):
        await archive.keep(TAG)
    assert files(kept_in) == []
    assert (await archive.keep(TAG)).duration_ms == 1000


async def test_a_place_that_cannot_be_written_loses_the_recording(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    with mounted(kept_in, "ro"):
        await assert_delayed(archive, spool, kept_in, "could not be stored: Read-only file system")
    assert (await archive.keep(TAG)).duration_ms == 1000


async def test_a_place_that_is_no_folder_loses_the_recording(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    record(kept_in)
    record(raw_in(spool))
    with pytest.raises(RecordingDelayed, match="could not be stored: Not a directory"):
        await archive.keep(TAG)
    assert raw_in(spool).exists()


def slowed(
    monkeypatch: pytest.MonkeyPatch, where: object, step: str
) -> tuple[threading.Event, threading.Event]:
    """Have this step of a disk wait: one event tells that it has begun, the other lets it end."""
    begun, done, real = threading.Event(), threading.Event(), getattr(where, step)

    def slowly(*arguments: Any, **options: Any) -> None:
        begun.set()
        assert done.wait(30), "somebody has waited for the disk who was not to"
        real(*arguments, **options)

    monkeypatch.setattr(where, step, slowly)
    return begun, done


@pytest.mark.parametrize(("where", "step"), [(os, "fsync"), (Path, "mkdir"), (Path, "rmdir")])
async def test_a_slow_disk_holds_up_the_calls(
    archive: FileArchive, spool: Path, monkeypatch: pytest.MonkeyPatch, where: object, step: str
) -> None:
    record(raw_in(spool))
    begun, done = slowed(monkeypatch, where, step)
    keeping = asyncio.create_task(archive.keep(TAG))
    await asyncio.to_thread(begun.wait)
    done.set()
    assert (await keeping).duration_ms == 1000


async def test_the_end_of_a_call_waits_for_all_that_is_before_its_recording(
    archive: FileArchive, spool: Path, kept_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(TAG, recording_id=uuid4())
    for each in (TAG, other):
        record(spool / f"{each.recording_id}.wav")
    begun, done = slowed(monkeypatch, os, "fsync")
    first = asyncio.create_task(archive.keep(TAG, patience=30.0))
    await asyncio.to_thread(begun.wait)
    with pytest.raises(RecordingDelayed, match="storing it takes longer than the end of a call can wait"):
        await archive.keep(other, patience=0.01)
    done.set()
    assert (await first).duration_ms == 1000
    assert (spool / f"{other.recording_id}.wav").exists()
    assert not any(str(other.recording_id) in each for each in files(kept_in))


async def test_another_try_in_another_format_leaves_an_open_recording_behind(
    spool: Path, kept_in: Path, recipients: Callable[[], Sequence[str]]
) -> None:
    """The service was killed before the row knew of the first, and then told to encrypt."""
    record(raw_in(spool))
    await FileArchive(SharedSpool(spool), kept_in, "flac", tuple).keep(TAG)
    kept = await FileArchive(SharedSpool(spool), kept_in, "opus", recipients).keep(TAG)
    assert files(kept_in) == sorted([kept.file, str(beside(Path(kept.file)))])


async def test_a_deletion_leaves_a_file_of_the_recording_behind(spool: Path, kept_in: Path) -> None:
    record(raw_in(spool))
    kept = await FileArchive(SharedSpool(spool), kept_in, "flac", tuple).keep(TAG)
    (kept_in / kept.file).with_suffix(".opus").write_bytes(b"of an earlier version")
    assert remove(kept_in, [kept.file]) == ({}, [])
    assert files(kept_in) == []


async def test_a_recording_is_looked_for_among_all_others_of_its_day(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    listed: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"os.scandir", "os.listdir"}:
            listed.append(str(arguments[0]))

    record(raw_in(spool))
    # it stays with the process: no audit hook can be taken off
    sys.addaudithook(note)
    kept = await archive.keep(TAG)
    assert remove(kept_in, [kept.file]) == ({}, [])
    assert str((kept_in / kept.file).parent) not in listed
    # the working folder is cleared, and for that it is listed
    assert listed


def test_a_recording_of_a_format_is_never_found_again() -> None:
    assert {*get_args(RecordingsSection.model_fields["format"].annotation)} <= {*FORMS}


async def test_a_spool_that_is_away_loses_the_recording(
    archive: FileArchive, spool: Path, kept_in: Path
) -> None:
    away = spool.rename(spool.with_name("away"))  # noqa: ASYNC240
    with pytest.raises(RecordingDelayed, match=rf"{spool} cannot be read: check \[asterisk\] spool"):
        await archive.keep(TAG)
    record(raw_in(away))
    away.rename(spool)
    assert (await archive.keep(TAG)).duration_ms == 1000


async def test_another_folder_than_asterisks_loses_the_recording(archive: FileArchive, spool: Path) -> None:
    with pytest.raises(RecordingDelayed, match=rf"there is no file .* in {spool}: check \[asterisk\] spool"):
        await archive.keep(TAG)


async def test_a_recording_that_nobody_could_open_is_kept_open(spool: Path, kept_in: Path) -> None:
    def missing() -> Sequence[str]:
        raise ConfigError("there are no recipients: ccari keys init")

    archive = FileArchive(SharedSpool(spool), kept_in, "flac", missing)
    await assert_delayed(archive, spool, kept_in, "there are no recipients: ccari keys init")
    archive = FileArchive(SharedSpool(spool), kept_in, "flac", lambda: ("age1nobody",))
    await assert_delayed(archive, spool, kept_in, "a line that is not an age recipient")


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def only(path: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Leave nothing to run but ``sleep``, ``cat`` and these."""
    path.mkdir()
    for each in ("sleep", "cat"):
        (path / each).symlink_to(str(shutil.which(each)))
    for name, script in scripts.items():
        (path / name).write_text(f"#!/bin/sh\n{script}\n")
        (path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(path))


@pytest.fixture(params=[SECOND, LONG], ids=["short", "more-than-a-pipe-holds"])
def sound(request: pytest.FixtureRequest) -> bytes:
    """An encoder that does not read its input cannot be given all of the longer one."""
    return bytes(request.param)


@pytest.mark.parametrize(("form", "program"), [("flac", "flac"), ("opus", "ffmpeg")])
async def test_nobody_tells_that_an_encoder_is_missing(
    spool: Path, kept_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, program: str
) -> None:
    archive = FileArchive(SharedSpool(spool), kept_in, form, tuple)
    only(tmp_path / "bin", monkeypatch)
    await assert_delayed(archive, spool, kept_in, f"^{program} is not installed: apt-get install {program}$")
    (tmp_path / "bin" / program).touch(0o755)
    await assert_delayed(archive, spool, kept_in, f"^{program} cannot be run: Exec format error$")


async def test_a_wave_file_waits_for_an_encoder(
    spool: Path, kept_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(tmp_path / "bin", monkeypatch)
    record(raw_in(spool))
    assert (await FileArchive(SharedSpool(spool), kept_in, "wav", tuple).keep(TAG)).duration_ms == 1000


async def test_an_encoder_that_hangs_stops_all_recordings_for_ever(
    archive: FileArchive,
    spool: Path,
    kept_in: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sound: bytes,
) -> None:
    # long enough for it to tell its process
    monkeypatch.setattr("ccari.recordings.encoding.ENCODE_SECONDS", 5.0)
    monkeypatch.setattr("ccari.recordings.encoding._ENCODE_PART", 1000)
    only(tmp_path / "bin", monkeypatch, flac=f"echo $$ >{tmp_path}/pid; exec sleep 600")
    await assert_delayed(archive, spool, kept_in, "^flac took longer than", sound)
    assert not runs(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("end", ["exit 3", "kill -9 $$"])
async def test_an_encoder_that_dies_leaves_half_a_file(
    archive: FileArchive,
    spool: Path,
    kept_in: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
    sound: bytes,
) -> None:
    script = f'for last; do :; done; echo half >"$last"; echo all >&2; echo why >&2; {end}'
    only(tmp_path / "bin", monkeypatch, flac=script)
    await assert_delayed(archive, spool, kept_in, "^flac failed with (3|-9): why$", sound)


async def test_half_of_a_talk_is_kept_by_an_encoder_that_says_it_is_done(
    archive: FileArchive, spool: Path, kept_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(tmp_path / "bin", monkeypatch, flac='for last; do :; done; echo half >"$last"')
    await assert_delayed(archive, spool, kept_in, "^flac failed with 0: it printed no reason$", LONG)


async def test_half_of_a_talk_is_kept_by_an_older_ffmpeg_whose_disk_is_full_at_its_last_write(
    spool: Path,
    kept_in: Path,
    tmp_path: Path,
    recipients: Callable[[], Sequence[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without -xerror, ffmpeg 4.2 ends with 0 then. Only this machine's disk is full, not the one of the recordings."""
    ffmpeg = shutil.which("ffmpeg")
    older = f'for each; do [ "$each" = -xerror ] && exec {ffmpeg} "$@"; done; {ffmpeg} "$@"; exit 0'
    with mounted(tmp_path / "bench", "size=8k") as bench, monkeypatch.context() as context:
        only(tmp_path / "bin", context, ffmpeg=older)
        archive = FileArchive(SharedSpool(spool), kept_in, "opus", recipients, bench)
        await assert_delayed(archive, spool, kept_in, "No space left on device", os.urandom(48000))


async def test_half_of_a_talk_is_kept_when_its_raw_file_is_cut_off_meanwhile(
    archive: FileArchive, spool: Path, kept_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may write in the spool."""
    record(raw_in(spool), LONG)
    os.mkfifo(tmp_path / "begun")
    only(tmp_path / "bin", monkeypatch, flac=f"echo >{tmp_path}/begun; cat {tmp_path}/begun -; exit 0")
    keeping = asyncio.create_task(archive.keep(TAG))
    await asyncio.to_thread((tmp_path / "begun").read_text)
    os.truncate(raw_in(spool), 1000)
    (tmp_path / "begun").write_text("on")
    with pytest.raises(RecordingDelayed, match="has become shorter"):
        await keeping
    assert files(kept_in) == []


@pytest.mark.parametrize("earlier_tries", [0, 1])
async def test_a_service_that_stood_still_puts_its_file_over_that_of_the_service_that_took_over(
    spool: Path,
    kept_in: Path,
    recipients: Callable[[], Sequence[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    earlier_tries: int,
) -> None:
    """It stood still as it encoded. The database has the hash of the other's file, and no two encryptions are equal."""
    record(raw_in(spool))
    archive, other = (
        FileArchive(SharedSpool(spool), kept_in, "flac", recipients, tmp_path / each) for each in ("a", "b")
    )
    for _ in range(earlier_tries):
        await other.keep(TAG)
    for fifo in ("begun", "on"):
        os.mkfifo(tmp_path / fifo)
    stands_still = f'echo >{tmp_path}/begun; read _ <{tmp_path}/on; exec {shutil.which("flac")} "$@"'
    with monkeypatch.context() as patience:
        only(tmp_path / "bin", patience, flac=stands_still)
        keeping = asyncio.create_task(archive.keep(TAG))
        await asyncio.to_thread((tmp_path / "begun").read_text)
    kept = await other.keep(TAG)
    (tmp_path / "on").write_text("on\n")
    with pytest.raises(RecordingDelayed, match="another service has stored it meanwhile"):
        await keeping
    assert hashlib.sha256((kept_in / kept.file).read_bytes()).digest() == kept.file_sha256
    assert json.loads(beside(kept_in / kept.file).read_text())["file_sha256"] == kept.file_sha256.hex()
    assert await archive.drafts() == []


async def test_a_service_that_stood_still_before_it_encoded_puts_its_file_over_the_others(
    spool: Path, kept_in: Path, recipients: Callable[[], Sequence[str]], tmp_path: Path
) -> None:
    """It had fetched the raw file, and was waiting for its turn."""
    record(raw_in(spool))
    fetched, on = asyncio.Event(), asyncio.Event()

    class Far(SharedSpool):
        async def take(self, recording_id: UUID) -> Path:
            path = await super().take(recording_id)
            fetched.set()
            await on.wait()
            return path

    archive, other = (
        FileArchive(each, kept_in, "flac", recipients, tmp_path / name)
        for name, each in {"a": Far(spool), "b": SharedSpool(spool)}.items()
    )
    keeping = asyncio.create_task(archive.keep(TAG))
    await fetched.wait()
    kept = await other.keep(TAG)
    on.set()
    with pytest.raises(RecordingDelayed, match="another service has stored it meanwhile"):
        await keeping
    assert hashlib.sha256((kept_in / kept.file).read_bytes()).digest() == kept.file_sha256


async def test_recordings_are_encoded_more_than_one_at_a_time_beside_the_calls(
    archive: FileArchive, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits until the first has failed; if both ran together, they would see each other."""
    script = f"mkdir {tmp_path}/alone || exit 5; sleep 0.2; rmdir {tmp_path}/alone; exit 4"
    only(tmp_path / "bin", monkeypatch, flac=script)
    for name in ("mkdir", "rmdir"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    record(raw_in(spool), SECOND)
    both = await asyncio.gather(archive.keep(TAG), archive.keep(TAG), return_exceptions=True)
    assert [str(each)[:18] for each in both] == ["flac failed with 4"] * 2


async def test_calls_wait_for_the_processor_behind_an_encoder(
    archive: FileArchive, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(raw_in(spool))
    only(tmp_path / "bin", monkeypatch, flac=f"exec cat - /proc/self/stat /not/there >{tmp_path}/stat")
    with pytest.raises(RecordingDelayed):
        await archive.keep(TAG)
    # proc(5): the 19th field is the nice value
    nice = int((tmp_path / "stat").read_bytes().rpartition(b") ")[2].split()[16])
    assert nice == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)


async def test_an_encoding_that_is_broken_off_leaves_an_encoder_open_sound_or_an_error_that_nobody_looks_at(
    archive: FileArchive,
    spool: Path,
    kept_in: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sound: bytes,
) -> None:
    """It is broken off by a service that ends, or by a call that ends and waits no longer."""
    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))
    os.mkfifo(tmp_path / "begun")
    only(tmp_path / "bin", monkeypatch, flac=f"echo $$ >{tmp_path}/begun; exec sleep 600")
    record(raw_in(spool), sound)
    keeping = asyncio.create_task(archive.keep(TAG))
    pid = int(await asyncio.to_thread((tmp_path / "begun").read_text))
    keeping.cancel()
    # what is raised here would keep hold of the error that nobody may be left with
    await asyncio.wait([keeping])
    assert keeping.cancelled()
    assert not runs(pid)
    assert files(kept_in) == []
    assert await archive.drafts() == []
    del keeping
    gc.collect()
    assert said == []


async def test_the_end_of_a_call_waits_for_an_encoder_that_hangs(
    archive: FileArchive, spool: Path, kept_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(tmp_path / "bin", monkeypatch, flac=f"echo $$ >{tmp_path}/pid; exec sleep 600")
    record(raw_in(spool))
    with pytest.raises(RecordingDelayed, match="storing it takes longer than the end of a call can wait"):
        # long enough for the encoder to tell its process
        await archive.keep(TAG, patience=5.0)
    assert not runs(int((tmp_path / "pid").read_text()))
    assert files(kept_in) == []


async def test_a_recording_that_is_being_moved_is_left_for_later(
    archive: FileArchive, spool: Path, tmp_path: Path
) -> None:
    """Patience runs out after the encoding is done: it is as good as stored."""
    record(raw_in(spool))
    kept, is_spent = await archive.keep(TAG), asyncio.Event()

    class Watched(Encoding):
        def stop(self) -> bool:
            is_spent.set()
            return super().stop()

    async def moved() -> StoredFile:
        await is_spent.wait()
        return kept

    encoding = Watched()
    encoding.write(Sound(raw.read(raw_in(spool))), tmp_path / "encoded", "wav", {})
    assert await seen_through(moved(), encoding, 0.0) == kept


async def test_a_service_that_ends_leaves_a_recording_that_is_being_moved_behind_its_back(
    archive: FileArchive, spool: Path, kept_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(raw_in(spool))
    begun, done = slowed(monkeypatch, os, "fsync")
    keeping = asyncio.create_task(archive.keep(TAG))
    await asyncio.to_thread(begun.wait)
    keeping.cancel()
    await asyncio.sleep(0)
    assert not keeping.done()
    done.set()
    await asyncio.wait([keeping])
    assert keeping.cancelled()
    assert [Path(each).suffix for each in files(kept_in)] == [".age", ".json"]
    assert await archive.drafts() == []
