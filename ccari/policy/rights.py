"""The rights a callee can exercise, and what each does at once.

The table follows Articles 7(3), 15-18, 20-22 GDPR. A key press is an intake: what needs a human decision is only
registered; what may not wait (the bar on further calls, the stop of a recording) happens in the same transaction.
"""

from dataclasses import dataclass
from enum import StrEnum

from ccari.policy.suppression import Reason


class Right(StrEnum):
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


class RequestState(StrEnum):
    RECEIVED = "received"
    FULFILLED = "fulfilled"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a right does the moment it is pressed.

    ``suppress``: the bar that is entered for the controller, or None. ``stops_recording``: the running recording ends.
    ``state``: where the request starts; what is complete with its effect starts fulfilled.
    """

    article: str
    suppress: Reason | None = None
    stops_recording: bool = False
    state: RequestState = RequestState.RECEIVED


EFFECTS: dict[Right, Effect] = {
    Right.ACCESS: Effect("15"),
    Right.RECTIFICATION: Effect("16"),
    Right.ERASURE: Effect("17", suppress=Reason.ERASURE, stops_recording=True),
    Right.RESTRICTION: Effect("18"),
    Right.PORTABILITY: Effect("20"),
    Right.OBJECTION_MARKETING: Effect("21(2)", suppress=Reason.OBJECTION_MARKETING),
    Right.OBJECTION: Effect("21(1)", suppress=Reason.OBJECTION, stops_recording=True),
    Right.WITHDRAW_CONSENT: Effect("7(3)", suppress=Reason.WITHDRAW_CONSENT),
    Right.REFUSE_RECORDING: Effect("7(3)", stops_recording=True, state=RequestState.FULFILLED),
    Right.HUMAN_REVIEW: Effect("22(3)"),
}
