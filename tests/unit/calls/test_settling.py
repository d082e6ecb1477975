"""What becomes of a recording at the end of its call, and of one that no service drives any more."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from ccari.calls.events import Ids
from ccari.calls.recorder import Recorder
from ccari.calls.recovery import _settle, recover
from ccari.calls.segment import KEEP_SECONDS
from ccari.calls.talks import talks_to_take_up
from ccari.errors import AsteriskError, RecordingDelayed, RecordingError, RefusedError, StoreError
from ccari.gating.journal import Journal
from ccari.metrics.meter import Metrics
from ccari.policy.call import Direction
from ccari.policy.call import commands as do
from ccari.policy.chain import Entry
from ccari.policy.numbers import Number
from ccari.policy.rights import Right
from ccari.ports.calls import LeftTalk
from ccari.ports.metering import UNMETERED, UNMETERED_CALL, CallMeter, Way
from ccari.ports.recordings import Channels, RecordingTag, StoredFile, Unfinished
from ccari.ports.requests import Exercise
from ccari.recordings.archive import FileArchive
from ccari.recordings.spool import SharedSpool
from tests.unit.calls.talking import Talking
from tests.unit.metrics.scraped import scraped
from tests.unit.policy.campaigns import campaign
from tests.unit.recordings.made import TAG, raw_in, record

#: Stands for a database that cannot say when something was refused.
_AWAY = datetime.max.replace(tzinfo=UTC)


class Rows:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.told: Sequence[Entry] = ()
        self.refused_at: datetime | None = None

    async def tag(self, *_: Any) -> None:
        self.said.append("tagged")

    async def started(self, *_: Any) -> None:
        self.said.append("started")

    async def stored(self, _tag: object, _kept: object, journal: Sequence[Entry]) -> None:
        self.said.append("stored")
        self.told = journal

    async def finished(self, *_: Any) -> None:
        self.said.append("finished")

    async def keep_until(self, *_: Any) -> None:
        self.said.append("keep_until")

    async def kept_until(self, *_: Any) -> datetime | None:
        if self.refused_at is _AWAY:
            raise StoreError("the database is away")
        return self.refused_at

    async def end_seen(self, *_: Any) -> None:
        self.said.append("end_seen")

    async def ended(self, _tag: object, state: str, journal: Sequence[Entry]) -> None:
        self.said.append(state)
        self.told = journal


def recorder_on(
    ari: object, shelf: object, rows: Rows | None = None, meter: CallMeter = UNMETERED_CALL
) -> tuple[Recorder, Rows]:
    """A recorder of a call that has its row, and what is written about its recordings."""
    rows, journal = rows or Rows(), Journal(TAG.call_id, "anna", meter)
    journal.opened()
    desk = SimpleNamespace(ari=ari, recordings=rows, archive=shelf, channels=Channels.MONO)
    return Recorder(Ids(TAG.call_id, Direction.OUTBOUND, "phone"), cast("Any", desk), journal), rows


async def tagged(*of: Any) -> tuple[Recorder, Rows]:
    """As :func:`recorder_on`, with the tag of a recording."""
    recorder, rows = recorder_on(*of)
    await recorder.tag(replace(Talking(Direction.OUTBOUND).actions._terms, heard_version="v1"))
    return recorder, rows


class Blind:
    """An Asterisk that started before its spool was mounted, or has another one."""

    async def recorded(self, _name: str) -> bool:
        return False


@pytest.mark.parametrize(("there", "state"), [(True, "finished"), (False, "failed")])
async def test_asterisks_word_has_the_only_copy_removed(tmp_path: Path, *, there: bool, state: str) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    if there:
        record(raw_in(spool))
    rows = Rows()
    archive = FileArchive(SharedSpool(spool), tmp_path / "kept", "flac", tuple)
    desk = SimpleNamespace(ari=Blind(), recordings=rows, archive=archive, meter=UNMETERED)
    await _settle(cast("Any", desk), Unfinished(TAG, begun=True, until=None))
    assert (rows.said, raw_in(spool).exists()) == ([state], there)


@pytest.mark.parametrize(("begun", "told"), [(True, ["recording_lost"]), (False, [])])
async def test_a_recording_that_a_dead_run_has_lost_is_in_neither_the_log_nor_the_metric(
    tmp_path: Path, *, begun: bool, told: list[str]
) -> None:
    """Nothing is lost if nothing was begun."""
    (tmp_path / "spool").mkdir()
    rows, metrics = Rows(), Metrics()
    archive = FileArchive(SharedSpool(tmp_path / "spool"), tmp_path / "kept", "flac", tuple)
    desk = SimpleNamespace(ari=Blind(), recordings=rows, archive=archive, meter=metrics)
    with capture_logs() as logged:
        await _settle(cast("Any", desk), Unfinished(TAG, begun=begun, until=None))
    assert [each.event for each in rows.told] == told
    assert [(each["event"], each["call_id"]) for each in logged] == [
        (each, str(TAG.call_id)) for each in told
    ]
    assert scraped(metrics).get('ccari_recordings_filed_total{result="lost"}', 0) == len(told)


async def test_invariant_6_what_was_refused_at_once_lies_in_the_spool_after_a_crash(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    record(raw_in(spool))
    rows = Rows()
    archive = FileArchive(SharedSpool(spool), tmp_path / "kept", "flac", tuple)
    desk = SimpleNamespace(ari=Blind(), recordings=rows, archive=archive, meter=UNMETERED)
    assert not await _settle(cast("Any", desk), Unfinished(TAG, begun=True, until=TAG.started_at))
    assert (rows.said, list(spool.iterdir())) == (["discarded"], [])


class Whole:
    async def recorded(self, _name: str) -> bool:
        return True

    async def hang_up(self, _channel: str) -> bool:
        return False

    async def stop_recording(self, _name: str, *, keep: bool) -> bool:
        return keep


class Shelf:
    def __init__(self, duration_ms: int) -> None:
        self._kept = StoredFile("f", "flac", duration_ms, bytes(32), 1, bytes(32), (), silent=False)

    def check(self) -> None: ...

    async def has(self, _recording: object) -> bool:
        return True

    async def keep(self, *_: Any, **__: Any) -> StoredFile:
        return self._kept

    async def discard(self, _recording: object) -> None: ...

    def leave(self) -> None: ...


@pytest.mark.parametrize(
    ("duration_ms", "told"),
    [
        (9_500, []),
        (10_500, []),
        (4_000, [("recording_short", "missing_ms", "6000")]),
        (13_333, [("recording_long", "extra_ms", "3333")]),
    ],
)
async def test_a_file_that_lacks_a_part_of_the_talk_or_is_too_slow_is_kept_without_a_word(
    duration_ms: int, told: list[tuple[str, str, str]]
) -> None:
    recorder, rows = await tagged(Whole(), Shelf(duration_ms))
    begun = datetime.now(UTC)
    await recorder.started(begun)
    await recorder.ended(begun + timedelta(seconds=10))
    await recorder.settle()
    lengths = {"missing_ms", "extra_ms"}
    found = [
        (each.event, name, each.fields[name]) for each in rows.told for name in lengths & each.fields.keys()
    ]
    assert found == told
    assert rows.said[-1] == "stored"


async def test_a_call_that_is_late_to_hear_of_its_recorder_passes_for_a_file_that_is_short() -> None:
    """The database hung while a right was pressed, and what Asterisk reported about the recorder waited for its turn."""
    recorder, rows = await tagged(Whole(), Shelf(0))
    for kind in ("RecordingStarted", "RecordingFinished"):
        recorder.take_note({"type": kind, "recording": {"name": recorder.name}})
    late = datetime.now(UTC) + timedelta(seconds=5)
    await recorder.started(late)
    await recorder.ended(late + timedelta(seconds=5))
    await recorder.settle()
    assert [each.event for each in rows.told] == ["recording_stored"]


@pytest.mark.parametrize(
    ("written", "there", "state"),
    [(False, False, "failed"), (True, False, "finished"), (False, True, "finished")],
)
async def test_what_asterisk_could_not_write_waits_for_its_file_for_ever(
    *, written: bool, there: bool, state: str
) -> None:
    """Asterisk reports its end like any other, although the disk was read-only, say. But a spool that is not mounted
    may still have it.
    """

    class Missing(Shelf):
        async def has(self, _recording: object) -> bool:
            return there

        async def keep(self, *_: Any, **__: Any) -> StoredFile:
            raise RecordingDelayed("there is no file in the spool")

    class Knowing:
        async def recorded(self, _name: str) -> bool:
            return written

    recorder, rows = await tagged(Knowing(), Missing(1000))
    await recorder.started(datetime.now(UTC))
    recorder.take_note({"type": "RecordingFinished", "recording": {"name": recorder.name}})
    await recorder.settle()
    assert rows.said[-1] == state


class Soundless(Shelf):
    async def keep(self, *_: Any, **__: Any) -> StoredFile:
        raise RecordingError("the file contains no sound")


@pytest.mark.parametrize(
    ("lasted", "pressed", "state", "lost"),
    [
        (0.03, None, "discarded", 0),
        (5.0, 0.03, "discarded", 0),
        (5.0, None, "failed", 1),
        (5.0, 4.0, "failed", 1),
    ],
    ids=["hung-up-at-once", "refused-at-once", "no-sound", "no-sound-and-refused"],
)
async def test_whoever_leaves_or_refuses_as_they_are_connected_sets_off_the_alarm_for_lost_recordings(
    lasted: float, pressed: float | None, state: str, lost: int
) -> None:
    """Asterisk has not written a frame yet, or none that may be kept. Nobody has said a word that could be lost."""
    metrics = Metrics()
    meter = metrics.call(Way.STASIS, Direction.OUTBOUND)
    recorder, rows = await tagged(Whole(), Soundless(0), None, meter)
    begun = datetime.now(UTC)
    await recorder.started(begun)
    if pressed is not None:
        await recorder.stop(keep=True, binding=True, at=begun + timedelta(seconds=pressed))
    await recorder.ended(begun + timedelta(seconds=lasted))
    await recorder.settle()
    assert rows.said[-1] == state
    assert sum(each.event == "recording_lost" for each in rows.told) == lost
    assert scraped(metrics).get('ccari_recordings_filed_total{result="lost"}', 0) == lost


@pytest.mark.parametrize(("error", "state"), [(RecordingDelayed, "finished"), (RecordingError, "failed")])
async def test_a_recording_whose_beginning_could_not_be_written_passes_for_one_that_never_began(
    error: type[RecordingError], state: str
) -> None:
    class Away(Rows):
        async def started(self, *_: Any) -> None:
            self.said.append("started")
            if self.said.count("started") == 1:
                raise StoreError("the database did not answer in time")

    class Busy(Shelf):
        async def keep(self, *_: Any, **__: Any) -> StoredFile:
            raise error("the encoder is busy")

    recorder, rows = await tagged(Whole(), Busy(1000), Away())
    begun = datetime.now(UTC)
    with pytest.raises(StoreError):
        await recorder.started(begun)
    await recorder.ended(begun + timedelta(seconds=10))
    await recorder.settle()
    assert rows.said == ["tagged", "started", "started", "end_seen", state]


async def test_the_end_of_a_recording_that_has_to_wait_is_forgotten() -> None:
    """Without it, nobody can tell later how much of a refused talk is missing from its file."""
    seen: list[datetime] = []

    class Seeing(Rows):
        async def end_seen(self, _recording: object, at: datetime) -> None:
            seen.append(at)

    class Full(Shelf):
        async def keep(self, *_: Any, **__: Any) -> StoredFile:
            raise RecordingDelayed("the disk is full")

    recorder, rows = await tagged(Whole(), Full(1000), Seeing())
    begun = datetime.now(UTC)
    await recorder.started(begun)
    await recorder.ended(over_at := begun + timedelta(seconds=10))
    await recorder.settle()
    assert (seen, rows.said[-1]) == ([over_at], "finished")


async def test_a_link_that_is_lost_at_the_end_leaves_a_recording_of_unknown_bounds() -> None:
    """Whoever comes to its file later would discard it."""

    class Lost(Whole):
        async def recorded(self, _name: str) -> bool:
            raise AsteriskError("the connection was lost")

    recorder, rows = await tagged(Lost(), Shelf(1000))
    begun = datetime.now(UTC) - timedelta(seconds=10)
    await recorder.started(begun)
    assert await recorder.stop(keep=True, binding=True, at=begun + timedelta(seconds=6))
    await recorder.settle()
    assert rows.said == ["tagged", "started", "started", "keep_until"]


@pytest.mark.parametrize("pressed", [True, False])
async def test_invariant_6_one_whose_beginning_is_unknown_is_cut_by_its_tag(*, pressed: bool) -> None:
    """The service that began it died before Asterisk confirmed it: it began some time after its tag."""
    recorder, rows = recorder_on(Whole(), Shelf(1000))
    recorder.resume(1, Unfinished(TAG, begun=False, until=None))
    at = TAG.started_at + timedelta(seconds=10) if pressed else None
    assert await recorder.stop(keep=True, binding=pressed, at=at)
    await recorder.settle()
    assert rows.said[-1] == ("discarded" if pressed else "stored")


@pytest.mark.parametrize(
    ("on_record", "pressed", "kept"),
    [(6, None, [6]), (6, 8, [6]), (None, 8, [8]), (9, 8, [8]), (_AWAY, 8, []), (_AWAY, None, [])],
)
async def test_invariant_6_one_that_was_taken_up_is_not_cut_by_what_its_earlier_run_has_registered_since(
    on_record: int | datetime | None, pressed: int | None, kept: list[int]
) -> None:
    """If the database cannot say, the service that stores it later asks."""
    until: list[datetime] = []

    class Cutting(Shelf):
        async def keep(self, _tag: object, end: datetime, **_: Any) -> StoredFile:
            until.append(end)
            return self._kept

    def after(seconds: int) -> datetime:
        return TAG.started_at + timedelta(seconds=seconds)

    recorder, rows = recorder_on(Whole(), Cutting(1000))
    rows.refused_at = after(on_record) if isinstance(on_record, int) else on_record
    recorder.resume(1, Unfinished(TAG, begun=True, until=None))
    at = None if pressed is None else after(pressed)
    assert await recorder.stop(keep=True, binding=pressed is not None, at=at)
    await recorder.settle()
    assert until == [after(each) for each in kept]
    assert rows.said[-1] == ("stored" if kept else "finished")


@pytest.mark.parametrize(("ended", "kept"), [(9, 7), (6, None)])
async def test_invariant_6_what_is_said_after_a_refusal_is_kept_of_a_recorder_that_was_told_to_stop_before(
    ended: int, kept: int | None
) -> None:
    """The agent had hung up, and a busy Asterisk took its time to stop it."""
    until: list[datetime | None] = []

    class Cutting(Shelf):
        async def keep(self, _tag: object, end: datetime | None = None, **_: Any) -> StoredFile:
            until.append(end)
            return self._kept

    talking, (recorder, _) = Talking(Direction.OUTBOUND), await tagged(Whole(), Cutting(1000))
    talking.actions.recorder = recorder
    begun = datetime.now(UTC)
    await recorder.started(begun)
    await recorder.stop(keep=True, binding=False)
    pressed = do.CutRecording(begun + timedelta(seconds=7))
    if ended < 7:
        await recorder.ended(begun + timedelta(seconds=ended))
    await talking.actions.carry_out(pressed)
    if ended > 7:
        await recorder.ended(begun + timedelta(seconds=ended))
    await recorder.settle()
    assert until == [None if kept is None else begun + timedelta(seconds=kept)]


@pytest.mark.parametrize("stopped_before", [False, True])
@pytest.mark.parametrize("number", [None, Number("+48600100001")], ids=["withheld", "known"])
async def test_invariant_6_what_is_said_while_the_key_of_a_refusal_is_held_is_kept_of_a_recording_paused_meanwhile(
    number: Number | None, *, stopped_before: bool
) -> None:
    """Down for 4 s; the agent pauses the recording after 2 s and takes it up again after 3 s, and may have paused once more."""
    until: list[datetime | None] = []

    class Cutting(Shelf):
        async def keep(self, _tag: object, end: datetime | None = None, **_: Any) -> StoredFile:
            until.append(end)
            return self._kept

    talking, (recorder, rows) = Talking(Direction.INBOUND), await tagged(Whole(), Cutting(1000))
    talking.actions.recorder = recorder
    talking.actions._allowed = terms = replace(talking.actions._terms, number=number, heard_version="v1")
    begun = datetime.now(UTC) - timedelta(seconds=20)

    def after(seconds: int) -> datetime:
        return begun + timedelta(seconds=seconds)

    await recorder.started(begun)
    await recorder.stop(keep=True, binding=True, at=after(7))
    await recorder.ended(after(7))
    await recorder.tag(terms)
    await recorder.started(after(8))
    if stopped_before:
        await recorder.stop(keep=True, binding=True, at=after(8))
        await recorder.ended(after(8))
        await talking.actions.carry_out(do.CutRecording(after(5)))
    else:
        await talking.actions.carry_out(do.StopRecorder(keep=True, at=after(5)))
    assert rows.said.count("keep_until") == (2 if number is None else 0)
    await recorder.settle()
    assert until == [after(5)]
    assert rows.said[-1] == "discarded"


async def test_invariant_6_what_is_recorded_anew_after_a_refusal_of_an_earlier_run_is_kept() -> None:
    """The service stood still, another took up the paused talk and recorded on, and only then did the first come to the
    key.
    """
    recorder, rows = recorder_on(Whole(), Shelf(10_000))
    recorder.resume(1, None)
    await recorder.tag(replace(Talking(Direction.OUTBOUND).actions._terms, heard_version="v1"))
    begun = datetime.now(UTC)
    await recorder.started(begun)
    await recorder.ended(begun + timedelta(seconds=10))
    rows.refused_at = begun - timedelta(seconds=1)
    await recorder.settle()
    assert rows.said[-1] == "discarded"


@pytest.mark.parametrize(
    ("pressed", "kept"),
    [((6,), [6]), ((None,), [10]), ((-1,), []), ((0,), []), ((6, 8), [6]), ((6, None), [6])],
)
async def test_invariant_6_what_was_said_after_a_refusal_is_kept_because_its_turn_came_late(
    pressed: tuple[int | None, ...], kept: list[int]
) -> None:
    """Pressed 6 s into the recording, its stop is sent at 10 s; or it is pressed before there is a recording, or again."""
    begun = datetime.now(UTC) - timedelta(seconds=10)
    until: list[int] = []

    class Cutting(Shelf):
        async def keep(self, _tag: object, end: datetime, **_: Any) -> StoredFile:
            until.append(round((end - begun).total_seconds()))
            return self._kept

    recorder, rows = await tagged(Whole(), Cutting(1000))
    await recorder.started(begun)
    for each in pressed:
        at = None if each is None else begun + timedelta(seconds=each)
        assert await recorder.stop(keep=True, binding=True, at=at)
    await recorder.settle()
    assert until == kept
    assert rows.said[-1] == ("stored" if kept else "discarded")


async def test_invariant_6_the_moment_of_a_press_gets_lost_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pressed, found = datetime(2026, 11, 25, 10, tzinfo=UTC), list[datetime | None]()
    actions = Talking(Direction.OUTBOUND).actions
    actions._allowed = replace(actions._terms, number=Number("+48600100001"))

    async def stop(*, at: datetime | None, **_: bool) -> bool:
        found.append(at)
        return True

    async def register(_store: object, _journal: object, _call: object, exercise: Exercise) -> str:
        found.append(exercise.received_at)
        return "ACME-2026-000001"

    monkeypatch.setattr(actions.recorder, "stop", stop)
    monkeypatch.setattr("ccari.calls.ledger.register", register)
    await actions.carry_out(do.StopRecorder(keep=True, at=pressed))
    await actions.carry_out(do.RegisterRight(Right.REFUSE_RECORDING, "2", at=pressed))
    assert found == [pressed, pressed]


def test_a_right_is_received_when_somebody_came_to_it() -> None:
    """In Poland, the last day for an answer is another one if the right is pressed at the very end of a day."""
    pressed = datetime(2026, 11, 25, 22, 59, 59, tzinfo=UTC)
    terms = replace(Talking(Direction.OUTBOUND).actions._terms, number=Number("+48600100001"))
    exercise = terms.exercise(Right.ACCESS, "8", pressed)
    assert (exercise.received_at, exercise.due) == (pressed, date(2026, 12, 28))


@pytest.mark.parametrize("answers", [True, False])
async def test_what_may_not_be_kept_is_removed_before_asterisk_has_ended_it_or_never(
    *, answers: bool
) -> None:
    """A busy Asterisk may begin late, although the reply was lost: its file would come after the removal, and stay."""
    done: list[str] = []

    class Late(Whole):
        async def recorded(self, _name: str) -> bool:
            done.append("ended")
            if not answers:
                raise AsteriskError("Asterisk gave no answer")
            return True

    class Emptied(Shelf):
        async def discard(self, recording: object) -> None:
            assert recording == TAG.recording_id
            done.append("removed")

    recorder, rows = recorder_on(Late(), Emptied(1000))
    recorder.resume(1, Unfinished(TAG, begun=True, until=None))
    await recorder.stop(keep=False, binding=True)
    await recorder.settle()
    assert (done, rows.said[-1]) == (["ended", "removed"], "discarded")


@pytest.mark.parametrize("known", [True, False])
async def test_a_raw_file_is_removed_before_the_stored_one_is_known_or_never(*, known: bool) -> None:
    """Or the end of a call waits for its recording without limit."""
    done: list[object] = []

    class Changed(Rows):
        async def stored(self, *of: Any) -> None:
            if not known:
                raise RefusedError("the database refused a row: call_events_pkey")
            await super().stored(*of)
            done.append("stored")

    class Noting(Shelf):
        async def keep(self, *_: Any, patience: float | None, **__: Any) -> StoredFile:
            done.append(patience)
            return self._kept

        async def discard(self, _recording: object) -> None:
            done.append("removed")

    recorder, _ = await tagged(Whole(), Noting(1000), Changed())
    await recorder.started(datetime.now(UTC))
    await recorder.settle()
    assert done == ([KEEP_SECONDS, "stored", "removed"] if known else [KEEP_SECONDS])


@pytest.mark.parametrize("own", ["training", None])
async def test_a_recording_is_tagged_with_the_purpose_of_the_call_though_it_has_its_own(
    own: str | None,
) -> None:
    tags: list[RecordingTag] = []

    class Told(Rows):
        async def tag(self, tag: RecordingTag, *_: Any) -> None:
            tags.append(tag)

    recorder, _ = recorder_on(Whole(), Shelf(1000), Told())
    declared = campaign(recording={"mode": "notice", "purpose": own})
    terms = replace(Talking(Direction.OUTBOUND).actions._terms, campaign=declared, heard_version="v1")
    await recorder.tag(terms)
    assert [each.purpose for each in tags] == [own or declared.purpose]


async def test_what_could_not_be_removed_is_taken_for_a_recording_that_was_lost() -> None:
    """A lost recording is stored after all if its file is found again; this one must never be."""

    class Stuck(Shelf):
        async def discard(self, _recording: object) -> None:
            raise RecordingError("it could not be removed")

    recorder, rows = await tagged(Whole(), Stuck(1000))
    await recorder.settle()
    assert rows.said == ["tagged", "discarded"]


class Deaf:
    async def stop_recording(self, _name: str, *, keep: bool) -> bool:
        raise AsteriskError("Asterisk gave no answer")


@pytest.mark.parametrize(("binding", "said"), [(True, ["tagged", "keep_until"]), (False, ["tagged"])])
async def test_invariant_6_a_stop_that_asterisk_missed_is_known_to_nobody_else(
    *, binding: bool, said: list[str]
) -> None:
    """After a crash the next service stores the file; a pause is not a right that it would find on record."""
    recorder, rows = await tagged(Deaf(), Shelf(1000))
    with pytest.raises(AsteriskError):
        await recorder.stop(keep=True, binding=binding)
    assert rows.said == said


@pytest.mark.parametrize("number", [None, Number("+48600100001")], ids=["withheld", "known"])
@pytest.mark.parametrize("stopped_before", [False, True])
async def test_invariant_6_a_crash_forgets_what_a_caller_who_withholds_their_number_has_refused(
    number: Number | None, *, stopped_before: bool
) -> None:
    """Nothing of it is on record until the talk is over; a caller with a number has a request."""
    talking, (recorder, rows) = Talking(Direction.INBOUND), await tagged(Whole(), Shelf(1000))
    talking.actions.recorder = recorder
    talking.actions._allowed = replace(talking.actions._terms, number=number)
    if stopped_before:
        await recorder.stop(keep=True, binding=False)
        await talking.actions.carry_out(do.CutRecording(datetime.now(UTC)))
    else:
        await talking.actions.carry_out(do.StopRecorder(keep=True, at=datetime.now(UTC)))
    assert rows.said == ["tagged", *(["keep_until"] if number is None else [])]


async def test_a_caller_waits_for_an_answer_while_the_ends_of_paused_recordings_are_stored_again() -> None:
    """For two seconds each, if the database hangs."""
    talking, (recorder, rows) = Talking(Direction.INBOUND), await tagged(Whole(), Shelf(1000))
    talking.actions.recorder = recorder
    talking.actions._allowed = terms = replace(talking.actions._terms, number=None, heard_version="v1")
    for _ in range(3):
        await recorder.started(datetime.now(UTC))
        await talking.actions.carry_out(do.StopRecorder(keep=True))
        await recorder.ended(datetime.now(UTC))
        assert rows.said[-1] == "keep_until"
        await recorder.tag(terms)
    await recorder.started(datetime.now(UTC))
    before = rows.said.count("keep_until")
    await talking.actions.carry_out(do.StopRecorder(keep=True, at=datetime.now(UTC)))
    assert (before, rows.said.count("keep_until")) == (3, 4)


async def test_invariant_6_recordings_are_looked_at_before_what_was_pressed_is_registered() -> None:
    """While a right waits on this node, nobody can tell which recordings it ends: the store refuses to name the talks."""
    asked: list[str] = []

    class Asked:
        async def bridges(self) -> dict[str, frozenset[str]]:
            return {}

        async def clock(self) -> datetime:
            return TAG.started_at

        async def left_talks(self, _asterisk: str) -> list[object]:
            asked.append("talks")
            raise StoreError("rights that were pressed wait")

        async def unfinished(self, _asterisk: str) -> list[Unfinished]:
            asked.append("recordings")
            return []

    of = Asked()
    desk = SimpleNamespace(ari=of, store=of, recordings=of, asterisk="pbx")
    with pytest.raises(StoreError):
        await recover(cast("Any", desk), set)
    assert asked == ["talks"]


async def test_a_talk_that_another_version_has_left_is_not_said_to_be_one() -> None:
    """For example if a service was killed and updated in the middle of a talk."""

    class Updated:
        async def left_talks(self, _asterisk: str) -> list[LeftTalk]:
            return [LeftTalk(TAG.call_id, "outbound", "anna", "renewals", 1, "v1", {"version": 1}, 0)]

    desk = SimpleNamespace(store=Updated(), asterisk="pbx")
    with capture_logs() as logged:
        assert await talks_to_take_up(cast("Any", desk), {}) == []
    assert [(each["event"], each["reason"]) for each in logged] == [
        ("talk_not_resumed", "it was kept by another version of ccari, in another form")
    ]


async def test_a_call_that_somebody_has_changed_keeps_the_service_from_taking_stock() -> None:
    """And keeps the other calls' recordings from being stored."""
    others = replace(TAG, call_id=uuid4(), recording_id=uuid4())

    class Changed(Rows):
        async def finished(self, tag: RecordingTag, *_: Any) -> None:
            if tag is TAG:
                raise RefusedError("the database refused a row: call_events_pkey")
            await super().finished()

        async def unfinished(self, _asterisk: str) -> list[Unfinished]:
            return [Unfinished(each, begun=True, until=None) for each in (TAG, others)]

        async def waiting_on(self, _asterisk: str) -> list[Unfinished]:
            return []

    class Empty(Whole):
        async def bridges(self) -> dict[str, frozenset[str]]:
            return {}

        async def own_channels(self) -> list[str]:
            return []

        async def left_talks(self, _asterisk: str) -> list[object]:
            return []

        async def clock(self) -> datetime:
            return TAG.started_at

        async def close_abandoned(self, *_: Any, **__: Any) -> int:
            return 2

    of = Empty()
    desk = SimpleNamespace(ari=of, store=of, recordings=Changed(), archive=Shelf(0), asterisk="pbx")
    with capture_logs() as logged:
        stock = await recover(cast("Any", desk), set)
    assert (stock.counts["kept_recordings"], stock.counts["abandoned_calls"]) == (1, 2)
    assert [(each["event"], each["call_id"]) for each in logged] == [("recording_left", str(TAG.call_id))]
