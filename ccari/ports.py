"""What the adapters say to one another: the shapes and the protocols, so that none of them imports another."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign
from ccari.policy.chain import Entry
from ccari.policy.consent import Channel
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller
from ccari.policy.rights import Level, Right
from ccari.policy.suppression import Reason


@dataclass(frozen=True, slots=True)
class Digests:
    """One number under one controller's secrets: ``all`` of them for looking up, the newest for writing."""

    newest: bytes
    key_version: int
    all: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Sought:
    """One number as it is looked up: among the controller's own, and ``listed_as`` register and digest in registers."""

    digests: Digests
    listed_as: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class OpenedCall:
    """What is known of a call when it asks at the gate; ``token`` is spent once, to dial.

    ``listed_as``: register and digest, under each secret of the registers that the campaign must heed.
    """

    id: UUID
    token: UUID
    asterisk: str
    agent: str
    number_masked: str
    revision: int
    controller: str
    campaign: str
    legal_basis: str
    digests: Digests
    listed_as: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that no policy covers: what the dialplan asked for, as far as it can be kept."""

    id: UUID
    token: UUID
    asterisk: str
    agent: str
    campaign: str


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why a line of a file (from 1) cannot be taken. ``why`` never quotes it, for there may be a number in it."""

    line: int
    column: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Keyed:
    """A digest and the version of the secret that it was made with."""

    digest: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar to be entered, of a number or of a digest that an export gave. ``campaign`` and ``until`` as in a policy Entry."""

    key: Number | Keyed
    reason: Reason
    campaign: str | None
    proof: str
    origin: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A number in a copy of a register, ``since`` and ``until`` where the register says so."""

    number: Number
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Sourced:
    """A number with where it comes from and until when (None: always) that may be used."""

    number: Number
    source: str
    obtained_on: date
    legal_basis: LegalBasis
    proof: str
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Agreed:
    """A consent as it is on file: see :class:`ccari.policy.consent.Consent`."""

    number: Number
    purpose: str
    channel: Channel
    given_at: datetime
    withdrawn_at: datetime | None
    valid_until: datetime | None
    proof: str


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


class Intake(StrEnum):
    """How a request came in."""

    KEY = "key"
    AGENT = "agent"
    PHONE = "phone"
    LETTER = "letter"
    EMAIL = "email"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Exercise:
    """A right as it was exercised. ``number`` is the E.164 text that the answer will need.

    ``purpose`` is that of the campaign. A withdrawal withdraws consent to ``consent_purpose`` (None: to everything), and
    bars the ``consent_campaigns`` that rest on it. ``recorded_elsewhere``: others record the call, so that nobody here
    knows what there is. ``number_from``: ``dialled``, ``caller_id`` or ``given``. ``who``: the call, or the person at the
    desk, whose ``note`` goes with it.
    """

    right: Right
    number: str = field(repr=False)
    received_at: datetime
    due: date
    local_year: int
    key: str | None = None
    notice_version: str | None = None
    language: str | None = None
    purpose: str | None = None
    consent_purpose: str | None = None
    consent_campaigns: tuple[str, ...] = ()
    recorded_elsewhere: bool = False
    intake: Intake = Intake.KEY
    number_from: str = "dialled"
    level: Level = Level.L1
    who: str = "call"
    note: str = ""


class Way(StrEnum):
    """How a controller is told of a request."""

    WEBHOOK = "webhook"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Forward:
    """One change of a request, as its controller is to be told, claimed for one try.

    ``seq`` counts the changes of the request, ``at`` is when this one was made, and ``number`` the E.164 text while the
    request is open. ``tries`` counts this one, ``done`` are the ways that it has gone already.
    """

    reference: str
    seq: int
    tries: int
    done: frozenset[Way]
    controller: str
    campaign: str | None
    purpose: str | None
    right: str
    article: str
    number: str | None = field(repr=False)
    received_at: datetime
    at: datetime
    state: str
    level: int
    due: date
    reason: str = field(repr=False)


