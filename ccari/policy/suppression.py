"""Entries that bar a number from being called, and the keyed digest under which they are stored."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ccari.policy.bases import OBJECTABLE, LegalBasis
from ccari.policy.numbers import Number

#: A plain hash of a nine-digit number can be reversed in seconds by trying all numbers; the key makes it pseudonymous (Art 4(5)).
SECRET_BYTES = 32
DIGEST_BYTES = 32


class Reason(StrEnum):
    """Why a number is barred. The reason decides which calls it bars."""

    OBJECTION_MARKETING = "objection_marketing"
    OBJECTION = "objection"
    WITHDRAW_CONSENT = "withdraw_consent"
    RESTRICTION = "restriction"
    ERASURE = "erasure"
    DO_NOT_CALL = "do_not_call"


#: Reasons whose bars are lifted only if the reason is named. A restriction ends only after the person was told, Art 18(3), and the data
#: that it kept are then deleted. A bar after an erasure is all that is left on record.
LIFTED_BY_NAME = frozenset({Reason.RESTRICTION, Reason.ERASURE})


@dataclass(frozen=True, slots=True)
class Suppression:
    """One bar on one number. ``campaign``: None if it bars all of the controller's calls.

    ``expires_at``: when the bar ends; None: when somebody removes it.
    """

    reason: Reason
    entered_at: datetime
    campaign: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A number's entry, since ``listed_at``, in a register of people who want no advertising."""

    register: str
    listed_at: datetime


def digest(secret: bytes, number: Number) -> bytes:
    """HMAC-SHA-256 of the E.164 number, 32 bytes, under one controller's secret.

    Raises
    ------
    ValueError
        If the secret does not have :data:`SECRET_BYTES` bytes: with a short key the digest could be guessed.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a suppression secret has {SECRET_BYTES} bytes")
    return hmac.digest(secret, number.e164.encode("ascii"), "sha256")


def bars(reason: Reason, *, basis: LegalBasis, marketing: bool) -> bool:
    """True if an entry for ``reason`` forbids a call on this basis; ``marketing``: whether the call is marketing.

    - Art 21(2)-(3): an objection to direct marketing ends marketing on any basis, and nothing else.
    - Art 21(1): an objection ends processing on legitimate interest or public task. It ends marketing too, which
      it would be petty to go on with.
    - Art 7(3): a withdrawal takes away the basis of what rested on consent. Marketing by telephone rests on consent, whatever
      basis the data are kept on (PL: PKE Art 398).
    - Art 18(2): restricted data may only be stored, so the person is not called, as after erasure.
    - Art 17: after erasure only a legal obligation, 17(3)(b), or a vital interest allows a call.
    - ``do_not_call`` is the centre's own bar, and bars as much as erasure does.
    """
    must_call = basis in {LegalBasis.LEGAL_OBLIGATION, LegalBasis.VITAL_INTEREST}
    match reason:
        case Reason.OBJECTION_MARKETING:
            return marketing
        case Reason.OBJECTION:
            return marketing or basis in OBJECTABLE
        case Reason.WITHDRAW_CONSENT:
            return marketing or basis is LegalBasis.CONSENT
        case Reason.RESTRICTION | Reason.ERASURE | Reason.DO_NOT_CALL:
            return not must_call


def bars_all(reason: Reason) -> bool:
    """True if an entry for ``reason`` forbids every call except on a legal obligation or a vital interest."""
    return bars(reason, basis=LegalBasis.CONTRACT, marketing=False)


def in_force(expires_at: datetime | None, now: datetime) -> bool:
    """Whether a bar applies at this moment. One that never expires has ``expires_at`` None."""
    return expires_at is None or expires_at > now


def outlives(reason: Reason, entered_at: datetime, consent_given_at: datetime | None) -> bool:
    """True if a bar still applies although consent was given at ``consent_given_at``.

    A newer consent to the same purpose undoes only a withdrawal (Art 7). A person who objected, or asked for erasure, is called again
    only after somebody has removed the bar.
    """
    consented_since = consent_given_at is not None and consent_given_at > entered_at
    return not (reason is Reason.WITHDRAW_CONSENT and consented_since)
