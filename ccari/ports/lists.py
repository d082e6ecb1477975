"""Lines of a list of numbers, read and checked."""

from dataclasses import dataclass
from datetime import date, datetime

from ccari.policy.bases import LegalBasis
from ccari.policy.consent import Channel
from ccari.policy.numbers import Number
from ccari.policy.suppression import Reason
from ccari.ports.keying import Keyed


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why a line of a file (from 1) cannot be taken. ``why`` never quotes it, for there may be a number in it."""

    line: int
    column: str | None
    why: str


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
