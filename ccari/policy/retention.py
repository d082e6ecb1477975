"""When personal data must be deleted, and what keeps them longer: storage limitation, Article 5(1)(e)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ccari.policy.bases import ANY_BASIS, OBJECTABLE, LegalBasis
from ccari.policy.rights import Right
from ccari.policy.sentences import told


class HoldKind(StrEnum):
    """Why a recording is kept beyond its time: an open request needs it, or a legal claim may."""

    REQUEST = "request"
    LEGAL = "legal"


class Limited(StrEnum):
    """Data kept only for a number of days, which :class:`ccari.policy.parties.Controller` declares; for accesses, which have one record
    for all controllers, the policy itself does.
    """

    CALLS = "calls"
    REQUESTS = "requests"
    CONTACTS = "contacts"
    CONSENTS = "consents"
    ACCESSES = "accesses"

    @property
    def setting(self) -> str:
        """The key in the policy file."""
        return f"{self}_days"


#: The kinds for which each controller has its own limit.
OF_CONTROLLERS = (Limited.CALLS, Limited.REQUESTS, Limited.CONTACTS, Limited.CONSENTS)


class Why(StrEnum):
    """Why a recording was deleted."""

    RETENTION = "retention"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    ERASURE = "erasure"
    PURGE = "purge"


#: The legal bases of the recordings that an open request holds, by right. A right that is not here holds nothing, above all erasure:
#: asking for it must not keep data longer. If a recording is needed for a claim, Art 17(3)(e), place a hold.
HOLDING: Mapping[Right, frozenset[LegalBasis]] = {
    # Art 15(1) and (3): what is deleted before the answer would be missing from it
    Right.ACCESS: ANY_BASIS,
    # Art 20(1)(a)
    Right.PORTABILITY: frozenset({LegalBasis.CONSENT, LegalBasis.CONTRACT}),
    # Art 18(1)(b) and (c): the person opposes the deletion, or needs data that the controller no longer needs
    Right.RESTRICTION: ANY_BASIS,
    # Art 18(1)(d): restricted until it is verified whose grounds override
    Right.OBJECTION: OBJECTABLE,
    # if the basis was not consent, a refusal of recording is an objection
    Right.REFUSE_RECORDING: OBJECTABLE,
    # Art 22(3): the person who reviews the decision needs what it was based on
    Right.HUMAN_REVIEW: ANY_BASIS,
}

#: Rights whose requests hold even after they are fulfilled. Restricted data may only be stored, Art 18(2), until the person was told that
#: the restriction ends, 18(3), and somebody has lifted the bar that came with it.
HOLDING_ON = frozenset({Right.RESTRICTION})

#: Rights whose requests restrict what they hold, Art 18(1): it may only be stored, with the exceptions of 18(2).
RESTRICTING = frozenset({Right.RESTRICTION, Right.OBJECTION, Right.REFUSE_RECORDING})

#: Rights that withdraw a consent, Art 7(3). A withdrawal needs no decision, and cannot be refused.
WITHDRAWING = frozenset({Right.WITHDRAW_CONSENT, Right.REFUSE_RECORDING})

#: Rights that concern only the recordings of the call that they were exercised in.
OF_ITS_CALL = frozenset({Right.REFUSE_RECORDING})


@dataclass(frozen=True, slots=True)
class Deletion:
    """``at``: from when on the recording may no longer be kept; None while it is held. ``why``: the reason."""

    at: datetime | None
    why: str


def deletion(
    recorded: datetime, basis: LegalBasis, limit: datetime, *,
    holds: Collection[HoldKind] = (), consent_withdrawn: datetime | None = None, erasure_granted: datetime | None = None,
) -> Deletion:  # fmt: skip
    """When a recording made at ``recorded`` on ``basis`` must be deleted; all moments are aware.

    ``limit``: by the campaign, in the revision that the recording was made under: see :func:`delete_at`.

    - A legal hold comes before everything, Art 17(3)(e). A request, such as one for access, holds what it concerns until closed.
    - A legal obligation keeps the recording for its whole period: an erasure does not shorten that, Art 17(3)(b).
    - If consent is withdrawn, or erasure granted, there is nothing left to keep it for, Art 17(1)(a)-(c).
    - Otherwise the campaign's own limit decides.
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
    """When a recording may no longer be kept under the campaign's own limit in days."""
    return recorded + timedelta(days=retention_days)


def ended_until(now: datetime, days: int) -> datetime:
    """The moment before which data must have ended to be past their controller's limit of ``days``."""
    return now - timedelta(days=days)


def purge_fault(
    basis: LegalBasis, limit: datetime, now: datetime, holding: Collection[HoldKind]
) -> str | None:
    """Why a recording may not be deleted before its time, in words; None if it may. The words name ``limit`` in its time zone."""
    if holding:
        return "it is held"
    if basis is LegalBasis.LEGAL_OBLIGATION and now < limit:
        return f"a legal obligation keeps it until {told(limit)} (Art 17(3)(b))"
    return None
