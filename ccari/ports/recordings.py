"""Recordings: their tag, their way from Asterisk's spool to the recordings folder, and access to them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from uuid import UUID

from ccari.policy.chain import Entry
from ccari.policy.recording import RecordingState

AGENTS_SIDE = "-agent"


class Channels(StrEnum):
    """``stereo``: the agent on the left, the callee on the right. Asterisk records each separately."""

    MONO = "mono"
    STEREO = "stereo"


def agents_side(recording_id: UUID) -> str:
    """Asterisk's name for the recording of what the callee hears. The recording of what the callee says has the bare id."""
    return f"{recording_id}{AGENTS_SIDE}"


@dataclass(frozen=True, slots=True)
class RecordingTag:
    """A recording's tag. It is in the database before the first sample is recorded, and later also in and beside the file."""

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
        """Asterisk's names for the recordings it is made of, in the order in which they start."""
        both = (agents_side(self.recording_id), str(self.recording_id))
        return both if self.channels == Channels.STEREO else both[1:]

    @property
    def access_target(self) -> dict[str, str]:
        """Which recording is looked at, for the record of accesses."""
        return {
            "recording": str(self.recording_id), "call": str(self.call_id), "controller": self.controller,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored recording's file. ``file``: its path below the recordings folder; its name is the recording's
    id with suffixes.

    ``file_sha256``, ``size`` (bytes): of the file as stored. ``sha256``: of the audio in it. ``recipients``:
    who can open it; empty: anybody. ``silent``: nothing can be heard. ``agent_missing_ms``: how much the left
    channel of a stereo recording lacks; that is in the call's journal, not in the recording's row.
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
    def journal_fields(self) -> dict[str, str]:
        """Its fields in logs and journals. Evidence is compared with them."""
        return {
            "recording": PurePosixPath(self.file).name.partition(".")[0], "file": self.file, "format": self.format,
            "duration_ms": str(self.duration_ms), "sha256": self.sha256.hex(), "file_sha256": self.file_sha256.hex(),
            **({"silent": "yes"} if self.silent else {}),
            **({"agent_missing_ms": str(self.agent_missing_ms)} if self.agent_missing_ms else {}),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class InPlace:
    """A stored recording, as in its row. ``told``: the fields of the entries about it in its call's journal, by event.

    ``until``: when the callee exercised a right that ends it, or when it was told to stop; it should contain
    nothing said later.
    """

    tag: RecordingTag
    kept: StoredFile
    told: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    until: datetime | None = None

    @property
    def too_long_ms(self) -> int:
        """How much of it is from after ``until``, in milliseconds; 0: nothing, because it was cut there."""
        if self.until is None:
            return 0
        allowed = max(self.until - self.tag.started_at, timedelta()) // timedelta(milliseconds=1)
        return max(self.kept.duration_ms - allowed, 0)


@dataclass(frozen=True, slots=True)
class ToldOtherwise:
    """A recording whose row contradicts its call's journal: the journal says stored, but the row has another
    ``state`` (None: no row); or the row says ``deleted``, but the journal does not.
    """

    id: str
    call_id: UUID
    file: str | None
    state: str | None

    @property
    def fault(self) -> str:
        """What is wrong, in words."""
        if self.state == RecordingState.DELETED:
            return f"it is deleted, but the journal of its call {self.call_id} does not say so"
        now = "it is missing from the database" if self.state is None else f"it is {self.state}"
        return f"{now}, but the journal of its call {self.call_id} says that it was stored"


#: Why a recording is lost that neither Asterisk nor its spool has.
NOT_THERE = "Asterisk has no file of it"


def lost_fields(recording_id: UUID, reason: str) -> dict[str, str]:
    """The journal's fields for a recording that left no file."""
    return {"recording": str(recording_id), "reason": reason}


def changed(call_id: UUID) -> str:
    """Why nothing more can be recorded about the call's recordings, in words."""
    return f"somebody has changed its call's journal: ccari calls show {call_id}"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A recording not yet stored, of a call that is no longer run. ``begun``: it is known to have run.

    ``until``: when the callee exercised a right that ends it, or when it was told to stop. ``ended``: when
    Asterisk ended it, if ccari saw that. ``lead_ms``: how much earlier the agent's side began. ``told_lost``:
    the call's journal says that it is lost.
    """

    tag: RecordingTag
    begun: bool
    until: datetime | None
    ended: datetime | None = None
    lead_ms: int = 0
    told_lost: bool = False

    @property
    def may_be_kept(self) -> bool:
        """True if it may contain something from before ``until``."""
        return self.until is None or (self.begun and self.tag.started_at < self.until)


class Archive(Protocol):
    def check(self) -> None:
        """Raise RecordingError if a recording made now could not be encrypted."""
        ...

    async def keep(
        self,
        tag: RecordingTag,
        until: datetime | None = None,
        *,
        ended: datetime | None = None,
        lead_ms: int = 0,
        patience: float | None = None,
    ) -> StoredFile:
        """Store a finished recording, without what was said after ``until``. The raw files stay until they are discarded.

        ``ended``: when Asterisk ended it, if known, which gives the expected length of its file. ``lead_ms``:
        how much earlier the agent's side began. Raises RecordingError if there is no usable file,
        RecordingDelayed if it cannot be stored now, or not within ``patience`` seconds.
        """
        ...

    async def has(self, recording_id: UUID) -> bool:
        """Whether the recording's raw file is in the spool. Raises RecordingDelayed if that cannot be found out."""
        ...

    async def in_spool(self) -> frozenset[UUID]:
        """The recordings whose raw files are in the spool. Raises RecordingDelayed if that cannot be found out."""
        ...

    async def discard(self, recording_id: UUID) -> None:
        """Delete the recording's raw files from the spool. Raises RecordingError if that fails."""
        ...

    def leave(self) -> None:
        """Announce that a finished file waits in the spool, so that it is stored soon."""
        ...


class Spool(Protocol):
    """The spool, where Asterisk leaves its recordings."""

    async def take(self, recording_id: UUID) -> Path:
        """The whole raw file, on this machine. Raises RecordingError if there is none, RecordingDelayed if
        that cannot be found out.
        """
        ...

    async def take_agents(self, recording_id: UUID) -> Path | None:
        """Like :meth:`take`, for the agent's side; None if there is none."""
        ...

    async def remove(self, recording_id: UUID) -> None:
        """Delete the raw files of both sides, on this machine and on Asterisk's. Raises RecordingError if that fails."""
        ...

    async def recording_ids(self) -> Sequence[UUID]:
        """The recordings in the spool, by names such as ours. Raises RecordingDelayed if that cannot be found out."""
        ...


class RecordingStore(Protocol):
    """The rows of recordings. Each method raises StoreError if the change could not be made durable.

    A ``journal`` is written in the same transaction.
    """

    async def tag(self, tag: RecordingTag, journal: Sequence[Entry]) -> None: ...

    async def started(self, recording_id: UUID, at: datetime, lead_ms: int = 0) -> None: ...

    async def keep_until(self, recording_id: UUID, at: datetime) -> None:
        """Record that nothing said from ``at`` on may be kept, even if the recorder ends later."""
        ...

    async def kept_until(self, recording_id: UUID) -> datetime | None:
        """From when on nothing may be kept, by :meth:`keep_until` or a registered right; None: everything may be kept."""
        ...

    async def end_seen(self, recording_id: UUID, at: datetime) -> None:
        """Record that Asterisk ended it at ``at``, which gives the expected length of its file."""
        ...

    async def finished(self, tag: RecordingTag, until: datetime | None, journal: Sequence[Entry]) -> None:
        """Record that the recording has ended, and waits to be stored."""
        ...

    async def stored(self, tag: RecordingTag, kept: StoredFile, journal: Sequence[Entry]) -> None: ...

    async def ended(self, tag: RecordingTag, state: RecordingState, journal: Sequence[Entry]) -> None:
        """Close a recording that left no file: it is DISCARDED or FAILED."""
        ...

    async def unfinished(self, asterisk: str) -> list[Unfinished]:
        """The recordings that were under way on this Asterisk."""
        ...

    async def waiting_on(self, asterisk: str) -> list[Unfinished]:
        """The recordings made on this Asterisk that wait to be stored."""
        ...

    async def given_up(self, tag: RecordingTag, state: RecordingState, journal: Sequence[Entry]) -> bool:
        """Like :meth:`ended`; False, and nothing is written, if another was first."""
        ...


class Backlog(Protocol):
    """What the database knows of recordings that may still be in a spool. Each method raises StoreError."""

    async def settled(self, recording_ids: Sequence[UUID]) -> list[UUID]:
        """Which of these are stored, or never will be: their raw files are no longer needed."""
        ...

    async def waiting(self, recording_ids: Sequence[UUID]) -> list[Unfinished]:
        """Which of these have ended but could not be stored at once; also those whose call has been over for
        minutes without their end being seen.
        """
        ...

    async def taken_up(self, tag: RecordingTag) -> bool:
        """Before the recording's file is made, make sure that nothing counts it as lost any more. False if it
        is settled by now.
        """
        ...

    async def late(self) -> int:
        """How many recordings, on any node, have been waiting for an hour or more, or were never seen to end."""
        ...

    async def deserted(self, but: Sequence[UUID]) -> list[Unfinished]:
        """The recordings, except ``but``, that have been unfinished for a week on an Asterisk without calls
        in that week, and that were not declared lost within it.
        """
        ...

    async def stored_first(self, tag: RecordingTag, kept: StoredFile, journal: Sequence[Entry]) -> bool:
        """Like ``stored`` of RecordingStore; False, and nothing is written, if another was first."""
        ...

    async def given_up(self, tag: RecordingTag, state: RecordingState, journal: Sequence[Entry]) -> bool:
        """Like ``ended`` of RecordingStore; False, and nothing is written, if another was first."""
        ...


@dataclass(frozen=True, slots=True)
class WantedRecordings:
    """Which recordings to list: each field given narrows the list. ``after``: where the last page ended: when
    the recording was tagged, and its id.
    """

    recording: UUID | None = None
    controllers: Sequence[str] | None = None
    campaign: str | None = None
    state: RecordingState | None = None
    legal_basis: str | None = None
    call: UUID | None = None
    after: tuple[datetime, UUID] | None = None


class RecordingShelf(Protocol):
    """Access to recordings. Each method raises StoreError."""

    async def page(self, limit: int, wanted: WantedRecordings) -> list[dict[str, Any]]:
        """The newest recordings first, with what holds each, and when its deletion is ``due``."""
        ...

    async def show(self, recording: UUID) -> dict[str, Any]:
        """One recording, with its ``tag`` as stored beside the file; the tag is None if it is not stored.
        Raises UnknownError.
        """
        ...

    async def encrypted(self, recording: UUID) -> tuple[InPlace, AsyncGenerator[bytes, None]]:
        """The recording's encrypted file, piece by piece. Only somebody with a key can open it.

        Raises UnknownError if no recording with that id is stored, and RecordingError, at once or with the
        first piece, if it is not encrypted or cannot be read.
        """
        ...
