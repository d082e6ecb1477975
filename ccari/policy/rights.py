"""The rights that a person can exercise: the immediate effect of each, and the steps of a request until it is closed.

The table :data:`EFFECTS` follows Articles 7(3), 15-18, 20-22 GDPR. A key press registers a request. Urgent effects (the bar on further
calls, the end of a recording) happen in the same transaction; a person decides on the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum

from ccari.policy.bases import ANY_BASIS, OBJECTABLE, LegalBasis
from ccari.policy.suppression import Reason

#: The GDPR applies from this date, Art 99(2): no right is older.
APPLIES_SINCE = datetime(2018, 5, 25, tzinfo=UTC)


class Right(StrEnum):
    """A right that a person can exercise, by the names of the API, the commands and the policy file."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    OBJECTION_MARKETING = "objection_marketing"
    OBJECTION = "objection"
    WITHDRAW_CONSENT = "withdraw_consent"
    REFUSE_RECORDING = "refuse_recording"
    HUMAN_REVIEW = "human_review"


class Level(IntEnum):
    """How certain the person's identity is. L0: by caller ID alone, which can be forged. L1: by a key in a call that we placed to the
    number. L2: the person was authenticated.
    """

    L0 = 0
    L1 = 1
    L2 = 2


class NumberFrom(StrEnum):
    """How we learnt the number under which a right is registered."""

    DIALLED = "dialled"
    CALLER_ID = "caller_id"
    GIVEN = "given"

    @property
    def level(self) -> Level:
        """How certain it is, from this alone, that the number belongs to the person who exercises the right."""
        return Level.L1 if self is NumberFrom.DIALLED else Level.L0


class Stored(StrEnum):
    """What the right means for recordings that exist already. A person, or the housekeeping, carries it out."""

    KEEP = "keep"
    NO_OTHER_USE = "no_other_use"
    KEEP_PROOF_ONLY = "keep_proof_only"
    ERASE_OR_RESTRICT = "erase_or_restrict"
    RESTRICT = "restrict"
    DECIDE_PER_BASIS = "decide_per_basis"
    HOLD = "hold"
    ANNOTATE = "annotate"
    EXPORT = "export"


class RequestState(StrEnum):
    """Where a request stands."""

    RECEIVED = "received"
    VERIFYING = "verifying"
    IN_PROGRESS = "in_progress"
    EXTENDED = "extended"
    FULFILLED = "fulfilled"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"

    @property
    def is_open(self) -> bool:
        return bool(_NEXT[self])


