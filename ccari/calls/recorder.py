"""One call's recording: tagged, started through a snoop channel, stopped, and brought to its place or done away with."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import structlog

from ccari.calls.desk import Desk
from ccari.calls.events import Ids
from ccari.errors import AsteriskError, RecordingError
from ccari.gating.gatekeeper import Terms
from ccari.gating.journal import Journal, persistently
from ccari.policy import retention
from ccari.policy.chain import Entry
from ccari.ports.recordings import Kept, RecordingTag

_log = structlog.get_logger()

#: For a snoop channel to enter our application.
SNOOP_SECONDS = 3.0


class Recorder:
    """``snoop_entered`` is set, by whoever hears ARI's events, when the snoop channel is in our application."""

    def __init__(self, ids: Ids, desk: Desk, journal: Journal) -> None:
        self._ids = ids
        self._desk = desk
        self._journal = journal
        self._tag: RecordingTag | None = None
        self._started_at: datetime | None = None
        self._asked = False
        self._keep = True
        self.snoop_entered = asyncio.Event()

    async def tag(self, terms: Terms) -> None:
        """Commit what the recording will carry, before there is a recording (invariant 4)."""
        now, rules = datetime.now(UTC), terms.campaign.recording
        tag = self._tag = RecordingTag(
            recording_id=self._ids.recording, call_id=self._ids.call, controller=terms.controller.id,
            campaign=terms.campaign.id, revision=terms.opened.revision, purpose=terms.campaign.purpose,
            legal_basis=rules.legal_basis.value, mode=rules.mode.value, notice_version=terms.notice_version,
            started_at=now, delete_at=retention.delete_at(now, rules.retention_days),
        )  # fmt: skip
        told = {
            "recording": str(tag.recording_id), "recording_basis": tag.legal_basis, "mode": tag.mode,
            "delete_at": tag.delete_at.isoformat(timespec="seconds"),
        }  # fmt: skip
        self._journal.note("recording_tagged", told)
        await self._journal.durably(lambda entries: self._desk.store.tag_recording(tag, entries))

    async def start(self) -> None:
        """Ask for it; RecordingStarted tells that it runs. Both directions of the callee's channel are heard."""
        ari, ids = self._desk.ari, self._ids
        try:
            await ari.snoop(ids.callee, ids.snoop)
            async with asyncio.timeout(SNOOP_SECONDS):
                await self.snoop_entered.wait()
            self._asked = True
            await ari.record(ids.snoop, str(ids.recording))
        except (AsteriskError, TimeoutError) as error:
            # a lost reply does not mean that nothing records; the recorder goes with its channel
            self._keep = False
            with contextlib.suppress(AsteriskError):
                await ari.hang_up(ids.snoop)
            if isinstance(error, TimeoutError):
                raise AsteriskError("the recorder's channel did not come") from None
            raise

    async def started(self, at: datetime) -> None:
        self._started_at = at
        await self._desk.store.recording_started(self._ids.recording, at)

    async def stop(self, *, keep: bool) -> bool:
        """True if there was something to stop, whose end will be reported."""
        self._keep = keep
        return await self._desk.ari.stop_recording(str(self._ids.recording), keep=keep)

    async def let_go(self) -> None:
        """Leave no snoop channel behind."""
        if self._tag is not None:
            with contextlib.suppress(AsteriskError):
                await self._desk.ari.hang_up(self._ids.snoop)

    async def settle(self) -> None:
        """Bring what was recorded to its place, or make sure that nothing is left."""
        tag = self._tag
        if tag is None:
            return
        if self._started_at is not None and self._keep:
            await self._keep_file(tag)
        else:
            await self._discard(tag)

    async def _keep_file(self, tag: RecordingTag) -> None:
        store, journal = self._desk.store, self._journal
        try:
            await self._desk.ari.recorded(str(tag.recording_id))
        except AsteriskError as error:
            # it may go on for all we know: its file is taken when the link is back
            _log.warning("recording_left", call_id=str(self._ids.call), reason=str(error))
            return
        try:
            kept: Kept = await self._desk.archive.keep(tag)
        except RecordingError as error:
            journal.note("recording_lost", {"reason": str(error)})
            await self._persistently(lambda entries: store.recording_ended(tag, "failed", entries))
            return
        journal.note("recording_stored", {"file": kept.file, "duration_ms": str(kept.duration_ms)})
        await self._persistently(lambda entries: store.recording_stored(tag, kept, entries))

    async def _discard(self, tag: RecordingTag) -> None:
        if self._asked:
            # a busy Asterisk may come to a lost request late: what it has not yet begun cannot be removed
            with contextlib.suppress(AsteriskError):
                await self._desk.ari.recorded(str(tag.recording_id))
        state = "discarded"
        try:
            await self._desk.archive.discard(tag.recording_id)
        except RecordingError as error:
            _log.error("recording_not_discarded", call_id=str(self._ids.call), reason=str(error))
            state = "failed"
        await self._persistently(lambda entries: self._desk.store.recording_ended(tag, state, entries))

    async def _persistently(self, write: Callable[[Sequence[Entry]], Awaitable[None]]) -> None:
        await persistently(self._ids.call, lambda: self._journal.durably(write))
