"""When a recording is to be deleted: storage limitation, Article 5(1)(e)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ccari.policy.bases import LegalBasis


class HoldKind(StrEnum):
    """Why a recording is kept beyond its time: a request that concerns it, or claims to be established or defended."""

    REQUEST = "request"
    LEGAL = "legal"


@dataclass(frozen=True, slots=True)
class Deletion:
    """``at``: from when the recording may no longer be kept; None while it is held. ``why``: what decides that."""

    at: datetime | None
    why: str


def deletion(
    recorded: datetime, basis: LegalBasis, retention_days: int, *,
    holds: Collection[HoldKind] = (), consent_withdrawn: datetime | None = None, erasure_granted: datetime | None = None,
) -> Deletion:  # fmt: skip
    """When a recording made at ``recorded`` (aware) under ``basis`` is to be deleted.

    - A legal hold stands above all, Art 17(3)(e); a request (access, say) holds what it is about until it is closed.
    - A legal obligation keeps for its whole period: an erasure does not shorten it, Art 17(3)(b).
    - With a consent withdrawn, or an erasure granted, there is nothing left to keep it for, Art 17(1)(a)-(c).
    - Else the campaign's own limit.
    """
    for hold in (HoldKind.LEGAL, HoldKind.REQUEST):
        if hold in holds:
            return Deletion(None, f"{hold}_hold")
    limit = delete_at(recorded, retention_days)
    ends = {limit: "retention"}
    if basis is LegalBasis.CONSENT and consent_withdrawn is not None:
        ends[max(consent_withdrawn, recorded)] = "consent_withdrawn"
    if basis is not LegalBasis.LEGAL_OBLIGATION and erasure_granted is not None:
        ends[max(erasure_granted, recorded)] = "erasure"
    at = min(ends)
    return Deletion(at, ends[at])


def delete_at(recorded: datetime, retention_days: int) -> datetime:
    """The moment after which a recording may no longer be kept, from the campaign's own limit in days."""
    return recorded + timedelta(days=retention_days)