_CLOSING = frozenset({RequestState.FULFILLED, RequestState.REFUSED, RequestState.WITHDRAWN})
_NEXT: dict[RequestState, frozenset[RequestState]] = {
    RequestState.RECEIVED: _CLOSING
    | {RequestState.VERIFYING, RequestState.IN_PROGRESS, RequestState.EXTENDED},
    RequestState.VERIFYING: _CLOSING | {RequestState.IN_PROGRESS, RequestState.EXTENDED},
    RequestState.IN_PROGRESS: _CLOSING | {RequestState.VERIFYING, RequestState.EXTENDED},
    RequestState.EXTENDED: _CLOSING | {RequestState.VERIFYING, RequestState.IN_PROGRESS},
    RequestState.FULFILLED: frozenset(),
    RequestState.REFUSED: frozenset(),
    RequestState.WITHDRAWN: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a right does, and what it requires.

    ``suppress``: the bar entered at once for the controller, or None. ``stops``: a running recording on one of these legal bases ends; a
    withdrawal also ends the consent to it, Art 7(3): see ``recording.stops_recording``. ``stored``: what happens to earlier recordings.
    ``fulfil_at``: how certain the person's identity must be before the request is fulfilled (it is registered at any level).
    ``refusable``: whether Art 12(5), 17(3), 21(1) or the like can be a ground to refuse; an objection to marketing and a withdrawal are
    absolute. ``state``: the request's initial state: fulfilled, if the right's effect completes it.
    """

    article: str
    suppress: Reason | None = None
    stops: frozenset[LegalBasis] = frozenset()
    stored: Stored = Stored.KEEP
    fulfil_at: Level = Level.L2
    refusable: bool = True
    state: RequestState = RequestState.RECEIVED


EFFECTS: dict[Right, Effect] = {
    Right.ACCESS: Effect("15", stored=Stored.HOLD),
    Right.RECTIFICATION: Effect("16", stored=Stored.ANNOTATE),
    Right.ERASURE: Effect(
        "17", suppress=Reason.ERASURE, stops=ANY_BASIS, stored=Stored.DECIDE_PER_BASIS
    ),
    Right.RESTRICTION: Effect(
        "18", suppress=Reason.RESTRICTION, stored=Stored.RESTRICT, fulfil_at=Level.L1
    ),
    Right.PORTABILITY: Effect("20", stored=Stored.EXPORT),
    Right.OBJECTION_MARKETING: Effect(
        "21(2)", suppress=Reason.OBJECTION_MARKETING, stored=Stored.NO_OTHER_USE, fulfil_at=Level.L0, refusable=False
    ),
    Right.OBJECTION: Effect(
        "21(1)", suppress=Reason.OBJECTION, stops=ANY_BASIS, stored=Stored.RESTRICT, fulfil_at=Level.L0
    ),
    Right.WITHDRAW_CONSENT: Effect(
        "7(3)", suppress=Reason.WITHDRAW_CONSENT, stops=frozenset({LegalBasis.CONSENT}), stored=Stored.KEEP_PROOF_ONLY,
        fulfil_at=Level.L0, refusable=False,
    ),
    Right.REFUSE_RECORDING: Effect(
        "7(3)", stops=ANY_BASIS, stored=Stored.ERASE_OR_RESTRICT, fulfil_at=Level.L0, refusable=False,
        state=RequestState.FULFILLED,
    ),
    Right.HUMAN_REVIEW: Effect("22(3)", stored=Stored.HOLD, fulfil_at=Level.L1),
}  # fmt: skip


def article(right: Right, recording_basis: LegalBasis | None = None) -> str:
    """The article that the right is exercised under. A refusal of recording is a withdrawal if the recording rests on consent, and an
    objection if its basis can be objected to, Art 21(1). Otherwise, or if the basis is unknown (None), it is a request to erase the
    recording, which is possible on any basis.
    """
    if right is not Right.REFUSE_RECORDING:
        return EFFECTS[right].article
    if recording_basis is LegalBasis.CONSENT:
        return EFFECTS[Right.WITHDRAW_CONSENT].article
    return EFFECTS[Right.OBJECTION if recording_basis in OBJECTABLE else Right.ERASURE].article


def articles(right: Right) -> str:
    """The articles that the right may be exercised under, for informing people of their rights: ``7(3), 17, 21(1)``."""
    return ", ".join(dict.fromkeys(article(right, basis) for basis in LegalBasis))


def refusable(right: Right, article: str) -> bool:
    """Whether a request under that ``article`` may be refused. A refusal of recording may, unless it is a withdrawal: the recording may
    have to be kept, Art 17(3)(b) and 21(1).
    """
    is_withdrawal = article == EFFECTS[Right.WITHDRAW_CONSENT].article
    return EFFECTS[right].refusable or (right is Right.REFUSE_RECORDING and not is_withdrawal)


def barred_campaigns(right: Right, consent_purpose: str | None, asking: Sequence[str]) -> Sequence[str]:
    """The campaigns that the right's bar is on; '' means all of the controller's calls. A withdrawal may concern the consent to one
    purpose (``consent_purpose``); it then bars the campaigns ``asking`` for it.
    """
    if right is Right.WITHDRAW_CONSENT and consent_purpose is not None:
        return asking
    return ("",)


def begins(right: Right, *, recorded: bool) -> RequestState:
    """A request's initial state. A refusal of recording is fulfilled at once if nothing is ``recorded``; otherwise a person decides
    whether to erase the recording, or restrict it as after an objection.
    """
    return RequestState.RECEIVED if recorded else EFFECTS[right].state


class StepFault(StrEnum):
    """Why a request cannot take a step, in words for the person who tried."""

    CLOSED = "the request is closed"
    NOT_NEXT = "this step is not possible in the present state of the request"
    NO_REASON = "give a reason: the person must be told why"
    EXTENDED_BEFORE = "it has been extended before, and Art 12(3) allows that only once"
    TOO_LATE_TO_EXTEND = (
        "the first month is over, and with it the time to tell the person of an extension (Art 12(3))"
    )
    IDENTITY = "the person's identity is not sure enough to fulfil it: verify it first"
    NO_PROOF = "say how the person's identity was verified"
    ABSOLUTE = "this right cannot be refused: an objection to marketing and a withdrawal are absolute"
    ERASING = (
        "an erasure was begun on it and is not complete: complete it first, or close the request as fulfilled"
    )


def step_fault(
    right: Right,
    article: str,
    state: RequestState,
    to: RequestState,
    *,
    level: Level,
    reason: str,
    extended: bool,
    in_first_month: bool,
    erasing: bool,
) -> StepFault | None:
    """Why a request may not go from ``state`` to ``to``; None if it may. ``erasing``: an erasure on it has begun and not reached
    everything yet. It can continue only on a request that is open or fulfilled.

    Art 12(3) (one extension, announced within the first month, with its reasons), 12(4) (a refusal is announced with its reasons), 12(6)
    (identity), 21(3) and 7(3) (absolute).
    """
    effect = EFFECTS[right]
    if not state.is_open:
        return StepFault.CLOSED
    if to is RequestState.EXTENDED and extended:
        return StepFault.EXTENDED_BEFORE
    if to not in _NEXT[state]:
        return StepFault.NOT_NEXT
    if to is RequestState.EXTENDED and not in_first_month:
        return StepFault.TOO_LATE_TO_EXTEND
    if to is RequestState.REFUSED and not refusable(right, article):
        return StepFault.ABSOLUTE
    if erasing and to in {RequestState.REFUSED, RequestState.WITHDRAWN}:
        return StepFault.ERASING
    if to in {RequestState.EXTENDED, RequestState.REFUSED, RequestState.WITHDRAWN} and not reason.strip():
        return StepFault.NO_REASON
    if to is RequestState.FULFILLED and level < effect.fulfil_at:
        return StepFault.IDENTITY
    return None


def verification_fault(state: RequestState, how: str) -> StepFault | None:
    """Why the person's identity may not be recorded as verified (Art 12(6)); None if it may. ``how``: how it was verified."""
    if not state.is_open:
        return StepFault.CLOSED
    return None if how.strip() else StepFault.NO_PROOF


def after_verification(state: RequestState) -> RequestState:
    """The state of a request after the identity was verified: a new one goes to ``verifying``, others stay as they are."""
    return RequestState.VERIFYING if state is RequestState.RECEIVED else state
