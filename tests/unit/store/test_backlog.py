"""What is left in the spool after its call: stored, removed, or left alone."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from ccari.calls.recovery import recover
from ccari.calls.transport import LinkLost
from ccari.errors import AsteriskError, ConfigError, RecordingDelayed, RecordingError
from ccari.metrics.meter import Metrics
from ccari.policy.bases import LegalBasis
from ccari.policy.recording import RecordingState
from ccari.policy.rights import Right
from ccari.ports.calls import OpenedCall
from ccari.ports.metering import UNMETERED
from ccari.ports.recordings import RecordingTag
from ccari.recordings.archive import FileArchive
from ccari.recordings.backlog import Caretaker
from ccari.recordings.spool import SharedSpool
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.metrics.scraped import scraped
from tests.unit.recordings.made import files, record
from tests.unit.store import made
from tests.unit.store.forging import forge


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (folder := tmp_path / "spool").mkdir()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def caretaker(store: Store, spool: Path, folder: Path) -> Caretaker:
    shared = SharedSpool(spool)
    return Caretaker(shared, FileArchive(shared, folder, "wav", tuple), store.recordings)


async def recorded(
    store: Store, spool: Path, *, sound: bytes | None = None, call: OpenedCall | None = None, **tagged: Any
) -> RecordingTag:
    """A running recording, and its raw file; ``tagged`` says what differs in its tag."""
    call = call or made.call()
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", "i1", ())
    tag = replace(made.tag(call), **tagged)
    await store.recordings.tag(tag, ())
    await store.recordings.started(tag.recording_id, tag.started_at)
    record(spool / f"{tag.recording_id}.wav", *([] if sound is None else [sound]))
    return tag


async def waits(store: Store, spool: Path, *, sound: bytes | None = None) -> RecordingTag:
    tag = await recorded(store, spool, sound=sound)
    await store.recordings.finished(tag, None, ())
    return tag


async def state(database: Database, recording: UUID) -> str:
    (row,) = await database.rows("SELECT state FROM recordings WHERE id = $1", recording)
    return str(row["state"])


async def test_one_that_cannot_be_removed_keeps_the_others_from_their_place(
    caretaker: Caretaker, store: Store, database: Database, spool: Path
) -> None:
    stuck, other = await recorded(store, spool), await waits(store, spool)
    await store.recordings.ended(stuck, RecordingState.DISCARDED, ())
    path = spool / f"{stuck.recording_id}.wav"
    path.unlink()
    path.mkdir()
    assert await caretaker.tend() == 1
    assert await state(database, other.recording_id) == "stored"
    assert files(spool) == []


async def test_what_is_recorded_now_or_by_others_is_taken(
    caretaker: Caretaker, store: Store, database: Database, spool: Path, folder: Path
) -> None:
    runs = await recorded(store, spool)
    for name in (f"{uuid4()}.wav", "voicemail.wav", f"{uuid4()}.gsm"):
        record(spool / name)
    before = files(spool)
    assert await caretaker.tend() == 0
    assert (files(spool), files(folder)) == (before, [])
    assert await state(database, runs.recording_id) == "recording"


async def test_one_that_is_delayed_keeps_the_others_or_is_forgotten(
    store: Store, database: Database, spool: Path, folder: Path
) -> None:
    answers: list[tuple[str, ...] | None] = [None, ()]

    def recipients() -> tuple[str, ...]:
        if (answer := answers.pop(0) if answers else ()) is None:
            raise ConfigError("there are no recipients yet")
        return answer

    shared = SharedSpool(spool)
    caretaker = Caretaker(shared, FileArchive(shared, folder, "wav", recipients), store.recordings)
    waiting = [await waits(store, spool) for _ in range(2)]
    assert await caretaker.tend() == 1
    assert sorted([await state(database, each.recording_id) for each in waiting]) == ["finished", "stored"]
    assert len(files(spool)) == 1
    assert await caretaker.tend() == 1
    assert [await state(database, each.recording_id) for each in waiting] == ["stored"] * 2
    assert files(spool) == []


async def test_one_without_sound_comes_back_every_minute(
    caretaker: Caretaker, store: Store, database: Database, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.recordings.raw.CLOSE_SECONDS", 0.0)
    empty = await waits(store, spool, sound=b"")
    assert await caretaker.tend() == 0
    assert (await state(database, empty.recording_id), files(spool)) == ("failed", [])
    events = (await store.records.show_call(empty.call_id)).events
    assert [(each["event"], each["fields"]["recording"]) for each in events] == [
        ("recording_lost", str(empty.recording_id))
    ]


async def test_what_was_without_sound_once_is_removed_when_it_comes_back_whole(
    caretaker: Caretaker, store: Store, database: Database, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example if the disk that it was recorded on was not mounted at the first look."""
    monkeypatch.setattr("ccari.recordings.raw.CLOSE_SECONDS", 0.0)
    tag = await waits(store, spool, sound=b"")
    assert await caretaker.tend() == 0
    # it is gone
    assert await caretaker.tend() == 0
    record(spool / f"{tag.recording_id}.wav")
    assert await caretaker.tend() == 1
    assert (await state(database, tag.recording_id), files(spool)) == ("stored", [])


