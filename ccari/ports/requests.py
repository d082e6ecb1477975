"""A right as it is exercised, and the register in which the request is worked."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID, uuid4

from ccari.policy import deadlines
from ccari.policy.bases import LegalBasis
from ccari.policy.rights import Level, RequestState, Right
from ccari.ports.keying import Digests

#: Days left of what is overdue, at most.
OVERDUE = -1


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
    bars the ``consent_campaigns`` that rest on it. ``recording_basis``: of what may have been recorded, where that is known. ``recorded_elsewhere``: others record the call, so that nobody here
    knows what there is. ``number_from``: ``dialled``, ``caller_id`` or ``given``. ``who``: the call, or the person at the
    desk, whose ``note`` goes with it. ``id``: of this one exercise, however often it is registered.
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
    recording_basis: LegalBasis | None = None
    recorded_elsewhere: bool = False
    intake: Intake = Intake.KEY
    number_from: str = "dialled"
    level: Level = Level.L1
    who: str = "call"
    note: str = ""
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class Clock:
    """One moment, and the date that each controller has then: a request is overdue when its controller's day is over."""

    now: datetime
    countries: Mapping[str, str]

    def today(self, controller: str) -> date:
        """A controller that is no longer declared has the date of UTC."""
        country = self.countries.get(controller)
        return deadlines.local_day(self.now, country) if country else self.now.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request stands in the order of its list: those that are due first before the others, the closed at the end."""

    closed: bool
    due: date
    reference: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests: each field that is given narrows the list. ``due_within`` days: what is overdue is among them.

    ``due_before`` a date, and still open. ``controllers``: theirs alone. ``after``: from that place on.
    """

    states: Sequence[RequestState] = ()
    right: Right | None = None
    open: bool = False
    due_within: int | None = None
    due_before: date | None = None
    controllers: Sequence[str] | None = None
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """Who works on a request, when, and what they have to say: the reason, the note, or how the person was identified."""

    who: str
    clock: Clock
    words: str = ""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request as it is shown: its row, what was done with it, the bar it entered, its call's recordings, and the first
    fault of its history if somebody changed that.
    """

    request: dict[str, Any]
    history: list[dict[str, Any]]
    bars: list[dict[str, Any]]
    recordings: list[dict[str, Any]]
    fault: str | None = None


class RequestRegister(Protocol):
    """Each method raises StoreError if the database fails, and RequestError where there is no such request."""

    async def show(self, reference: str) -> RequestRecord: ...

    async def add(
        self, controller: str, exercise: Exercise, digests: Digests, campaign: str | None = None
    ) -> str:
        """Enter a request that came in otherwise than by key, with the same effects; gives its reference."""
        ...

    async def verify(self, reference: str, level: Level, work: Work) -> dict[str, Any]:
        """Set down how sure the person's identity is, and how that was found out; RequestError if it may not be."""
        ...

    async def step(self, reference: str, to: RequestState, work: Work) -> dict[str, Any]:
        """Take a request to another state; RequestError if the law or its state forbids it."""
        ...

    def export(self, controller: str | None, since: datetime | None) -> AsyncGenerator[dict[str, Any], None]:
        """Each request with its history, the first received before the others, a few at a time."""
        ...

    async def list(
        self, controller: str | None, limit: int, *, clock: Clock | None = None, wanted: Wanted | None = None
    ) -> list[dict[str, Any]]:
        """Requests, the one that is due first before the others, with ``days_left`` and whether it is ``overdue``."""
        ...

    async def of(
        self, known_as: Mapping[str, Digests], limit: int, *, clock: Clock | None = None
    ) -> Sequence[dict[str, Any]]:
        """As :meth:`list`, what a number has asked of each controller whose digests of it are given; the newest first."""
        ...
