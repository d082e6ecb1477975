"""The request on which data are given out or erased."""

import itertools

import pytest

from ccari.policy.mandate import ANSWERED_BY_EXPORT, MandateFault, after, fault
from ccari.policy.rights import Level, RequestState, Right

OPEN = [each for each in RequestState if each.is_open]


def found(
    right: Right = Right.ACCESS, state: RequestState = RequestState.RECEIVED, level: Level = Level.L2, *,
    same_number: bool = True, same_controller: bool = True, begun: bool = False,
) -> MandateFault | None:  # fmt: skip
    wanted = {Right.ERASURE} if right is Right.ERASURE else ANSWERED_BY_EXPORT
    return fault(
        wanted, right, state, level, same_number=same_number, same_controller=same_controller, begun=begun
    )


@pytest.mark.parametrize(("right", "state"), list(itertools.product(Right, RequestState)))
def test_data_are_given_out_or_erased_on_what_is_no_ground(right: Right, state: RequestState) -> None:
    asks = right in {Right.ACCESS, Right.PORTABILITY, Right.ERASURE}
    assert (found(right, state) is None) is (asks and state.is_open)
    for level in (Level.L0, Level.L1):
        assert found(right, state, level) is not None
    assert found(right, state, same_number=False) is MandateFault.NUMBER
    assert found(right, state, same_controller=False) is MandateFault.CONTROLLER


def test_an_erasure_that_was_refused_or_taken_back_goes_on() -> None:
    goes_on = {state for state in RequestState if found(Right.ERASURE, state, begun=True) is None}
    assert goes_on == {*OPEN, RequestState.FULFILLED}


def test_work_on_a_request_closes_it_or_shortens_its_time() -> None:
    assert {state: after(state) for state in RequestState} == {
        **{state: state for state in RequestState},
        RequestState.RECEIVED: RequestState.IN_PROGRESS,
        RequestState.VERIFYING: RequestState.IN_PROGRESS,
    }
