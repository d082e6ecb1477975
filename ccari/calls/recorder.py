"""One call's recordings: each tagged, started through a snoop channel, stopped, and brought to its place or done away with."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog

from ccari.calls.desk import Desk
from ccari.calls.events import Ids
from ccari.calls.snoop import snoops
from ccari.errors import AsteriskError, RecordingDelayed, RecordingError, StoreError
from ccari.gating.journal import Journal, persistently
from ccari.gating.terms import Terms
from ccari.policy import retention
from ccari.policy.chain import Entry
from ccari.ports.metering import Filed
from ccari.ports.recordings import NOT_THERE, Channels, Kept, RecordingTag, Unfinished, lost

_log = structlog.get_logger()

#: What the end of a call waits for its recording to be encoded; then it is left for later.
KEEP_SECONDS = 5.0
#: What a file may lack of the time between its recorder's first and last word.
MISSING_SECONDS = 2.0


class Recorder:
    """The segments of one call's recording; the newest is the only one that can run."""

    def __init__(self, ids: Ids, desk: Desk, journal: Journal) -> None:
        self._ids = ids
        self._desk = desk
        self._journal = journal
        self._segments: list[_Segment] = []
        self._before = 0

    @property
    def count(self) -> int:
        """How many there have been, with those of whoever ran the call before."""
        return self._before + len(self._segments)

    def resume(self, before: int, running: Unfinished | None) -> None:
        """Take up the one that runs on, if any; there were ``before`` of them, with it."""
        self._before = before
        if running is not None:
            self._before -= 1
            segment = _Segment(self._ids, before, running.tag, self._desk, self._journal)
            segment.resume(running)
            self._segments.append(segment)

    @property
    def name(self) -> str | None:
        """What Asterisk calls the newest recording."""
        return self._segments[-1].name if self._segments else None

    @property
    def is_stopping(self) -> bool:
        """True if we have told the newest recording to stop."""
        return bool(self._segments) and self._segments[-1].is_stopping

    @property
    def _newest(self) -> "_Segment":
        if not self._segments:
            raise AssertionError("there is no recording")
        return self._segments[-1]

    def heard(self, event: Mapping[str, Any]) -> bool:
        """Hear an ARI event; True if it says nothing to anybody else."""
        return any(side.heard(event) for segment in self._segments for side in segment.sides)

    async def tag(self, terms: Terms) -> None:
        """Commit what the next recording will carry, before there is a recording (invariant 4)."""
        await self.let_go()
        # else it would lie open in the spool until somebody comes
        self._desk.archive.check()
        tag = _tag(self._ids.call, terms, self._desk.channels)
        segment = _Segment(self._ids, self.count + 1, tag, self._desk, self._journal)
        self._segments.append(segment)
        await segment.commit_tag()

    async def start(self) -> None:
        """Ask for it; RecordingStarted tells that it runs. Both directions of the callee's channel are heard, and in a
        stereo recording the agent's before.
        """
        await self._newest.start()

    async def started(self, at: datetime) -> None:
        """Hear that the newest recording runs. ``at``: now, where Asterisk has not said when."""
        await self._newest.started(at)

    async def ended(self, at: datetime) -> None:
        """Hear that the newest recording is over. ``at`` as above. Where nobody has stopped it, the agent's side goes on, and is
        ended too.
        """
        if self._segments:
            await self._newest.ended(at)

    async def stop(self, *, keep: bool, binding: bool, at: datetime | None = None) -> bool:
        """True if there was something to stop, whose end will be reported.

        ``at``: from when on nothing may be kept, if the stop is ``binding``; None: from now on.
        """
        return await self._newest.stop(keep=keep, binding=binding, at=at)

    async def let_go(self) -> None:
        """Leave no snoop channel behind."""
        for segment in self._segments:
            await segment.let_go()

    async def settle(self) -> None:
        """Bring what was recorded to its place, or make sure that nothing is left."""
        for segment in self._segments:
            await segment.settle()


