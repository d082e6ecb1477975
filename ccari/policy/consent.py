"""Consent, which must be provable (Art 7(1)): to a purpose, for a channel, and in force or not."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Channel(StrEnum):
    """The kind of calls that a consent is to: by people, or automatic. A consent to one does not cover the other (PL: PKE Art 398(1))."""

    PHONE = "phone"
    AUTOMATIC_CALLS = "automatic_calls"


class ConsentState(StrEnum):
    """What has become of a consent."""

    NONE = "none"
    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Consent:
    """The newest consent of one number to one purpose; times are aware."""

    given_at: datetime
    withdrawn_at: datetime | None = None
    valid_until: datetime | None = None


def state(consent: Consent | None, now: datetime) -> ConsentState:
    """The state of a consent at ``now``. A consent dated in the future does not count yet."""
    if consent is None or consent.given_at > now:
        return ConsentState.NONE
    if consent.withdrawn_at is not None:
        return ConsentState.WITHDRAWN
    if consent.valid_until is not None and consent.valid_until <= now:
        return ConsentState.EXPIRED
    return ConsentState.GIVEN
