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


class Archive(Protocol):
    async def keep(self, tag: RecordingTag) -> Kept:
        """Take the finished file from the spool to its place; raise RecordingError if it is none."""
        ...

    async def discard(self, recording_id: UUID) -> None:
        """Leave nothing of it in the spool."""
        ...
