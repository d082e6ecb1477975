"""When what is kept of people is to go, and what keeps it beyond that: storage limitation, Article 5(1)(e)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ccari.policy.bases import ANY_BASIS, OBJECTABLE, LegalBasis
from ccari.policy.rights import Right


class HoldKind(StrEnum):
    """Why a recording is kept beyond its time: a request that concerns it, or claims to be established or defended."""

    REQUEST = "request"
    LEGAL = "legal"


class Limited(StrEnum):
    """What a controller can have kept for so many days, as :class:`ccari.policy.parties.Controller` declares it."""

    CALLS = "calls"
    REQUESTS = "requests"
    CONTACTS = "contacts"

    @property
    def setting(self) -> str:
        """The controller's key in the policy file."""
        return f"{self}_days"


class Why(StrEnum):
    """What a recording was deleted for."""

    RETENTION = "retention"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    ERASURE = "erasure"
    PURGE = "purge"


#: The bases of the recordings that a request of each right holds while it is open. What is not here holds nothing: an
#: erasure above all, for nobody is kept longer because they asked to be forgotten; who needs the recording for a claim,
#: Art 17(3)(e), places a hold.
HOLDING: Mapping[Right, frozenset[LegalBasis]] = {
    # Art 15(1) and (3): what is deleted before the answer is withheld from it
    Right.ACCESS: ANY_BASIS,
    # Art 20(1)(a)
    Right.PORTABILITY: frozenset({LegalBasis.CONSENT, LegalBasis.CONTRACT}),
    # Art 18(1)(b) and (c): the person opposes the deletion, or needs what the controller no longer does
    Right.RESTRICTION: ANY_BASIS,
    # Art 18(1)(d): restricted until it is verified whose grounds override
    Right.OBJECTION: OBJECTABLE,
    # an objection, where no consent was the basis that it takes back
    Right.REFUSE_RECORDING: OBJECTABLE,
    # Art 22(3): whoever looks at the decision again needs what it was made on
    Right.HUMAN_REVIEW: ANY_BASIS,
}

#: Rights whose request holds on when it was fulfilled: restricted data are stored and nothing else, Art 18(2), until the
#: person was told that it ends, 18(3), and somebody lifted the bar that came with it.
HOLDING_ON = frozenset({Right.RESTRICTION})

#: Rights that take a consent back, Art 7(3). No decision is needed, and none can refuse it.
WITHDRAWING = frozenset({Right.WITHDRAW_CONSENT, Right.REFUSE_RECORDING})

#: What is pressed in a call is about that call's recordings, and about no other of the person's.
OF_ITS_CALL = frozenset({Right.REFUSE_RECORDING})


@dataclass(frozen=True, slots=True)
class Deletion:
    """``at``: from when the recording may no longer be kept; None while it is held. ``why``: what decides that."""

    at: datetime | None
    why: str


def deletion(
    recorded: datetime, basis: LegalBasis, limit: datetime, *,
    holds: Collection[HoldKind] = (), consent_withdrawn: datetime | None = None, erasure_granted: datetime | None = None,
) -> Deletion:  # fmt: skip
    """When a recording made at ``recorded`` under ``basis`` is to be deleted; all moments are aware.

    ``limit`` is the campaign's own, of the revision that the recording was made under: see :func:`delete_at`.

    - A legal hold stands above all, Art 17(3)(e); a request (access, say) holds what it is about until it is closed.
    - A legal obligation keeps for its whole period: an erasure does not shorten it, Art 17(3)(b).
    - With a consent withdrawn, or an erasure granted, there is nothing left to keep it for, Art 17(1)(a)-(c).
    - Else the campaign's own limit.
    """
    for hold in (HoldKind.LEGAL, HoldKind.REQUEST):
        if hold in holds:
            return Deletion(None, f"{hold}_hold")
    ends = {limit: Why.RETENTION}
    if basis is LegalBasis.CONSENT and consent_withdrawn is not None:
        ends[max(consent_withdrawn, recorded)] = Why.CONSENT_WITHDRAWN
    if basis is not LegalBasis.LEGAL_OBLIGATION and erasure_granted is not None:
        ends[max(erasure_granted, recorded)] = Why.ERASURE
    at = min(ends)
    return Deletion(at, ends[at])


def delete_at(recorded: datetime, retention_days: int) -> datetime:
    """The moment after which a recording may no longer be kept, from the campaign's own limit in days."""
    return recorded + timedelta(days=retention_days)


def ended_until(now: datetime, days: int) -> datetime:
    """When something has ended that is past its controller's limit of so many ``days``, at the latest."""
    return now - timedelta(days=days)


def purge_fault(
    basis: LegalBasis, limit: datetime, now: datetime, holding: Collection[HoldKind]
) -> str | None:
    """Why somebody may not delete a recording before its time, in words; None if they may."""
    if holding:
        return "it is held"
    if basis is LegalBasis.LEGAL_OBLIGATION and now < limit:
        return f"a legal obligation keeps it until {limit:%Y-%m-%d} (Art 17(3)(b))"
    return None