async def test_a_lost_recording_whose_file_cannot_be_removed_is_told_lost_each_minute(
    store: Store, database: Database, spool: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sealed journal, which nobody can ever tidy up; nor is it reported again by the next service, which knows
    nothing of it.
    """
    monkeypatch.setattr("ccari.recordings.raw.CLOSE_SECONDS", 0.0)
    empty, looked, removals = await waits(store, spool, sound=b""), list[UUID](), list[UUID]()

    class ReadOnly(SharedSpool):
        async def take(self, recording_id: UUID) -> Path:
            looked.append(recording_id)
            return await super().take(recording_id)

        async def remove(self, recording_id: UUID) -> None:
            removals.append(recording_id)
            if len(removals) < 5:
                raise RecordingError("it could not be removed: Read-only file system")
            await super().remove(recording_id)

    def service() -> Caretaker:
        shared = ReadOnly(spool)
        return Caretaker(shared, FileArchive(shared, folder, "wav", tuple), store.recordings, metrics)

    def filed() -> dict[str, float]:
        found = scraped(metrics)
        return {name: found[name] for name in found if "recordings_filed_total" in name and found[name]}

    metrics = Metrics()
    for caretaker in (service(), service()):
        assert [await caretaker.tend(), await caretaker.tend()] == [0, 0]
    events = (await store.records.show_call(empty.call_id)).events
    assert [each["event"] for each in events] == ["recording_lost"]
    assert filed() == {'ccari_recordings_filed_total{result="lost"}': 1.0}
    assert (looked, removals) == ([empty.recording_id] * 2, [empty.recording_id] * 4)
    await caretaker.tend()
    assert (await state(database, empty.recording_id), files(spool)) == ("failed", [])


@pytest.mark.parametrize("of_the_kill", [".x", "/x"], ids=["now", "by an older ccari"])
async def test_open_sound_is_left_of_what_is_not_to_be_kept(
    caretaker: Caretaker, store: Store, spool: Path, folder: Path, of_the_kill: str
) -> None:
    """A service was killed while it encoded, and by then nothing of it was to be kept."""
    discarded, runs = await recorded(store, spool), await recorded(store, spool)
    await store.recordings.ended(discarded, RecordingState.DISCARDED, ())
    for each in (discarded, runs):
        work = folder / ".work" / f"{each.recording_id}{of_the_kill}"
        work.mkdir(parents=True)
        record(work / f"{each.recording_id}.wav")
    (folder / ".work" / "lost+found").mkdir()
    await caretaker.tend()
    assert files(folder / ".work") == [f"{runs.recording_id}{of_the_kill}/{runs.recording_id}.wav"]
    assert files(spool) == [f"{runs.recording_id}.wav"]


async def test_a_spool_that_is_not_there_yet_is_a_fault_or_one_that_cannot_be_read_is_none(
    caretaker: Caretaker, spool: Path
) -> None:
    spool.rmdir()  # noqa: ASYNC240
    assert await caretaker.tend() == 0
    record(spool)
    with pytest.raises(RecordingDelayed, match="cannot be read: Not a directory"):
        await caretaker.tend()


async def test_a_recording_is_stored_under_another_day_than_its_tag_says(
    caretaker: Caretaker, store: Store, spool: Path, folder: Path
) -> None:
    """The fact that it had started could not be written, as the database was away then."""
    tag = await waits(store, spool)
    late = replace(tag, started_at=made.NOW.replace(year=2027))
    await store.recordings.stored(late, made.KEPT, ())
    found = await store.recordings.in_place(tag.recording_id)
    assert (found.tag, found.kept) == (tag, made.KEPT)


async def test_what_two_have_brought_is_told_twice_or_overwritten(
    store: Store, database: Database, spool: Path
) -> None:
    tag = await waits(store, spool)
    told, other = made.journal("recording_stored"), replace(made.KEPT, file="elsewhere")
    assert await store.recordings.stored_first(tag, made.KEPT, told) is True
    assert await store.recordings.stored_first(tag, other, made.journal("recording_stored")) is False
    assert (
        await store.recordings.given_up(tag, RecordingState.FAILED, made.journal("recording_lost")) is False
    )
    (row,) = await database.rows("SELECT state, file FROM recordings")
    assert (row["state"], row["file"]) == ("stored", made.KEPT.file)
    assert [each["event"] for each in (await store.records.show_call(tag.call_id)).events] == [
        "recording_stored"
    ]


async def test_one_taken_for_lost_is_removed_when_its_disk_is_there_again(
    caretaker: Caretaker, store: Store, database: Database, spool: Path
) -> None:
    tag = await recorded(store, spool)
    await store.recordings.ended(tag, RecordingState.FAILED, made.journal("recording_lost"))
    assert await caretaker.tend() == 1
    assert (await state(database, tag.recording_id), files(spool)) == ("stored", [])


async def test_what_was_never_to_be_recorded_is_kept_or_left_open(
    caretaker: Caretaker, store: Store, database: Database, spool: Path, folder: Path
) -> None:
    """Its recorder never reported that it began, or it could not be removed when recording was refused."""
    silent, refused = await recorded(store, spool), await recorded(store, spool)
    await database.rows("UPDATE recordings SET started_at = NULL WHERE id = $1", silent.recording_id)
    await store.recordings.ended(silent, RecordingState.FAILED, ())
    await store.recordings.ended(refused, RecordingState.DISCARDED, ())
    assert await caretaker.tend() == 0
    assert (files(spool), files(folder)) == ([], [])


async def test_one_whose_end_nobody_has_seen_stays_open_in_the_spool(
    caretaker: Caretaker, store: Store, database: Database, spool: Path
) -> None:
    """Asterisk did not answer in time, but its link holds: no stock will be taken."""
    tag = await recorded(store, spool)
    await store.calls.close(tag.call_id, "bridged", "", ())
    assert await caretaker.tend() == 0
    await database.rows("UPDATE calls SET ended_at = now() - interval '6 minutes'")
    assert await caretaker.tend() == 1
    assert (await state(database, tag.recording_id), files(spool)) == ("stored", [])


async def test_what_a_callee_refused_is_kept_though_nobody_saw_its_end(
    caretaker: Caretaker, store: Store, database: Database, spool: Path, folder: Path
) -> None:
    tag = await recorded(store, spool)
    await store.recordings.keep_until(tag.recording_id, tag.started_at)
    await store.calls.close(tag.call_id, "bridged", "", ())
    await database.rows("UPDATE calls SET ended_at = now() - interval '6 minutes'")
    assert await caretaker.tend() == 0
    assert (await state(database, tag.recording_id), files(spool), files(folder)) == ("discarded", [], [])


async def test_what_was_said_after_a_refusal_is_kept_of_a_file_that_lacks_some_of_the_talk_and_had_to_wait(
    caretaker: Caretaker, store: Store, database: Database, spool: Path
) -> None:
    """For example if the disk was full: what it could not take is missing, and the file cannot be stored at once."""
    tag = await recorded(store, spool)
    refused, ended = (tag.started_at + timedelta(milliseconds=each) for each in (600, 1250))
    await store.recordings.end_seen(tag.recording_id, ended)
    await store.recordings.finished(tag, refused, ())
    assert await caretaker.tend() == 1
    (row,) = await database.rows("SELECT duration_ms FROM recordings WHERE id = $1", tag.recording_id)
    assert row["duration_ms"] == 350


@pytest.mark.parametrize(
    ("right", "basis", "becomes"),
    [
        (Right.WITHDRAW_CONSENT, LegalBasis.CONSENT, "discarded"),
        (Right.WITHDRAW_CONSENT, LegalBasis.CONTRACT, "stored"),
        (Right.OBJECTION_MARKETING, LegalBasis.CONSENT, "stored"),
        (Right.ERASURE, LegalBasis.CONTRACT, "discarded"),
        (Right.REFUSE_RECORDING, LegalBasis.LEGITIMATE_INTEREST, "discarded"),
    ],
)
async def test_a_right_does_not_end_a_recording_whose_service_was_killed_or_one_ends_it_that_does_not(
    caretaker: Caretaker,
    store: Store,
    database: Database,
    spool: Path,
    right: Right,
    basis: LegalBasis,
    becomes: str,
) -> None:
    call = made.call()
    tag = await recorded(store, spool, call=call, legal_basis=basis)
    await store.calls.register_right(call, made.exercise(right), ())
    await store.recordings.finished(tag, None, ())
    await caretaker.tend()
    assert await state(database, tag.recording_id) == becomes


async def test_nobody_tells_of_recordings_that_wait_for_hours(
    caretaker: Caretaker, store: Store, database: Database, spool: Path
) -> None:
    tag = await waits(store, spool)
    (spool / f"{tag.recording_id}.wav").unlink()
    with capture_logs() as logged:
        await caretaker.tend()
        await database.rows("UPDATE recordings SET stopped_at = now() - interval '2 hours'")
        await caretaker.tend()
    assert [(each["event"], each["recordings"]) for each in logged] == [("recordings_late", 1)]


async def test_nobody_tells_of_a_recording_whose_end_nobody_will_see(
    caretaker: Caretaker, store: Store, database: Database, spool: Path
) -> None:
    """Its Asterisk has another name now, and no service takes stock under the old one: raw audio stays in the spool."""
    await recorded(store, spool)
    with capture_logs() as logged:
        await caretaker.tend()
        await database.rows("UPDATE recordings SET tagged_at = now() - interval '12 hours'")
        await caretaker.tend()
    assert [(each["event"], each["recordings"]) for each in logged] == [("recordings_late", 1)]


class Emptied:
    """An Asterisk that was set up anew, with nothing going on; ``has``: whether it has recorded, if it can tell."""

    def __init__(self, *, has: bool | None = False) -> None:
        self._has = has

    async def recorded(self, _name: str) -> bool:
        if self._has is None:
            raise AsteriskError("Asterisk gave no answer")
        return self._has

    async def bridges(self) -> dict[str, frozenset[str]]:
        return {}

    async def own_channels(self) -> list[str]:
        return []


async def take_stock(store: Store, spool: Path, folder: Path, ari: Emptied) -> None:
    archive = FileArchive(SharedSpool(spool), folder, "wav", tuple)
    desk = SimpleNamespace(
        ari=ari, store=store.calls, recordings=store.recordings, archive=archive, asterisk=made.ASTERISK, meter=UNMETERED,
    )  # fmt: skip
    await recover(cast("Any", desk), set)


class TakenOver(Emptied):
    """One that another service takes over, and begins a call on, while it is asked for a recording."""

    def __init__(self, other: Store, error: AsteriskError) -> None:
        super().__init__()
        self.call = made.call()
        self._other, self._error = other, error

    async def recorded(self, _name: str) -> bool:
        await self._other.calls.open(self.call, made.question(self.call))
        raise self._error

    async def stop_recording(self, _name: str, *, keep: bool) -> bool:
        return keep


@pytest.mark.parametrize(
    "error", [LinkLost("the connection to Asterisk was lost"), AsteriskError("a recording does not end")]
)
@pytest.mark.parametrize("left", [recorded, waits])
async def test_a_service_that_stood_still_as_it_took_stock_ends_the_calls_of_whoever_took_over(
    store: Store, spool: Path, folder: Path, database: Database,
    left: Callable[[Store, Path], Awaitable[RecordingTag]], error: AsteriskError,
) -> None:  # fmt: skip
    """Nobody would dial for them or record them, and their journals would say that the service died."""
    tag = await left(store, spool)
    (spool / f"{tag.recording_id}.wav").unlink()
    asterisk = TakenOver(store, error)
    # its own limit may pass first when it goes on, and say nothing of the connection
    with pytest.raises(LinkLost) if isinstance(error, LinkLost) else contextlib.nullcontext():
        await take_stock(store, spool, folder, asterisk)
    assert await database.rows("SELECT ended_at FROM calls WHERE id = $1", asterisk.call.id) == [
        {"ended_at": None}
    ]


async def test_what_waits_for_its_place_and_is_nowhere_waits_for_ever(
    caretaker: Caretaker, store: Store, database: Database, spool: Path, folder: Path
) -> None:
    """It would keep its call from erasure, and from its limit. If it comes back after all, it is stored."""
    gone, there, elsewhere = [await waits(store, spool) for _ in range(3)]
    await store.calls.append(gone.call_id, "notice_heard", {"notice_version": "v1"})
    await database.rows("UPDATE calls SET asterisk = 'another' WHERE id = $1", elsewhere.call_id)
    raw = spool / f"{gone.recording_id}.wav"
    raw.rename(away := spool / "away")
    (spool / f"{elsewhere.recording_id}.wav").unlink()
    await take_stock(store, spool, folder, Emptied())
    await take_stock(store, spool, folder, Emptied())
    states = [await state(database, each.recording_id) for each in (gone, there, elsewhere)]
    assert states == ["failed", "finished", "finished"]
    shown = await store.records.show_call(gone.call_id)
    told = [each for each in shown.events if each["event"] == "recording_lost"]
    assert [each["fields"]["recording"] for each in told] == [str(gone.recording_id)]
    assert shown.fault is None
    away.rename(raw)
    assert await caretaker.tend() == 2
    assert await state(database, gone.recording_id) == "stored"


@pytest.mark.parametrize(
    ("has", "spoil"),
    [
        pytest.param(True, lambda _: None, id="not mounted"),
        pytest.param(None, lambda _: None, id="no answer"),
        pytest.param(False, lambda spool: spool.touch(), id="cannot be read"),
    ],
)
async def test_a_spool_that_is_not_mounted_or_an_asterisk_that_does_not_answer_loses_all(
    store: Store,
    database: Database,
    spool: Path,
    folder: Path,
    *,
    has: bool | None,
    spoil: Callable[[Path], None],
) -> None:
    tag = await waits(store, spool)
    spool.rename(spool.with_name("away"))  # noqa: ASYNC240
    spoil(spool)
    await take_stock(store, spool, folder, Emptied(has=has))
    assert await state(database, tag.recording_id) == "finished"


async def test_what_was_never_to_be_kept_is_told_lost(
    store: Store, database: Database, spool: Path, folder: Path
) -> None:
    tag = await recorded(store, spool)
    await store.recordings.finished(tag, tag.started_at, ())
    (spool / f"{tag.recording_id}.wav").unlink()
    await take_stock(store, spool, folder, Emptied())
    assert await state(database, tag.recording_id) == "discarded"
    events = (await store.records.show_call(tag.call_id)).events
    assert [each["event"] for each in events] == ["call_ended"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE calls SET events = 0, last_link = sha256('') WHERE id = $1",
        "UPDATE calls SET events = 2147483647 WHERE id = $1",
        "UPDATE recordings SET legal_basis = 'because' WHERE call_id = $1",
    ],
)
async def test_a_call_that_somebody_has_changed_keeps_the_others_in_the_spool_for_good(
    caretaker: Caretaker, store: Store, database: Database, spool: Path, change: str
) -> None:
    waiting = [await waits(store, spool) for _ in range(3)]
    (first, *_) = await store.recordings.waiting([each.recording_id for each in waiting])
    call = first.tag.call_id
    await store.calls.append(call, "call_gated", {})
    await forge(database, change, call)
    store.journals.forget(call)
    with capture_logs() as logged:
        assert await caretaker.tend() == 2
    states = {each.recording_id: await state(database, each.recording_id) for each in waiting}
    assert states.pop(first.tag.recording_id) == "finished"
    assert set(states.values()) == {"stored"}
    assert files(spool) == [f"{first.tag.recording_id}.wav"]
    (told,) = [each for each in logged if each["event"] in {"recording_left", "recording_delayed"}]
    assert told["call_id"] == str(call)
    assert told["reason"].endswith(f": ccari calls show {call}")


async def test_a_stereo_recording_that_had_to_wait_has_one_side_moved_away_from_the_other(
    store: Store, spool: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, leads = made.call(), list[int]()
    await store.calls.open(call, made.question(call))
    await store.calls.commit_heard(call.id, "v1", "i1", ())
    tag = replace(made.tag(call), channels="stereo")
    await store.recordings.tag(tag, ())
    await store.recordings.started(tag.recording_id, tag.started_at, 250)
    await store.recordings.finished(tag, None, ())
    record(spool / f"{tag.recording_id}.wav")
    archive = FileArchive(shared := SharedSpool(spool), folder, "wav", tuple)

    async def keep(*_: Any, lead_ms: int, **__: Any) -> None:
        leads.append(lead_ms)
        raise RecordingDelayed("the disk is full")

    monkeypatch.setattr(archive, "keep", keep)
    await Caretaker(shared, archive, store.recordings).tend()
    assert leads == [250]


async def test_a_service_tends_the_spool_of_an_asterisk_that_it_does_not_hold(
    store: Store, spool: Path, folder: Path
) -> None:
    """The other service may be storing what lies there at that moment."""
    held, holds, looked = list[bool](), asyncio.Event(), asyncio.Event()

    class Seen(SharedSpool):
        async def recording_ids(self) -> Sequence[UUID]:
            held.append(holds.is_set())
            looked.set()
            return []

    archive = FileArchive(Seen(spool), folder, "wav", tuple)
    working = asyncio.create_task(Caretaker(Seen(spool), archive, store.recordings).run(holds))
    for _ in range(10):
        await asyncio.sleep(0)
    holds.set()
    async with asyncio.timeout(30):
        await looked.wait()
    working.cancel()
    await asyncio.wait([working])
    assert held == [True]


@pytest.mark.parametrize(
    "fault", [RuntimeError("nobody thought of it"), RecordingDelayed("the disk is away")]
)
async def test_a_fault_ends_the_care_for_good(
    store: Store, spool: Path, folder: Path, fault: Exception
) -> None:
    looked = asyncio.Event()

    class Faulty(SharedSpool):
        async def recording_ids(self) -> Sequence[UUID]:
            if not broken:
                looked.set()
            while broken:
                raise broken.pop()
            return []

    broken, holds = [fault], asyncio.Event()
    archive = FileArchive(Faulty(spool), folder, "wav", tuple)
    holds.set()
    archive.leave()
    working = asyncio.create_task(Caretaker(Faulty(spool), archive, store.recordings).run(holds))
    async with asyncio.timeout(30):
        await looked.wait()
    working.cancel()
    await asyncio.wait([working])


async def of_an_asterisk(
    store: Store, database: Database, spool: Path, asterisk: str, days_ago: int, *, call: OpenedCall | None = None
) -> RecordingTag:  # fmt: skip
    """A recording whose end nobody saw, of a call that was closed, as it is in the database after some days; its file
    is not here.
    """
    call = call or made.call(asterisk=asterisk)
    tag = await recorded(store, spool, call=call)
    (spool / f"{tag.recording_id}.wav").unlink()
    await store.calls.close(call.id, "bridged", "service_died", ())
    ago = timedelta(days=days_ago)
    await forge(
        database,
        "UPDATE recordings SET tagged_at = tagged_at - $1::interval WHERE id = $2",
        ago,
        tag.recording_id,
    )
    await forge(database, "UPDATE calls SET opened_at = opened_at - $1::interval WHERE id = $2", ago, call.id)
    return tag


async def test_invariant_6_a_recording_is_kept_past_a_refusal_since_nobody_knows_when_it_began(
    caretaker: Caretaker, store: Store, database: Database, spool: Path
) -> None:
    """It was lost with its machine before it was recorded that it had begun; the refusal had been waiting there."""
    call = made.call(asterisk="gone")
    gone = await of_an_asterisk(store, database, spool, call.asterisk, 8, call=call)
    await database.rows(
        "UPDATE recordings SET started_at = NULL, state = 'tagged' WHERE id = $1", gone.recording_id
    )
    assert await caretaker.tend() == 0
    await store.calls.register_right(call, made.exercise(Right.REFUSE_RECORDING), ())
    record(file := spool / f"{gone.recording_id}.wav")
    assert await caretaker.tend() == 0
    assert (await state(database, gone.recording_id), file.exists()) == ("failed", False)


async def test_what_was_refused_at_once_is_told_lost_with_its_machine(
    caretaker: Caretaker, store: Store, database: Database, spool: Path
) -> None:
    """None of it might have been kept."""
    gone = await of_an_asterisk(store, database, spool, "gone", 8)
    await store.recordings.keep_until(gone.recording_id, gone.started_at)
    assert await caretaker.tend() == 0
    assert await state(database, gone.recording_id) == "discarded"
    shown = await store.records.show_call(gone.call_id)
    assert "recording_lost" not in [each["event"] for each in shown.events]


@pytest.mark.parametrize("begun", [True, False])
async def test_a_recording_of_a_machine_that_is_gone_is_going_on_for_ever(
    caretaker: Caretaker, store: Store, database: Database, spool: Path, *, begun: bool
) -> None:
    """After a backup was restored on another machine: nobody could erase its call, and nothing of it would expire. Its
    ``begun`` may not have been written.
    """
    gone = await of_an_asterisk(store, database, spool, "gone", 8)
    if not begun:
        await database.rows(
            "UPDATE recordings SET started_at = NULL, state = 'tagged' WHERE id = $1", gone.recording_id
        )
    recent = await of_an_asterisk(store, database, spool, "recent", 6)
    in_use = await of_an_asterisk(store, database, spool, "in use", 8)
    await of_an_asterisk(store, database, spool, "in use", 0)
    with capture_logs() as logged:
        assert await caretaker.tend() == 0
    assert [each["event"] for each in logged] == ["recordings_late", "recording_lost"]
    assert [await state(database, each.recording_id) for each in (gone, recent, in_use)] == [
        "failed", "recording", "recording",
    ]  # fmt: skip
    shown = await store.records.show_call(gone.call_id)
    assert shown.events[-1]["event"] == "recording_lost"
    # another node has found it, and cannot store it: it is not reported lost again each minute
    assert await store.recordings.taken_up(gone)
    assert await caretaker.tend() == 0
    shown = await store.records.show_call(gone.call_id)
    assert [each["event"] for each in shown.events].count("recording_lost") == 1
    # but its call is not kept from an erasure for ever either
    await forge(database, "UPDATE call_events SET at = at - interval '8 days' WHERE event = 'recording_lost'")
    assert await caretaker.tend() == 0
    assert await state(database, gone.recording_id) == "failed"
    # nothing is lost for good: the disk of that machine is found
    record(spool / f"{gone.recording_id}.wav")
    assert await caretaker.tend() == 1
    assert await state(database, gone.recording_id) == "stored"
