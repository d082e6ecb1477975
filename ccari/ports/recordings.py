"""A recording on its way from the spool to its place."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from uuid import UUID

from ccari.policy.chain import Entry

AGENTS_SIDE = "-agent"


class Channels(StrEnum):
    """``stereo``: the agent on the left, the callee on the right; Asterisk records each for itself."""

    MONO = "mono"
    STEREO = "stereo"


def agents_side(recording_id: UUID) -> str:
    """What Asterisk calls the recording of what the callee hears, beside that of what they say, which has the bare id."""
    return f"{recording_id}{AGENTS_SIDE}"


@dataclass(frozen=True, slots=True)
class RecordingTag:
    """What a recording carries: in the database before its first sample, and in and beside the file ever after."""

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
    channels: str = Channels.MONO.value

    @property
    def raw_names(self) -> tuple[str, ...]:
        """What Asterisk calls the recordings that it is made of, in the order in which they are begun."""
        both = (agents_side(self.recording_id), str(self.recording_id))
        return both if self.channels == Channels.STEREO else both[1:]


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording in its place. ``file`` is its path below the recordings folder, the name of which is its id with
    endings; ``file_sha256`` and ``size`` (bytes) are of the file as it lies there; ``sha256`` is of the audio inside,
    ``recipients`` those who can open it (none: anybody), and ``silent`` is whether nothing can be heard.
    ``agent_missing_ms`` is what the left of a stereo recording lacks; no row keeps it, the call's journal does.
    """

    file: str
    format: str
    duration_ms: int
    sha256: bytes
    size: int
    file_sha256: bytes
    recipients: tuple[str, ...]
    silent: bool
    agent_missing_ms: int = 0

    @property
    def told(self) -> dict[str, str]:
        """What logs and journals tell of it; evidence is compared with it."""
        return {
            "recording": PurePosixPath(self.file).name.partition(".")[0], "file": self.file, "format": self.format,
            "duration_ms": str(self.duration_ms), "sha256": self.sha256.hex(), "file_sha256": self.file_sha256.hex(),
            **({"silent": "yes"} if self.silent else {}),
            **({"agent_missing_ms": str(self.agent_missing_ms)} if self.agent_missing_ms else {}),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class InPlace:
    """A stored recording, as its row tells of it."""

    tag: RecordingTag
    kept: Kept


#: Why one is lost that neither Asterisk nor its spool has.
NOT_THERE = "Asterisk has no file of it"


def lost(recording_id: UUID, reason: str) -> dict[str, str]:
    """What journals tell of one that left no file."""
    return {"recording": str(recording_id), "reason": reason}


def changed(call_id: UUID) -> str:
    """Why nothing can be written of the call's recordings any more, in words."""
    return f"somebody has changed its call's journal: ccari calls show {call_id}"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A recording of a call that nobody drives any more. ``begun``: it is known to have run.

    ``until``: when the callee exercised a right that ends the recording, or it was told to stop. ``lead_ms``: how much
    earlier the agent's side began. ``told_lost``: its call's journal says that it is.
    """

    tag: RecordingTag
    begun: bool
    until: datetime | None
    lead_ms: int = 0
    told_lost: bool = False

    @property
    def may_be_kept(self) -> bool:
        """True if some of it was said before that."""
        return self.until is None or (self.begun and self.tag.started_at < self.until)


class Archive(Protocol):
    def check(self) -> None:
        """Raise RecordingError if what would be recorded now could not be encrypted."""
        ...

    async def keep(
        self,
        tag: RecordingTag,
        until: datetime | None = None,
        *,
        lead_ms: int = 0,
        patience: float | None = None,
    ) -> Kept:
        """Bring the finished file to its place, without what was said after ``until``; raise RecordingError if it is
        none, RecordingDelayed if it cannot be done now, or not within ``patience`` seconds. The raw files stay until they
        are discarded. ``lead_ms``: how much earlier the agent's side began.
        """
        ...

    async def has(self, recording_id: UUID) -> bool:
        """Whether its raw file is in the spool; raise RecordingDelayed if nobody can tell."""
        ...

    async def lying(self) -> frozenset[UUID]:
        """Of which recordings raw files are in the spool; raise RecordingDelayed if nobody can tell."""
        ...

    async def discard(self, recording_id: UUID) -> None:
        """Leave nothing of it in the spool; raise RecordingError if that fails."""
        ...

    def leave(self) -> None:
        """Say that a finished file waits in the spool, for somebody to bring it to its place soon."""
        ...


class Spool(Protocol):
    """Where Asterisk leaves what it has recorded."""

    async def take(self, recording_id: UUID) -> Path:
        """A whole raw file on this machine; raise RecordingError if there is none, RecordingDelayed if nobody can tell."""
        ...

    async def take_agents(self, recording_id: UUID) -> Path | None:
        """As :meth:`take`, of the agent's side; None if there is none."""
        ...

    async def remove(self, recording_id: UUID) -> None:
        """Leave nothing of it, of either side, here or there; raise RecordingError if that fails."""
        ...

    async def listed(self) -> Sequence[UUID]:
        """What lies there by a name such as ours; raise RecordingDelayed if nobody can tell."""
        ...


class RecordingStore(Protocol):
    """A recording's row. Each method raises StoreError if it could not be made durable.

    A journal given along is written in the same transaction.
    """

    async def tag(self, tag: RecordingTag, journal: Sequence[Entry]) -> None: ...

    async def started(self, recording_id: UUID, at: datetime, lead_ms: int = 0) -> None: ...

    async def keep_until(self, recording_id: UUID, at: datetime) -> None:
        """What is said from then on is not to be kept, whenever its recorder ends."""
        ...

    async def finished(self, tag: RecordingTag, until: datetime | None, journal: Sequence[Entry]) -> None:
        """It has ended, and waits to be brought to its place."""
        ...

    async def stored(self, tag: RecordingTag, kept: Kept, journal: Sequence[Entry]) -> None: ...

    async def ended(self, tag: RecordingTag, state: str, journal: Sequence[Entry]) -> None:
        """Close a recording that left no file: ``discarded`` or ``failed``."""
        ...

    async def unfinished(self, asterisk: str) -> list[Unfinished]:
        """Those that were being made on this Asterisk."""
        ...

    async def waiting_on(self, asterisk: str) -> list[Unfinished]:
        """Those that were made on this Asterisk, and wait to be brought to their place."""
        ...

    async def given_up(self, tag: RecordingTag, state: str, journal: Sequence[Entry]) -> bool:
        """As :meth:`ended`; False, and nothing is written, if somebody else was first."""
        ...


class Backlog(Protocol):
    """What is known of recordings that may still lie in a spool. Each method raises StoreError."""

    async def settled(self, recording_ids: Sequence[UUID]) -> list[UUID]:
        """Which of these are in their place, or nowhere for good: their raw files are of no more use."""
        ...

    async def waiting(self, recording_ids: Sequence[UUID]) -> list[Unfinished]:
        """Which of these have ended, and could not be brought to their place then; also those whose call is over for
        minutes though nobody has seen their end.
        """
        ...

    async def taken_up(self, tag: RecordingTag) -> bool:
        """See that nothing counts it as lost any more, before its file is made; False if it is settled by now."""
        ...

    async def late(self) -> int:
        """How many have been waiting for an hour or more, or never came to their end, on whatever node."""
        ...

    async def brought(self, tag: RecordingTag, kept: Kept, journal: Sequence[Entry]) -> bool:
        """As ``stored`` of RecordingStore; False, and nothing is written, if somebody else was first."""
        ...

    async def given_up(self, tag: RecordingTag, state: str, journal: Sequence[Entry]) -> bool:
        """As ``ended`` of RecordingStore; False, and nothing is written, if somebody else was first."""
        ...


@dataclass(frozen=True, slots=True)
class WantedRecordings:
    """Which recordings: each field that is given narrows the list. ``after``: older than the one tagged then, of that id."""

    recording: UUID | None = None
    controllers: Sequence[str] | None = None
    campaign: str | None = None
    state: str | None = None
    legal_basis: str | None = None
    call: UUID | None = None
    after: tuple[datetime, UUID] | None = None


class RecordingShelf(Protocol):
    """Recordings as they are looked at. Each method raises StoreError."""

    async def page(self, limit: int, wanted: WantedRecordings) -> list[dict[str, Any]]:
        """The newest first, with what holds each, and from when it is ``due`` to be deleted."""
        ...

    async def show(self, recording: UUID) -> dict[str, Any]:
        """One, with its ``tag`` as it lies beside the file; None for what is not stored. Raises UnknownError."""
        ...

    async def encrypted(self, recording: UUID) -> tuple[InPlace, AsyncGenerator[bytes, None]]:
        """Its file as it lies there, which only who holds a key can open, piece by piece.

        Raises UnknownError if none by that id is stored, and RecordingError, also with the first piece, if it is not
        encrypted or cannot be had.
        """
        ...
