"""Entries that bar a number from being called, and the keyed digest they are kept under."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ccari.policy.bases import OBJECTABLE, LegalBasis
from ccari.policy.numbers import Number

#: A bare hash of a nine-digit number is undone in seconds; the key makes it pseudonymous (Art 4(5)).
SECRET_BYTES = 32
DIGEST_BYTES = 32


class Reason(StrEnum):
    """Why a number is barred. The reason decides which calls it bars: see :func:`bars`."""

    OBJECTION_MARKETING = "objection_marketing"
    OBJECTION = "objection"
    WITHDRAW_CONSENT = "withdraw_consent"
    RESTRICTION = "restriction"
    ERASURE = "erasure"
    DO_NOT_CALL = "do_not_call"


#: Lifted only where they are named: a restriction after the person was told, Art 18(3), for what it held back from its
#: deletion goes then; and a bar after an erasure stands for what nobody has on record any more.
LIFTED_BY_NAME = frozenset({Reason.RESTRICTION, Reason.ERASURE})


@dataclass(frozen=True, slots=True)
class Entry:
    """One bar on one number. ``campaign`` is None where it reaches all of the controller's calls.

    ``expires_at``: from when it no longer bars; None: it does until somebody removes it.
    """

    reason: Reason
    entered_at: datetime
    campaign: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A number's place in a national register of people who want no advertising, since ``listed_at``."""

    register: str
    listed_at: datetime


def digest(secret: bytes, number: Number) -> bytes:
    """HMAC-SHA-256 of the E.164 number, 32 bytes, under one controller's secret.

    Raises
    ------
    ValueError
        If the secret has not :data:`SECRET_BYTES` bytes: a short key would make the digest guessable.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a suppression secret has {SECRET_BYTES} bytes")
    return hmac.digest(secret, number.e164.encode("ascii"), "sha256")


def bars(reason: Reason, *, basis: LegalBasis, marketing: bool) -> bool:
    """True if an entry for ``reason`` forbids a call of this basis and purpose.

    - Art 21(2)-(3): an objection to direct marketing ends marketing, whatever its basis, and nothing else.
    - Art 21(1): an objection reaches processing under legitimate interest or public task; and marketing, which it
      would be petty to go on with.
    - Art 7(3): a withdrawn consent takes away the basis of what rested on it, and marketing by telephone rests on
      consent whatever basis the data are kept under (PL: PKE Art 398).
    - Art 18(2): restricted data are only stored, so nobody is called, as after erasure.
    - Art 17: after erasure only a legal obligation, 17(3)(b), or a vital interest may still call.
    - ``do_not_call`` is the centre's own bar, and bars as erasure does.
    """
    bound = basis in {LegalBasis.LEGAL_OBLIGATION, LegalBasis.VITAL_INTEREST}
    match reason:
        case Reason.OBJECTION_MARKETING:
            return marketing
        case Reason.OBJECTION:
            return marketing or basis in OBJECTABLE
        case Reason.WITHDRAW_CONSENT:
            return marketing or basis is LegalBasis.CONSENT
        case Reason.RESTRICTION | Reason.ERASURE | Reason.DO_NOT_CALL:
            return not bound


def bars_all(reason: Reason) -> bool:
    """True if an entry for ``reason`` forbids every call but those that a law or a life demands."""
    return bars(reason, basis=LegalBasis.CONTRACT, marketing=False)


def outlives(reason: Reason, entered_at: datetime, consent_given_at: datetime | None) -> bool:
    """True if a bar still stands although a consent was given at ``consent_given_at``.

    Only a withdrawal is undone by a newer consent to the same purpose (Art 7): who objected, or asked for erasure, is
    called again only when a person has looked at it and removed the bar.
    """
    given_since = consent_given_at is not None and consent_given_at > entered_at
    return not (reason is Reason.WITHDRAW_CONSENT and given_since)
