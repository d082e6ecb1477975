"""Entries that bar a number from being called, and the keyed digest they are kept under."""

import hashlib
import hmac
from enum import StrEnum

from ccari.policy.bases import LegalBasis
from ccari.policy.numbers import Number

#: A bare hash of a nine-digit number is undone in seconds; the key makes it pseudonymous (Art 4(5)).
SECRET_BYTES = 32


class Reason(StrEnum):
    """Why a number is barred. The reason decides which calls it bars: see :func:`bars`."""

    OBJECTION_MARKETING = "objection_marketing"
    OBJECTION = "objection"
    WITHDRAW_CONSENT = "withdraw_consent"
    ERASURE = "erasure"
    DO_NOT_CALL = "do_not_call"


def digest(secret: bytes, number: Number) -> bytes:
    """HMAC-SHA-256 of the E.164 number, 32 bytes, under one controller's secret.

    Raises
    ------
    ValueError
        If the secret has not :data:`SECRET_BYTES` bytes: a short key would make the digest guessable.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a suppression secret has {SECRET_BYTES} bytes")
    return hmac.new(secret, number.e164.encode("ascii"), hashlib.sha256).digest()


def bars(reason: Reason, *, basis: LegalBasis, marketing: bool) -> bool:
    """True if an entry for ``reason`` forbids a call of this basis and purpose.

    - Art 21(2)-(3): an objection to direct marketing ends marketing, whatever its basis, and nothing else.
    - Art 21(1): an objection reaches processing under legitimate interest or public task.
    - Art 7(3): a withdrawn consent takes away the basis of what rested on it.
    - Art 17: after erasure only a legal obligation, 17(3)(b), or a vital interest may still call.
    - ``do_not_call`` is the centre's own bar, and bars as erasure does.
    """
    bound = basis in {LegalBasis.LEGAL_OBLIGATION, LegalBasis.VITAL_INTEREST}
    match reason:
        case Reason.OBJECTION_MARKETING:
            return marketing
        case Reason.OBJECTION:
            return marketing or basis in {LegalBasis.LEGITIMATE_INTEREST, LegalBasis.PUBLIC_TASK}
        case Reason.WITHDRAW_CONSENT:
            return basis is LegalBasis.CONSENT
        case Reason.ERASURE | Reason.DO_NOT_CALL:
            return not bound
