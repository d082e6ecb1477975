"""A right as it is exercised."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from ccari.policy.rights import Level, Right


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
