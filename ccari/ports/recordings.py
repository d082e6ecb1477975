"""A recording on its way from the spool to its place."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RecordingTag:
    """What a recording carries: in the database before its first sample, and beside the file ever after."""

    recording_id: UUID
    call_id: UUID
    controller: str
    campaign: str
    revision: int
    purpose: str
    legal_basis: str
    mode: str
    notice_version: str
    started_at: datetime
    delete_at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording in its place. ``file`` is its path below the recordings folder."""

    file: str
    duration_ms: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A recording of a call that nobody drives any more. ``begun``: it is known to have run.

    ``refused_at``: when the callee exercised a right that ends the recording, if they did.
    """

    tag: RecordingTag
    begun: bool
    refused_at: datetime | None

    @property
    def may_be_kept(self) -> bool:
        """True if some of it was said before anybody refused."""
        return self.refused_at is None or (self.begun and self.tag.started_at < self.refused_at)


class Archive(Protocol):
    async def keep(self, tag: RecordingTag, until: datetime | None = None) -> Kept:
        """Take the finished file from the spool to its place, without what was said after ``until``; raise RecordingError
        if it is none.
        """
        ...

    async def discard(self, recording_id: UUID) -> None:
        """Leave nothing of it in the spool."""
        ...
