"""Rights that wait on the disk: each is there whole or not at all, is nobody else's, and there are never too many."""

import asyncio
import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from ccari.errors import ConfigError, StoreError
from ccari.keyring.journal_key import JournalKey, check
from ccari.own_threads import MOST_UNDER_WAY
from ccari.policy.bases import LegalBasis
from ccari.policy.rights import Level, NumberFrom, Right
from ccari.ports.pressed import Pressed, Standing
from ccari.ports.requests import Intake
from ccari.store import local_journal
from ccari.store.local_journal import LOOK_SECONDS, LocalJournalFiles
from ccari.store.pressed import AnotherKeyError, UnreadableError, name_of, pressed_at, seal, unseal
from tests.faults.files import with_a_bit_changed
from tests.unit.store import made
from tests.unit.store.killing import KilledError, kill

KEY = bytes(range(32))
SECONDS = 30.0


def pressed(right: Right = Right.ERASURE, **changes: Any) -> Pressed:
    exercise = replace(made.exercise(right), **changes)
    return Pressed(made.call(), exercise, tuple(made.journal("key_pressed", key="7")))


@pytest.fixture
def keys(tmp_path: Path) -> JournalKey:
    found = JournalKey(tmp_path / "keys")
    found.create()
    return found


@pytest.fixture
def journal(tmp_path: Path, keys: JournalKey) -> LocalJournalFiles:
    return LocalJournalFiles(tmp_path, keys.read)