class ForwardQueue(Protocol):
    """What controllers have yet to be told, shared by every process on the database."""

    async def outlook(self) -> tuple[bool, int | None]:
        """Whether anything is due, and the newest policy revision."""
        ...

    async def address(self, controllers: Iterable[str]) -> None:
        """``controllers`` are told from now on, also of what is still open; nobody else is."""
        ...

    async def claim(self, controller: str, lease: timedelta) -> Forward | None:
        """The next change to tell of, which nobody else is given for the length of the lease; None: nothing is due."""
        ...

    async def delivered(self, forward: Forward, ways: Iterable[Way]) -> None:
        """It went all the ways it had to; ``ways`` are those of this try."""
        ...

    async def failed(
        self, forward: Forward, ways: Iterable[Way], fault: str, again: timedelta, patience: timedelta
    ) -> bool:
        """It went only these ways. Gives whether it is given up, because the first try was ``patience`` ago."""
        ...


class CallStore(Protocol):
    """A call's rows. Each method raises StoreError if it could not be made durable.

    A journal given along is written in the same transaction.
    """

    async def open(self, call: OpenedCall, question: Question) -> tuple[Facts, int | None]:
        """Write the call's row; give the gate's facts and the newest policy revision, in one round trip."""
        ...

    async def open_refused(self, call: RefusedCall) -> None: ...

    async def spend_token(
        self,
        call: OpenedCall,
        question: Question,
        judge: Callable[[Facts], Block | None],
        journal: Sequence[Entry],
    ) -> Block | None:
        """Have the facts judged once more and spend the token, in one transaction. None means: dial now; else why not."""
        ...

    async def commit_heard(
        self, call_id: UUID, notice_version: str, information_version: str | None, journal: Sequence[Entry]
    ) -> None:
        """What the callee has heard; ``information_version`` if the information layer was a part of it."""
        ...

    async def tag_recording(self, tag: RecordingTag, journal: Sequence[Entry]) -> None: ...

    async def recording_started(self, recording_id: UUID, at: datetime) -> None: ...

    async def recording_stored(self, tag: RecordingTag, kept: Kept, journal: Sequence[Entry]) -> None: ...

    async def recording_ended(self, tag: RecordingTag, state: str, journal: Sequence[Entry]) -> None:
        """Close a recording that left no file: ``discarded`` or ``failed``."""
        ...

    async def unfinished_recordings(self, asterisk: str) -> list[RecordingTag]: ...

    async def register_right(self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry]) -> str:
        """The request and its immediate effect; the same press twice is one request. Gives its reference."""
        ...

    async def close(self, call_id: UUID, outcome: str, reason: str, journal: Sequence[Entry]) -> None: ...

    async def close_abandoned(self, asterisk: str, at: datetime) -> int:
        """End the calls that an earlier run left open on this Asterisk; gives how many."""
        ...


class Secrets(Protocol):
    def digests(self, controller: str, number: Number) -> Digests:
        """Raise ConfigError if the controller has no usable secret."""
        ...

    def listed_as(self, registers: Iterable[str], number: Number) -> tuple[tuple[str, bytes], ...]:
        """Register and digest of the number under each secret; a register without one gives none, and counts as stale."""
        ...


@dataclass(frozen=True, slots=True)
class Sound:
    """A prompt that can be played: ``media`` for Asterisk, ``duration_ms`` of the file, the words in it."""

    media: str
    duration_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """Every sound of one campaign's calls by prompt id, and the versions of its notice's wording.

    ``first_notice`` for a number that has not heard the information layer, ``repeat_notice`` for one that has;
    ``information`` is the version of that layer alone.
    """

    sounds: Mapping[str, Sound]
    first_notice: str
    repeat_notice: str
    information: str

    def notice_version(self, *, informed: bool) -> str:
        return self.repeat_notice if informed else self.first_notice


class Prompts(Protocol):
    def script(self, controller: Controller, campaign: Campaign) -> Script:
        """Raise SoundError if a sound is missing or changed."""
        ...

    def common(self, prompt: str, language: str) -> Sound: ...


class PolicyBook(Protocol):
    """The newest policy revision, as last read."""

    @property
    def revision(self) -> int | None: ...

    @property
    def policy(self) -> Policy | None: ...

    async def reload(self) -> None: ...


class Archive(Protocol):
    async def keep(self, tag: RecordingTag) -> Kept:
        """Take the finished file from the spool to its place; raise RecordingError if it is none."""
        ...

    async def discard(self, recording_id: UUID) -> None:
        """Leave nothing of it in the spool."""
        ...


class Fence(Protocol):
    def hold(self, name: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Be the only holder of ``name``; the event is set if that is lost. Raise UnsuitableError if another holds it."""
        ...
