"""The recordings of one call, one after the other: a pause, or a transfer, begins another.

What is known of a recorder is kept in four places, each for one purpose:

- ``policy.call.state.RecorderState``: what the call decides by;
- ``calls.snoop.Snoop``: what Asterisk has said of each file;
- ``calls.segment.Segment``: what of a recording may be kept;
- the database: what a restarted service must know.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from ccari.calls.desk import Desk
from ccari.calls.events import Ids
from ccari.calls.segment import Segment
from ccari.gating.journal import Journal
from ccari.gating.terms import Terms
from ccari.policy import retention
from ccari.ports.recordings import Channels, RecordingTag, Unfinished


class Recorder:
    """The segments of one call's recording; only the newest can be running."""

    def __init__(self, ids: Ids, desk: Desk, journal: Journal) -> None:
        self._ids = ids
        self._desk = desk
        self._journal = journal
        self._segments: list[Segment] = []
        #: How many segments an earlier run left, without the one that was taken up.
        self._before = 0
        #: Whether there was an earlier run.
        self._taken_up = False

    @property
    def count(self) -> int:
        """How many segments there have been, including those of an earlier run."""
        return self._before + len(self._segments)

    def resume(self, before: int, running: Unfinished | None) -> None:
        """Take up the segment that still runs, if any. ``before``: how many there have been, including that one."""
        self._before, self._taken_up = before, True
        if running is not None:
            self._before -= 1
            segment = Segment(self._ids, before, running.tag, self._desk, self._journal)
            segment.resume(running)
            self._segments.append(segment)

    @property
    def name(self) -> str | None:
        """The newest recording's name in Asterisk."""
        return self._segments[-1].name if self._segments else None

    @property
    def is_stopping(self) -> bool:
        """True if we have told the newest recording to stop."""
        return bool(self._segments) and self._segments[-1].is_stopping

    @property
    def _newest(self) -> "Segment":
        if not self._segments:
            raise AssertionError("there is no recording")
        return self._segments[-1]

    def take_note(self, event: Mapping[str, Any], arrived: datetime | None = None) -> bool:
        """Take note of an ARI event; True if nobody else needs it. ``arrived``: None means now."""
        for segment in self._segments:
            for side in segment.sides:
                if side.take_note(event, arrived):
                    return True
        return False

    async def tag(self, terms: Terms) -> None:
        """Commit the tag of the next segment before its recorder starts (invariant 4)."""
        await self.detach()
        # a recording that could not be archived would stay in the spool unencrypted
        self._desk.archive.check()
        tag = _tag(self._ids.call, terms, self._desk.channels)
        segment = Segment(self._ids, self.count + 1, tag, self._desk, self._journal)
        self._segments.append(segment)
        await segment.commit_tag()

    async def start(self) -> None:
        """Start the newest segment; Asterisk reports RecordingStarted once it runs. In stereo, the agent's
        side starts first.
        """
        await self._newest.start()

    async def started(self, at: datetime) -> None:
        """Note that the newest segment runs. ``at``: since when, if Asterisk has not said."""
        await self._newest.started(at)

    async def ended(self, at: datetime) -> None:
        """Note that the newest segment has ended (``at``: as in :meth:`started`). If we did not stop it, end
        the agent's side too.
        """
        if self._segments:
            await self._newest.ended(at)

    async def stop(self, *, keep: bool, binding: bool, at: datetime | None = None) -> bool:
        """Stop the newest segment. True if there was something to stop, whose end Asterisk will report.

        ``binding``: nothing recorded after ``at`` (None: now) may be kept, of an earlier segment neither: a key may
        have been held while the agent paused the recording and took it up again.
        """
        if binding and at is not None:
            for earlier in self._segments[:-1]:
                earlier.cut(at)
        return await self._newest.stop(keep=keep, binding=binding, at=at)

    def cut(self, at: datetime) -> None:
        """Keep nothing of any segment that was said since ``at``."""
        for segment in self._segments:
            segment.cut(at)

    async def store_end(self) -> None:
        """Store until when each segment may be kept, if that is limited, for whoever comes to its file after a crash. A failure is
        made good by :meth:`store_owed_ends`, or at the end of the call.
        """
        for segment in self._segments:
            await segment.store_end()

    async def store_owed_ends(self) -> None:
        """Store what :meth:`store_end` could not. Raises StoreError."""
        for segment in self._segments:
            await segment.store_owed_end()

    async def detach(self) -> None:
        """Hang up the snoop channels."""
        for segment in self._segments:
            await segment.detach()

    async def settle(self) -> None:
        """Archive what was recorded and may be kept, and remove everything else."""
        for segment in self._segments:
            await segment.settle(taken_up=self._taken_up)


def _tag(call: UUID, terms: Terms, channels: Channels) -> RecordingTag:
    now, rules = datetime.now(UTC), terms.campaign.recording
    return RecordingTag(
        recording_id=uuid4(), call_id=call, controller=terms.controller.id,
        campaign=terms.campaign.id, revision=terms.opened.revision, purpose=rules.purpose or terms.campaign.purpose,
        legal_basis=rules.legal_basis.value, mode=rules.mode.value, notice_version=terms.proven_version,
        started_at=now, delete_at=retention.delete_at(now, rules.retention_days), channels=channels.value,
    )  # fmt: skip
