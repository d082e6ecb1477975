"""One recording of a call, from its tag to its file: started, stopped, and then archived or discarded."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from ccari.calls.desk import Desk
from ccari.calls.events import Ids
from ccari.calls.snoop import snoops
from ccari.errors import AsteriskError, RecordingDelayed, RecordingError, StoreError
from ccari.gating.journal import Journal, persistently
from ccari.policy.chain import Entry
from ccari.policy.recording import RecordingState
from ccari.ports.metering import Filed
from ccari.ports.recordings import NOT_THERE, RecordingTag, StoredFile, Unfinished, lost_fields

_log = structlog.get_logger()

#: How long the end of a call waits for its recording to be encoded; after that the caretaker does it.
KEEP_SECONDS = 5.0
#: How far a file's length may differ from the time between its recorder's reported start and end.
ASTRAY_SECONDS = 2.0
#: Nobody can say a word in less than this, so a shorter recording without sound is no loss. Asterisk writes
#: its first frame after some 20 ms.
WORD_SECONDS = 0.2


class Segment:
    """One recording, from its tag to its file. ``sides``: its snoop channels, two in stereo. The last is the
    callee's, which decides when the recording begins and ends.

    :class:`ccari.calls.recorder.Recorder` passes Asterisk's events to the ``sides``, and says what each method does, except for what
    :meth:`settle` is told.
    """

    def __init__(self, ids: Ids, count: int, tag: RecordingTag, desk: Desk, journal: Journal) -> None:
        self._tag = tag
        self.name = str(tag.recording_id)
        self.sides = snoops(ids, count, self._tag)
        self._call: UUID = ids.call
        self._desk = desk
        self._journal = journal
        #: ``_ran``: it began, here or in an earlier run. ``_begun``: its tag has the real beginning, which an
        #: earlier run may not have stored.
        self._ran = self._begun = False
        #: How much earlier the agent's side began.
        self._lead_ms = 0
        self._ended_at: datetime | None = None
        #: We have told it to stop.
        self.is_stopping = False
        #: Whether its file may be kept; if ``_keep_until`` is set, nothing said after that.
        self._may_be_kept = True
        self._keep_until: datetime | None = None
        #: ``_keep_until`` as the database has it; and whether it was to be stored, and the database did not take it.
        self._stored_until: datetime | None = None
        self._owes_end = False
        #: Its snoop channels were hung up.
        self._detached = False

    async def commit_tag(self) -> None:
        tag = self._tag
        fields = {
            "recording": str(tag.recording_id), "recording_basis": tag.legal_basis, "mode": tag.mode,
            "delete_at": tag.delete_at.isoformat(timespec="seconds"), "channels": tag.channels,
        }  # fmt: skip
        self._journal.note("recording_tagged", fields)
        await self._journal.durably(lambda entries: self._desk.recordings.tag(tag, entries))

    async def start(self) -> None:
        ari = self._desk.ari
        *agents, callees = self.sides
        try:
            for each in self.sides:
                await each.attach(ari)
            for each in agents:
                await each.begin(ari)
                await each.begun()
            await callees.begin(ari)
        except (AsteriskError, TimeoutError) as error:
            # even if the reply was lost, it may be recording; hanging up its channel ends that
            self._may_be_kept = False
            for each in self.sides:
                await each.detach(ari)
            if isinstance(error, TimeoutError):
                raise AsteriskError("the recorder's channel did not come") from None
            raise

    async def ended(self, at: datetime) -> None:
        self._ended_at = self.sides[-1].ended_at or at
        if not self.is_stopping:
            await self.detach()

    def resume(self, running: Unfinished) -> None:
        self._ran, self._begun, self._lead_ms = True, running.begun, running.lead_ms
        for each in self.sides:
            each.asked = True

    async def started(self, at: datetime) -> None:
        self._tag = replace(self._tag, started_at=self.sides[-1].began_at or at)
        self._ran = self._begun = True
        *agents, _ = self.sides
        for each in agents:
            if each.began_at is not None:
                lead = self._tag.started_at - each.began_at
                self._lead_ms = max(0, int(lead.total_seconds() * 1000))
        await self._tell_beginning()

    async def stop(self, *, keep: bool, binding: bool, at: datetime | None) -> bool:
        self._may_be_kept = keep
        self.is_stopping = True
        if binding and self._keep_until is None:
            self._keep_until = at or datetime.now(UTC)
        try:
            return await self._stop(keep=keep)
        except AsteriskError:
            # it may still be running
            await self.store_end()
            raise

    def cut(self, at: datetime) -> None:
        if self._ended_at is None or at < self._ended_at:
            self._keep_until = min(at, self._keep_until or at)

    async def store_end(self) -> None:
        self._owes_end = self._keep_until != self._stored_until
        with contextlib.suppress(StoreError):
            await self.store_owed_end()

    async def store_owed_end(self) -> None:
        if self._owes_end and self._keep_until is not None:
            await self._desk.recordings.keep_until(self._tag.recording_id, self._keep_until)
            self._stored_until, self._owes_end = self._keep_until, False

    async def _stop(self, *, keep: bool) -> bool:
        """Stop each side even if another fails. True if the callee's side, the last, could be stopped."""
        there, failure = False, None
        for each in self.sides:
            try:
                there = await each.stop(self._desk.ari, keep=keep)
            except AsteriskError as error:
                failure = error
        if failure is not None:
            raise failure
        return there

    async def detach(self) -> None:
        if self._detached:
            return
        self._detached = True
        for each in self.sides:
            await each.detach(self._desk.ari)

    async def settle(self, *, taken_up: bool) -> None:
        """Archive or discard the recording. ``taken_up``: an earlier run of the service began the talk, and may have stored a refusal
        that this one did not hear.
        """
        knows_all = not taken_up or await self._hear_of_refusals()
        until = self._keep_until
        # without a known beginning, nobody can cut it at ``until``
        cut_to_nothing = until is not None and (not self._begun or until <= self._tag.started_at)
        if not self._ran or not self._may_be_kept or cut_to_nothing:
            await self._discard()
        else:
            await self._keep_file(knows_all=knows_all)

    async def _hear_of_refusals(self) -> bool:
        """Read from the database until when the recording may be kept. The earlier run may only have stalled,
        and have registered a refusal that was pressed before we took over. False if the database cannot say.
        """
        try:
            on_record = await self._desk.recordings.kept_until(self._tag.recording_id)
        except StoreError:
            return False
        known = [each for each in (on_record, self._keep_until) if each is not None]
        self._keep_until = min(known, default=None)
        return True

    async def _keep_file(self, *, knows_all: bool) -> None:
        """Archive the file up to ``_keep_until``: an Asterisk that missed our stop has gone on recording (invariant 6).
        Unless the call ``knows_all`` refusals, this is left to the caretaker, who can read them from the database.
        """
        tag, until, archive = self._tag, self._keep_until, self._desk.archive
        try:
            *_, left = [await each.recorded(self._desk.ari) for each in self.sides]
        except AsteriskError as error:
            # it may still be recording: its file is taken up after reconnecting
            _log.warning("recording_left", call_id=str(self._call), reason=str(error))
            await persistently(self._call, lambda: self._tell_bounds(until))
            return
        try:
            if not left and not await archive.has(tag.recording_id):
                await self._lost(NOT_THERE)
                return
            if not knows_all:
                await self._delay("the database does not say until when it may be kept")
                return
            kept = await archive.keep(
                tag, until, ended=self._ended_at, lead_ms=self._lead_ms, patience=KEEP_SECONDS
            )
        except RecordingDelayed as error:
            if await self._never_written():
                await self._lost(NOT_THERE)
                return
            await self._delay(str(error))
        except RecordingError as error:
            lasted = self._lasted()
            if lasted is not None and lasted < timedelta(seconds=WORD_SECONDS):
                # somebody hung up, or refused, just as it began
                await self._discard()
                return
            await self._lost(str(error))
            await self._clear()
        else:
            await self._stored(kept)

    async def _stored(self, kept: StoredFile) -> None:
        """Record that the file is archived; then the spool's is no longer needed."""
        tag = self._tag
        self._measure(kept)
        self._journal.note("recording_stored", kept.journal_fields)
        self._journal.meter.filed(Filed.STORED)
        if await self._journal.persistently(lambda entries: self._desk.recordings.stored(tag, kept, entries)):
            await self._clear()

    async def _delay(self, reason: str) -> None:
        self._journal.note("recording_delayed", {"reason": reason})
        self._journal.meter.filed(Filed.DELAYED)
        recordings, until = self._desk.recordings, self._keep_until
        await self._with_bounds(lambda entries: recordings.finished(self._tag, until, entries))
        self._desk.archive.leave()

    async def _never_written(self) -> bool:
        """True if neither Asterisk nor the spool has the file, although Asterisk reported it finished. False
        if either cannot be asked.
        """
        with contextlib.suppress(AsteriskError, RecordingDelayed):
            return not await self._desk.ari.recorded(self.name) and not await self._desk.archive.has(
                self._tag.recording_id
            )
        return False

    async def _lost(self, reason: str) -> None:
        self._journal.note("recording_lost", lost_fields(self._tag.recording_id, reason))
        self._journal.meter.filed(Filed.LOST)
        await self._with_bounds(
            lambda entries: self._desk.recordings.ended(self._tag, RecordingState.FAILED, entries)
        )

    async def _with_bounds(self, write: Callable[[Sequence[Entry]], Awaitable[None]]) -> None:
        async def both(entries: Sequence[Entry]) -> None:
            await self._tell_bounds(None)
            await write(entries)

        await self._journal.persistently(both)

    async def _tell_bounds(self, until: datetime | None) -> None:
        """Store when the recording began (in case that failed at the time), when it ended, and until when it
        may be kept. Without a beginning, nothing is kept later of a recording that must be cut.
        """
        if self._begun:
            await self._tell_beginning()
        if self._ended_at is not None:
            await self._desk.recordings.end_seen(self._tag.recording_id, self._ended_at)
        if until is not None:
            await self._desk.recordings.keep_until(self._tag.recording_id, until)

    async def _tell_beginning(self) -> None:
        await self._desk.recordings.started(self._tag.recording_id, self._tag.started_at, self._lead_ms)

    def _lasted(self) -> timedelta | None:
        """The length of the part that may be kept; None if its end is not known."""
        ends = [each for each in (self._keep_until, self._ended_at) if each is not None]
        return min(ends) - self._tag.started_at if ends else None

    def _measure(self, kept: StoredFile) -> None:
        """Note a file that is shorter than the talk (the disk may have been full for a while), or longer
        (Asterisk wrote part of it too slowly: docs/recordings.md).
        """
        lasted = self._lasted()
        if lasted is None:
            return
        missing_ms = int(lasted.total_seconds() * 1000) - kept.duration_ms
        if missing_ms > ASTRAY_SECONDS * 1000:
            self._journal.note("recording_short", {"recording": self.name, "missing_ms": str(missing_ms)})
        elif -missing_ms > ASTRAY_SECONDS * 1000:
            self._journal.note("recording_long", {"recording": self.name, "extra_ms": str(-missing_ms)})

    async def _clear(self) -> None:
        """Remove the file from the spool. A failure is only logged: the caretaker looks for leftovers."""
        try:
            await self._desk.archive.discard(self._tag.recording_id)
        except RecordingError as error:
            _log.warning("recording_left", call_id=str(self._call), reason=str(error))

    async def _discard(self) -> None:
        for each in self.sides:
            if each.asked and not each.over:
                # after a lost reply, a busy Asterisk may still begin: wait for the end, or the file would stay
                with contextlib.suppress(AsteriskError):
                    await each.recorded(self._desk.ari)
        try:
            await self._desk.archive.discard(self._tag.recording_id)
        except RecordingError as error:
            # the caretaker retries until it is gone
            _log.error("recording_not_discarded", call_id=str(self._call), reason=str(error))
        self._journal.meter.filed(Filed.DISCARDED)
        await self._journal.persistently(
            lambda entries: self._desk.recordings.ended(self._tag, RecordingState.DISCARDED, entries)
        )