class _Segment:
    """``sides``: two of a stereo recording. The callee's is what tells when it begins and ends."""

    def __init__(self, ids: Ids, count: int, tag: RecordingTag, desk: Desk, journal: Journal) -> None:
        self._tag = tag
        self.name = str(tag.recording_id)
        self.sides = snoops(ids, count, self._tag)
        self._call: UUID = ids.call
        self._desk = desk
        self._journal = journal
        self._started_at: datetime | None = None
        self._began = False
        self._agent_started_at: datetime | None = None
        self._lead_ms = 0
        self._gone = False
        self._keep = True
        self._until: datetime | None = None
        self._ended_at: datetime | None = None
        self.is_stopping = False

    async def commit_tag(self) -> None:
        tag = self._tag
        told = {
            "recording": str(tag.recording_id), "recording_basis": tag.legal_basis, "mode": tag.mode,
            "delete_at": tag.delete_at.isoformat(timespec="seconds"), "channels": tag.channels,
        }  # fmt: skip
        self._journal.note("recording_tagged", told)
        await self._journal.durably(lambda entries: self._desk.recordings.tag(tag, entries))

    async def start(self) -> None:
        ari = self._desk.ari
        *agents, callees = self.sides
        try:
            for each in self.sides:
                await each.attach(ari)
            for each in agents:
                await each.begin(ari)
                self._agent_started_at = await each.begun()
            await callees.begin(ari)
        except (AsteriskError, TimeoutError) as error:
            # a lost reply does not mean that nothing records; the recorder goes with its channel
            self._keep = False
            for each in self.sides:
                await each.detach(ari)
            if isinstance(error, TimeoutError):
                raise AsteriskError("the recorder's channel did not come") from None
            raise

    async def ended(self, at: datetime) -> None:
        self._ended_at = self.sides[-1].ended_at or at
        if not self.is_stopping:
            await self.let_go()

    def resume(self, running: Unfinished) -> None:
        self._started_at, self._lead_ms = running.tag.started_at, running.lead_ms
        self._began = running.begun
        for each in self.sides:
            each.asked = True

    async def started(self, at: datetime) -> None:
        self._started_at = at = self.sides[-1].began_at or at
        self._began = True
        if self._agent_started_at is not None:
            self._lead_ms = max(0, int((at - self._agent_started_at).total_seconds() * 1000))
        await self._desk.recordings.started(self._tag.recording_id, at, self._lead_ms)

    async def stop(self, *, keep: bool, binding: bool, at: datetime | None) -> bool:
        self._keep = keep
        self.is_stopping = True
        if binding and self._until is None:
            self._until = at or datetime.now(UTC)
        try:
            return await self._stop(keep=keep)
        except AsteriskError:
            # it goes on for all we know, and whoever comes to its file is to know better
            if self._until is not None:
                with contextlib.suppress(StoreError):
                    await self._desk.recordings.keep_until(self._tag.recording_id, self._until)
            raise

    async def _stop(self, *, keep: bool) -> bool:
        """Each side, whatever becomes of the other; the end of the callee's, which is the last to be told, is reported."""
        there, failure = False, None
        for each in self.sides:
            try:
                there = await each.stop(self._desk.ari, keep=keep)
            except AsteriskError as error:
                failure = error
        if failure is not None:
            raise failure
        return there

    async def let_go(self) -> None:
        if self._gone:
            return
        self._gone = True
        for each in self.sides:
            await each.detach(self._desk.ari)

    async def settle(self) -> None:
        started, until = self._started_at, self._until
        # without its beginning nobody can tell how much of it was before
        if started is None or not self._keep or (until is not None and (not self._began or until <= started)):
            await self._discard()
        else:
            await self._keep_file(replace(self._tag, started_at=started), until)

    async def _keep_file(self, tag: RecordingTag, until: datetime | None) -> None:
        """An Asterisk that missed our stop has gone on: nobody may keep what it then heard (invariant 6)."""
        recordings, journal = self._desk.recordings, self._journal
        try:
            *_, left = [await each.recorded(self._desk.ari) for each in self.sides]
        except AsteriskError as error:
            # it may go on for all we know: its file is taken when the link is back
            _log.warning("recording_left", call_id=str(self._call), reason=str(error))
            await persistently(self._call, lambda: self._tell_bounds(tag, until))
            return
        archive = self._desk.archive
        try:
            if not left and not await archive.has(tag.recording_id):
                await self._lost(tag, NOT_THERE)
                return
            kept = await archive.keep(tag, until, lead_ms=self._lead_ms, patience=KEEP_SECONDS)
        except RecordingDelayed as error:
            if await self._never_written():
                await self._lost(tag, NOT_THERE)
                return
            journal.note("recording_delayed", {"reason": str(error)})
            journal.meter.filed(Filed.DELAYED)
            await self._begun_and(tag, lambda entries: recordings.finished(tag, until, entries))
            archive.leave()
        except RecordingError as error:
            await self._lost(tag, str(error))
            await self._clear()
        else:
            self._measure(tag, until, kept)
            journal.note("recording_stored", kept.told)
            journal.meter.filed(Filed.STORED)
            if await self._persistently(lambda entries: recordings.stored(tag, kept, entries)):
                await self._clear()

    async def _never_written(self) -> bool:
        """True if neither Asterisk nor the spool has it, which is told finished all the same; False where one cannot say."""
        with contextlib.suppress(AsteriskError, RecordingDelayed):
            return not await self._desk.ari.recorded(self.name) and not await self._desk.archive.has(
                self._tag.recording_id
            )
        return False

    async def _lost(self, tag: RecordingTag, reason: str) -> None:
        self._journal.note("recording_lost", lost(tag.recording_id, reason))
        self._journal.meter.filed(Filed.LOST)
        await self._begun_and(tag, lambda entries: self._desk.recordings.ended(tag, "failed", entries))

    async def _begun_and(
        self, tag: RecordingTag, write: Callable[[Sequence[Entry]], Awaitable[None]]
    ) -> None:
        async def both(entries: Sequence[Entry]) -> None:
            await self._tell_bounds(tag, None)
            await write(entries)

        await self._persistently(both)

    async def _tell_bounds(self, tag: RecordingTag, until: datetime | None) -> None:
        """Have on record when it began, where that could not be written then, and until when it may be kept: whoever comes to its
        file keeps nothing of one that is cut, unless it has begun.
        """
        if self._began:
            await self._desk.recordings.started(tag.recording_id, tag.started_at, self._lead_ms)
        if until is not None:
            await self._desk.recordings.keep_until(tag.recording_id, until)

    def _measure(self, tag: RecordingTag, until: datetime | None, kept: Kept) -> None:
        """A file may be shorter than what it is of: of a disk that was full for a while, say."""
        ends = [each for each in (until, self._ended_at) if each is not None]
        missing = (
            min(ends) - tag.started_at - timedelta(milliseconds=kept.duration_ms) if ends else timedelta()
        )
        if missing > timedelta(seconds=MISSING_SECONDS):
            told = {"recording": self.name, "missing_ms": str(int(missing.total_seconds() * 1000))}
            self._journal.note("recording_short", told)

    async def _clear(self) -> None:
        """Whatever is left in the spool is looked for again, so a failure is no more than that."""
        try:
            await self._desk.archive.discard(self._tag.recording_id)
        except RecordingError as error:
            _log.warning("recording_left", call_id=str(self._call), reason=str(error))

    async def _discard(self) -> None:
        tag = self._tag
        for each in self.sides:
            if each.asked and not each.over:
                # a busy Asterisk may come to a lost request late: what it has not yet begun cannot be removed
                with contextlib.suppress(AsteriskError):
                    await each.recorded(self._desk.ari)
        try:
            await self._desk.archive.discard(tag.recording_id)
        except RecordingError as error:
            # whoever looks after the spool tries again until it is gone
            _log.error("recording_not_discarded", call_id=str(self._call), reason=str(error))
        self._journal.meter.filed(Filed.DISCARDED)
        await self._persistently(lambda entries: self._desk.recordings.ended(tag, "discarded", entries))

    async def _persistently(self, write: Callable[[Sequence[Entry]], Awaitable[None]]) -> bool:
        return await persistently(self._call, lambda: self._journal.durably(write))


def _tag(call: UUID, terms: Terms, channels: Channels) -> RecordingTag:
    now, rules = datetime.now(UTC), terms.campaign.recording
    return RecordingTag(
        recording_id=uuid4(), call_id=call, controller=terms.controller.id,
        campaign=terms.campaign.id, revision=terms.opened.revision, purpose=rules.purpose or terms.campaign.purpose,
        legal_basis=rules.legal_basis.value, mode=rules.mode.value, notice_version=terms.proven_version,
        started_at=now, delete_at=retention.delete_at(now, rules.retention_days), channels=channels.value,
    )  # fmt: skip
