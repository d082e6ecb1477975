"""Exercised rights, and the register in which the requests are worked."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Literal, Protocol
from uuid import UUID, uuid4

from ccari.policy import deadlines
from ccari.policy.bases import LegalBasis
from ccari.policy.rights import Level, NumberFrom, RequestState, Right
from ccari.ports.keying import Digests

#: The most days that an overdue request has left, and one that is due soon. Figures, webhooks and lists use both.
OVERDUE, SOON_DAYS = -1, 7


class Intake(StrEnum):
    """How a request came in."""

    KEY = "key"
    AGENT = "agent"
    PHONE = "phone"
    LETTER = "letter"
    EMAIL = "email"
    OTHER = "other"


#: The channel of a request that somebody enters, and the names of identity levels.
EnteredBy = Literal["letter", "email", "phone", "agent", "other"]
LevelName = Literal["L0", "L1", "L2"]


@dataclass(frozen=True, slots=True)
class Exercise:
    """A right as exercised. ``number``: in E.164, for the answer.

    ``purpose``: the campaign's. A withdrawal withdraws consent to ``consent_purpose`` (None: to everything), and bars the
    ``consent_campaigns``, which rest on it. ``recording_basis``: the legal basis of what may have been recorded, if known.
    ``recorded_elsewhere``: others record the call, so ccari does not know what was recorded. ``who``: the call, or the
    person who entered it, perhaps with a ``note``. ``id``: the same each time this exercise is registered.
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
    number_from: NumberFrom = NumberFrom.DIALLED
    level: Level = Level.L1
    who: str = "call"
    note: str = ""
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class Clock:
    """One moment, and each controller's date at that moment. A request is overdue when its last day is over
    in its controller's country.
    """

    now: datetime
    countries: Mapping[str, str]

    def today(self, controller: str) -> date:
        """The controller's date; in UTC if the controller is no longer declared."""
        country = self.countries.get(controller)
        return deadlines.local_day(self.now, country) if country else self.now.astimezone(UTC).date()

    @property
    def days(self) -> tuple[list[str], list[date], date]:
        """The controllers, the date of each, and the date of any other."""
        controllers = list(self.countries)
        return controllers, [self.today(each) for each in controllers], self.today("")


@dataclass(frozen=True, slots=True)
class Place:
    """A request's place in a list in the order of due dates, with closed requests at the end."""

    closed: bool
    due: date
    reference: str


@dataclass(frozen=True, slots=True)
class WantedRequests:
    """Which requests to list: each field given narrows the list. ``due_within``: so many days, overdue ones included.

    ``due_before``: a date; only open requests. ``controllers``: only theirs. ``after``: where the last page ended.
    ``ending``: the one with this reference; or, if it begins with a hyphen, those whose reference ends so.
    """

    states: Sequence[RequestState] = ()
    right: Right | None = None
    open: bool = False
    due_within: int | None = None
    due_before: date | None = None
    controllers: Sequence[str] | None = None
    after: Place | None = None
    ending: str | None = None


@dataclass(frozen=True, slots=True)
class Handling:
    """Who works on a request, when, and their ``words``: the reason, the note, or how the person was identified. ``seen``: how many entries
    its history had when they looked at it; a step is refused if a later one changed its state, level or last day. None: that is not known.
    """

    who: str
    clock: Clock
    words: str = ""
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """A request as entered. ``digest``: of its number, under one of the controller's secrets; None once it
    has expired. ``is_recent``: whether the person who entered it may still ask what became of it.
    """

    reference: str
    controller: str
    right: Right
    state: RequestState
    level: Level
    received_at: datetime
    due: date
    digest: bytes | None = field(repr=False)
    is_recent: bool = True


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request as shown: its row, its history, the bars it entered, its call's recordings, and the first
    fault of the history, if somebody has changed it.
    """

    request: dict[str, Any]
    history: list[dict[str, Any]]
    bars: list[dict[str, Any]]
    recordings: list[dict[str, Any]]
    fault: str | None = None


class RequestRegister(Protocol):
    """Each method raises StoreError if the database fails, and RequestError if there is no such request."""

    async def show(self, reference: str) -> RequestRecord: ...

    async def add(
        self, controller: str, exercise: Exercise, digests: Digests, campaign: str | None = None, *, at_once: bool = False
    ) -> str:  # fmt: skip
        """Enter a request that did not come in by key, with the same effects. Gives its reference. ``at_once``: it came in at this
        moment, so a withdrawal ends whatever is on record, however slow the clock is by which it was received.
        """
        ...

    async def entered_as(self, exercise_id: UUID) -> Entered | None:
        """The request entered as this exercise; None if none is known so far."""
        ...

    async def verify(self, reference: str, level: Level, handling: Handling) -> dict[str, Any]:
        """Record how sure the person's identity is, and how it was verified. Raises RequestError if that is not allowed."""
        ...

    async def step(self, reference: str, to: RequestState, handling: Handling) -> dict[str, Any]:
        """Take a request to another state. Raises RequestError if the law or its state forbids it."""
        ...

    def export(self, controller: str | None, since: datetime | None) -> AsyncGenerator[dict[str, Any], None]:
        """Each request with its history, in the order of receipt, read from the database a few at a time."""
        ...

    async def list(
        self,
        controller: str | None,
        limit: int,
        *,
        clock: Clock | None = None,
        wanted: WantedRequests | None = None,
    ) -> list[dict[str, Any]]:
        """Requests in the order of due dates, with ``days_left`` and whether each is ``overdue``."""
        ...

    async def of(
        self, known_as: Mapping[str, Digests], limit: int, *, clock: Clock
    ) -> Sequence[dict[str, Any]]:
        """Like :meth:`list`, the requests of one number, newest first. ``known_as``: its digests, by controller."""
        ...