def files(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


async def test_what_was_pressed_is_another_right_when_it_is_read(journal: LocalJournalFiles) -> None:
    whole = pressed(
        Right.WITHDRAW_CONSENT, notice_version=None, language="uk", purpose="nowa oferta", consent_purpose="marketing",
        consent_campaigns=("offers", "renewals"), recording_basis=LegalBasis.CONSENT, recorded_elsewhere=True,
        intake=Intake.AGENT, number_from=NumberFrom.CALLER_ID, level=Level.L0, who="anna", note="ż", due=date(2027, 1, 4),
    )  # fmt: skip
    await journal.keep(whole)
    (name,) = journal.names()
    assert journal.read(name) == whole
    assert journal.standing().waiting
    assert pressed_at(name) == whole.exercise.received_at
    size = (journal.waiting / name).stat().st_size
    assert size > 0
    assert journal.standing() == Standing(1, whole.exercise.received_at, bytes=size)


async def test_those_that_wait_are_registered_in_another_order_than_they_were_pressed(
    journal: LocalJournalFiles,
) -> None:
    late, early = pressed(), pressed(received_at=made.NOW - timedelta(seconds=1))
    for each in (late, early):
        await journal.keep(each)
    assert [journal.read(each) for each in journal.names()] == [early, late]


async def test_whoever_has_the_disk_reads_the_number_or_who_pressed_what(journal: LocalJournalFiles) -> None:
    await journal.keep(pressed())
    (name,) = journal.names()
    content = (journal.waiting / name).read_bytes()
    for told in (made.NUMBER.e164, "erasure", "acme", "anna", "renewals"):
        assert told.encode() not in content
        assert told not in name
    for each in (journal.folder, journal.waiting, journal.waiting / name):
        assert stat.S_IMODE(each.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("step", [(os, "fsync"), (Path, "replace")], ids=["written", "named"])
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("after", [False, True])
async def test_a_service_killed_while_it_keeps_a_right_leaves_half_of_it_or_bars_what_comes_after(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch, step: tuple[object, str], *, at: int, after: bool
) -> None:  # fmt: skip
    """A killed process cleans nothing up, so what stands for it here must not either. It had confirmed nothing yet."""
    journal._make()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        kill(patch, step, after=after, at=at)
        try:
            journal._keep(first := pressed())
        except KilledError:
            pass
        else:
            assert step[1] == "replace"
    journal.tidy()
    assert [journal.read(each) for each in journal.names()] == [first]
    assert files(journal.aside) == []
    await journal.keep(second := pressed())
    assert {journal.read(each).exercise.id for each in journal.names()} == {
        first.exercise.id,
        second.exercise.id,
    }


async def test_invariant_5_a_right_counts_as_kept_that_a_power_failure_would_take_along(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content is synced before it gets its name, and the name before anybody is told; so are the folders above."""
    steps: list[str] = []
    sync, rename = os.fsync, Path.replace

    def syncs(handle: int) -> None:
        sync(handle)
        steps.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name.partition('.')[0] or 'draft'}")

    def renames(path: Path, to: Path) -> Path:
        steps.append("name")
        return rename(path, to)

    monkeypatch.setattr(os, "fsync", syncs)
    monkeypatch.setattr(Path, "replace", renames)
    await journal.keep(pressed())
    above = journal.folder.parent.name
    assert steps == [f"sync {above}", *["sync local-journal"] * 2, "sync draft", "name", "sync waiting"]


@pytest.mark.parametrize("left", [0, 1, 20, 60, 300, -1])
async def test_a_torn_record_is_registered_or_thrown_away_or_goes_unnoticed(
    journal: LocalJournalFiles, keys: JournalKey, left: int
) -> None:
    """The power failed while it was being written: any part of an unsynced file may be there."""
    journal._make()
    name = name_of(torn := pressed())
    content = seal(torn, keys.read())[:left]
    (journal.waiting / f".{name}.0a0b0c0d.draft").write_bytes(content)
    with capture_logs() as logged:
        journal.tidy()
    assert (journal.names(), files(journal.waiting)) == ([], [])
    assert files(journal.aside) == [f"{name}.torn"]
    assert (journal.aside / f"{name}.torn").read_bytes() == content
    assert [(line["event"], line["record"]) for line in logged] == [("right_torn", name)]
    assert journal.standing() == Standing(torn=1)


async def test_a_right_that_is_being_kept_is_taken_for_one_that_was_left(journal: LocalJournalFiles) -> None:
    """By another service that starts on the same disk."""
    journal._make()
    (draft := journal.waiting / f".{name_of(pressed())}.0a0b0c0d.draft").write_bytes(b"half")
    with journal._lock("keeping", fcntl.LOCK_SH):
        journal.tidy()
        assert draft.exists()
    journal.tidy()
    assert not draft.exists()


async def test_two_register_what_waits_at_once(journal: LocalJournalFiles) -> None:
    async with journal.registering() as ours, journal.registering() as theirs:
        assert (ours, theirs) == (True, False)
    async with journal.registering() as again:
        assert again


async def test_somebody_who_gives_up_waiting_for_the_turn_to_register_keeps_it(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, taken, take = threading.Event(), threading.Event(), threading.Event(), journal._open_lock

    def slowly(name: str, how: int) -> int | None:
        begun.set()
        go_on.wait(SECONDS)
        try:
            return take(name, how)
        finally:
            taken.set()

    async def wait() -> None:
        async with journal.registering():
            pass

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_open_lock", slowly)
        waiting = asyncio.create_task(wait())
        await asyncio.to_thread(begun.wait, SECONDS)
        waiting.cancel()
        await asyncio.wait([waiting])
        go_on.set()
        await asyncio.to_thread(taken.wait, SECONDS)
    async with asyncio.timeout(SECONDS):
        while True:
            async with journal.registering() as ours:
                if ours:
                    break


async def test_root_gives_the_services_user_what_a_lock_of_theirs_links_to(
    journal: LocalJournalFiles, tmp_path: Path
) -> None:
    """As root's command opened the lock, and gave it to the folder's owner, who had laid the link."""
    if os.geteuid() != 0:
        pytest.skip("needs root, who may give files away")
    journal._make()
    os.chown(journal.folder, 65534, 65534)
    roots = tmp_path / "roots"
    roots.touch()
    (journal.folder / "registering.lock").symlink_to(roots)
    with pytest.raises(StoreError, match="cannot be locked"):
        async with journal.registering():
            pass
    assert roots.stat().st_uid == 0


async def test_a_lock_that_the_disk_refuses_is_no_error_that_anybody_expects(
    journal: LocalJournalFiles,
) -> None:
    """Such as a disk that was remounted read-only, or with no descriptor left."""
    journal._make()
    (journal.folder / "registering.lock").mkdir()
    (journal.folder / "keeping.lock").mkdir()
    with pytest.raises(StoreError, match=r"cannot be locked: .*: Is a directory"):
        async with journal.registering():
            pass
    with pytest.raises(StoreError, match="cannot be locked"):
        await journal.keep(pressed())


def _changes(content: bytes) -> Iterator[bytes]:
    for place in range(len(content)):
        yield with_a_bit_changed(content, place)


async def test_what_was_changed_on_the_disk_is_taken_for_what_was_pressed(keys: JournalKey) -> None:
    whole = pressed()
    name, content = name_of(whole), seal(whole, keys.read())
    assert unseal(name, content, keys.read()) == whole
    for changed in (*_changes(content), content + b"0", b"", content[:-1]):
        with pytest.raises((UnreadableError, AnotherKeyError)):
            unseal(name, changed, keys.read())


async def test_one_right_is_taken_for_another_that_has_its_name(keys: JournalKey) -> None:
    with pytest.raises(UnreadableError, match="was renamed"):
        unseal(name_of(pressed()), seal(pressed(), keys.read()), keys.read())


async def test_another_key_reads_what_it_did_not_write_or_nobody_is_told_that_it_is_another(
    keys: JournalKey,
) -> None:
    told = f"with the journal.key {check(keys.read())}, but this one is {check(KEY)}"
    with pytest.raises(AnotherKeyError, match=told):
        unseal(name_of(whole := pressed()), seal(whole, keys.read()), KEY)


async def test_a_journal_that_is_full_takes_one_more_or_nobody_hears_of_it(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_journal, "MOST_RIGHTS", 2)
    for _ in range(2):
        await journal.keep(pressed())
    with (
        capture_logs() as logged,
        pytest.raises(StoreError, match="the local journal is full: 2 rights wait"),
    ):
        await journal.keep(pressed())
    assert [line["event"] for line in logged] == ["local_journal_full"]
    assert journal.standing().full
    assert len(journal.names()) == 2
    journal.remove(journal.names()[0])
    assert not journal.standing().full
    await journal.keep(pressed())


async def test_a_journal_takes_more_bytes_than_it_may(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.keep(pressed())
    (size,) = [each.stat().st_size for each in journal.waiting.iterdir()]
    monkeypatch.setattr(local_journal, "MOST_BYTES", size + size // 2)
    with pytest.raises(StoreError, match="full"):
        await journal.keep(pressed())
    assert journal.standing().full


class Removing:
    """The entries of a folder whose files are removed before anybody has looked at them."""

    def __init__(self, folder: Path) -> None:
        with os.scandir(folder) as there:
            self._found = list(there)
        for each in self._found:
            Path(each.path).unlink()
        self.closed = False

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        return iter(self._found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


async def test_a_right_is_refused_for_another_that_is_registered_meanwhile(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.keep(pressed())
    looked = Removing(journal.waiting)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda _: looked)
        await journal.keep(after := pressed())
    assert journal.names() == [name_of(after)]
    assert looked.closed


async def test_a_right_is_refused_for_what_else_its_call_has_to_tell(journal: LocalJournalFiles) -> None:
    whole = replace(pressed(), journal=tuple(made.journal(*["key_pressed"] * 3000)))
    with capture_logs() as logged:
        await journal.keep(whole)
    assert [(line["event"], line["entries"]) for line in logged] == [("right_kept_alone", 3000)]
    (name,) = journal.names()
    assert journal.read(name) == replace(whole, journal=())


async def test_a_right_that_is_too_large_is_taken_for_a_journal_that_is_full(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_journal, "MOST_RIGHT_BYTES", 100)
    with pytest.raises(StoreError, match="and may take at most"):
        await journal.keep(pressed())


async def test_a_disk_that_is_full_is_an_error_of_the_call_or_leaves_half_a_right(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    await journal.keep(first := pressed())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="cannot be written: No space left on device"):
            await journal.keep(pressed())
    assert [journal.read(each) for each in journal.names()] == [first]
    assert files(journal.waiting) == journal.names()


async def test_a_disk_that_does_not_answer_holds_up_whoever_pressed_or_all_who_use_a_thread(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds press while it hangs. What nobody waits for any more is not begun when it answers again."""
    stuck, begun = threading.Event(), list[Pressed]()

    def hang(each: Pressed) -> None:
        begun.append(each)
        stuck.wait(SECONDS)

    monkeypatch.setattr(local_journal, "KEEP_SECONDS", 0.2)
    monkeypatch.setattr(journal, "_keep", hang)
    try:
        presses = [journal.keep(pressed()) for _ in range(3 * MOST_UNDER_WAY)]
        told = await asyncio.gather(*presses, return_exceptions=True)
        async with asyncio.timeout(SECONDS):
            assert await asyncio.to_thread(lambda: "goes on") == "goes on"
        hung = len(begun)
    finally:
        stuck.set()
    assert {type(each) for each in told} == {StoreError}
    assert sum("does not answer" in str(each) for each in told) == 2 * MOST_UNDER_WAY
    assert sum("did not store the right in time" in str(each) for each in told) == MOST_UNDER_WAY
    await journal.disk.run(lambda: None)
    assert len(begun) == hung < MOST_UNDER_WAY


async def test_a_disk_that_hangs_opens_the_gate_or_holds_up_the_event_loop(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And however many ask, only one looks."""
    stuck, looks = threading.Event(), list[None]()

    def hang() -> Standing:
        looks.append(None)
        stuck.wait(SECONDS)
        return Standing()

    monkeypatch.setattr(local_journal, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(journal, "standing", hang)
    try:
        told = await asyncio.gather(*[journal.unsettled() for _ in range(500)], return_exceptions=True)
    finally:
        stuck.set()
    assert {str(each) for each in told} == {f"the local journal in {journal.folder} did not answer in time"}
    assert len(looks) == 1


async def test_invariant_1_a_look_that_began_before_a_right_was_kept_opens_the_gate(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, go_on, look = threading.Event(), threading.Event(), journal.standing

    def slowly() -> Standing:
        found = look()
        seen.set()
        go_on.wait(SECONDS)
        return found

    try:
        with monkeypatch.context() as patch:
            patch.setattr(journal, "standing", slowly)
            early = asyncio.create_task(journal.unsettled())
            await asyncio.to_thread(seen.wait, SECONDS)
        await journal.keep(pressed())
        assert (await journal.unsettled()).waiting == 1
    finally:
        go_on.set()
    assert (await early).waiting == 0


@pytest.fixture
def looks(journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch) -> list[Standing]:
    """What was seen in the folders of ``journal``, which are there, empty, and have been for long."""
    journal._make()
    _tick(journal)
    look, seen, now = journal.standing, list[Standing](), time.time_ns

    def looked() -> Standing:
        seen.append(look())
        return seen[-1]

    monkeypatch.setattr(journal, "standing", looked)
    monkeypatch.setattr(local_journal, "time_ns", lambda: now() + 2 * local_journal._TICK_NS)
    return seen


def _tick(journal: LocalJournalFiles) -> None:
    """Wait until the file system's clock is past the time of the last change there."""
    changed = max(each.stat().st_ctime_ns for each in (journal.waiting, journal.aside))
    probe = journal.folder / "probe"
    while not probe.exists() or probe.stat().st_ctime_ns <= changed:
        probe.write_text("")


async def test_every_gate_waits_for_a_thread_though_nothing_was_kept(
    journal: LocalJournalFiles, looks: list[Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    # for that long nobody looks again
    monkeypatch.setattr(local_journal, "LOOK_SECONDS", SECONDS)
    for _ in range(5):
        assert await journal.unsettled() == Standing()
    assert len(looks) == 1


@pytest.mark.parametrize("aside", [False, True])
async def test_invariant_1_what_another_process_has_kept_leaves_the_gate_open_for_a_moment(
    journal: LocalJournalFiles, keys: JournalKey, looks: list[Standing], *, aside: bool
) -> None:
    other = LocalJournalFiles(journal.folder.parent, keys.read)
    for nth in range(1, 4):
        assert await journal.unsettled() == Standing()
        _tick(journal)
        await other.keep(pressed())
        (name,) = other.names()
        if aside:
            other.put_aside(name)
        for _ in range(2):
            found = await journal.unsettled()
            assert (found.waiting, found.aside) == (not aside, aside)
        # while it lies there, everybody looks
        assert len(looks) == 3 * nth
        (other.aside if aside else other.waiting).joinpath(name).unlink()
        _tick(journal)


async def test_invariant_1_what_is_kept_within_a_tick_of_the_disk_s_clock_is_overlooked(
    journal: LocalJournalFiles, looks: list[Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder shows the same for a change and for one right after it."""
    changed = journal.waiting.stat().st_ctime_ns
    for since in (0, local_journal._TICK_NS, -2 * local_journal._TICK_NS):
        monkeypatch.setattr(local_journal, "time_ns", lambda since=since: changed + since)
        await journal.unsettled()
        await journal.unsettled()
    assert len(looks) == 6


async def test_a_folder_that_is_gone_or_another_one_or_shut_counts_as_empty(
    journal: LocalJournalFiles, looks: list[Standing]
) -> None:
    await journal.unsettled()
    journal.aside.rename(journal.folder / "moved")
    await journal.unsettled()
    journal.aside.write_text("")
    with pytest.raises(StoreError, match="cannot read"):
        await journal.unsettled()
    assert len(looks) == 2


async def test_a_look_counts_for_ever(
    journal: LocalJournalFiles, looks: list[Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(local_journal, "monotonic", lambda: now)
    for later in (0.0, LOOK_SECONDS / 2, LOOK_SECONDS, 1.5 * LOOK_SECONDS):
        now = later
        await journal.unsettled()
    assert len(looks) == 2


async def test_invariant_1_a_right_that_is_taken_back_from_aside_opens_the_gate_for_a_moment(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.keep(pressed())
    (name,) = journal.names()
    journal.put_aside(name)
    look = journal.put_by

    def too_late() -> list[str]:
        journal.take_back(name)
        return look()

    monkeypatch.setattr(journal, "put_by", too_late)
    found = await journal.unsettled()
    assert (found.waiting, found.aside) == (1, 0)


async def test_a_missing_key_keeps_a_right_in_the_clear(journal: LocalJournalFiles, keys: JournalKey) -> None:
    keys.path.unlink()
    with pytest.raises(ConfigError, match=r"there is no .*journal\.key"):
        await journal.keep(pressed())
    assert not journal.standing().waiting


async def test_a_folder_that_cannot_be_read_counts_as_empty(journal: LocalJournalFiles) -> None:
    """Somebody may have asked to be barred."""
    await journal.keep(pressed())
    journal.waiting.rename(journal.folder / "moved")
    journal.waiting.write_text("")
    with pytest.raises(StoreError, match="cannot read"):
        await journal.unsettled()


async def test_a_right_that_is_registered_is_waited_for_because_its_file_cannot_be_removed(
    journal: LocalJournalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    await journal.keep(pressed())
    monkeypatch.setattr(Path, "unlink", refuse)
    with capture_logs() as logged:
        journal.remove(journal.names()[0])
    assert [line["event"] for line in logged] == ["right_not_removed"]
    assert not journal.standing().waiting


def test_a_key_is_made_anew_or_can_be_read_by_others(tmp_path: Path) -> None:
    key = JournalKey(tmp_path / "keys")
    with pytest.raises(ConfigError, match="ccari keys init"):
        key.read()
    assert key.create()
    first = key.read()
    assert not key.create()
    assert (key.read(), len(first)) == (first, 32)
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    key.path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        key.read()
    key.path.chmod(0o600)
    key.path.write_text("00" * 31)
    with pytest.raises(ConfigError, match="contains no key"):
        key.read()


def test_the_clock_of_the_name_is_another_than_the_rights() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 67, tzinfo=UTC)
    name = name_of(pressed(received_at=at, id=UUID(int=7)))
    assert name == "20260102T030405.000067Z-00000000-0000-0000-0000-000000000007.right"
    assert pressed_at(name) == at


async def test_rights_are_registered_in_another_order_than_they_were_pressed_as_clocks_are_put_back(
    journal: LocalJournalFiles,
) -> None:
    """Or are said to have waited since an hour that is still to come. Asterisk reports keys in its machine's time zone."""
    put_back = datetime(2026, 10, 25, 1, tzinfo=UTC)
    before, after = put_back - timedelta(seconds=10), put_back + timedelta(seconds=10)
    for at, zone in (
        (after, "Europe/Warsaw"),
        (before, "Europe/Warsaw"),
        (after, "UTC"),
        (before, "Asia/Tokyo"),
    ):
        await journal.keep(pressed(received_at=at.astimezone(ZoneInfo(zone))))
    names = journal.names()
    assert [pressed_at(name) for name in names] == [before, before, after, after]
    assert [journal.read(name).exercise.received_at for name in names] == [before, before, after, after]
    assert journal.standing().since == before
