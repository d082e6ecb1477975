"""The request on which a person's data are disclosed or erased. Neither is done without one (Art 12(6), 15, 17, 20)."""

from collections.abc import Collection
from enum import StrEnum

from ccari.policy.bases import LegalBasis
from ccari.policy.retention import HOLDING
from ccari.policy.rights import Level, RequestState, Right

#: The rights that an export answers: Art 15 and 20.
ANSWERED_BY_EXPORT = frozenset({Right.ACCESS, Right.PORTABILITY})

#: Art 20(1)(a): portability covers only data processed on one of these bases.
PORTABLE: Collection[LegalBasis] = HOLDING[Right.PORTABILITY]


class MandateFault(StrEnum):
    """Why a request does not permit disclosing or erasing a number's data, in words for the person who tried."""

    NUMBER = "it was made for another number"
    CONTROLLER = "it was made to another controller"
    RIGHT = "it asks for something else"
    CLOSED = "it is closed: enter a new one"
    IDENTITY = "the person's identity is not sure enough: it must be L2, see ccari requests verify"


def fault(
    wanted: Collection[Right], right: Right, state: RequestState, level: Level, *, same_number: bool,
    same_controller: bool, begun: bool = False,
) -> MandateFault | None:  # fmt: skip
    """Why the request permits nothing; None if it does. ``wanted``: the rights, one of which it must be for.

    ``begun``: an erasure on this request could not reach everything; it may be finished, even though the request is fulfilled.
    """
    if not same_controller:
        return MandateFault.CONTROLLER
    if not same_number:
        return MandateFault.NUMBER
    if right not in wanted:
        return MandateFault.RIGHT
    if not state.is_open and not (begun and state is RequestState.FULFILLED):
        return MandateFault.CLOSED
    if level < Level.L2:
        return MandateFault.IDENTITY
    return None


def after(state: RequestState) -> RequestState:
    """The state of the request after it was acted on; a closed one stays as it is."""
    return RequestState.IN_PROGRESS if state in {RequestState.RECEIVED, RequestState.VERIFYING} else state
