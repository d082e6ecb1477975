"""Every reachable state of a call meets every event that is possible in it, in whatever order a bad world sends them."""

from functools import cache

import pytest

from ccari.policy.call import Direction, Outcome, Stage
from tests.unit.policy.campaigns import campaign
from tests.unit.policy.explorer import Exploration, explore
from tests.unit.policy.kinds import KINDS

#: What keys, or a machine, lead to: not every campaign has them.
_BY_KEY = frozenset({Outcome.RIGHT_EXERCISED, Outcome.RECORDING_REFUSED})
#: A party who is not called is neither busy nor away; an agent who is waited for is missing rather than gone.
_NEVER = {
    Direction.OUTBOUND: frozenset[Outcome](),
    Direction.AGENT_FIRST: frozenset[Outcome](),
    Direction.CALLEE_FIRST: frozenset({Outcome.AGENT_HANGUP}),
    Direction.INBOUND: frozenset({Outcome.AGENT_HANGUP, Outcome.BUSY, Outcome.NO_ANSWER}),
}
#: Fewer would mean that something can no longer be reached at all.
_LEAST_STATES, _LEAST_TRANSITIONS = 170_000, 7_000_000


@cache
def _explored(name: str) -> Exploration:
    kind = KINDS[name]
    return explore(campaign(**kind.changes), kind.direction, kind.strange, holds=kind.holds)


@pytest.fixture(params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def found(name: str) -> Exploration:
    return _explored(name)


def test_the_walk_goes_all_the_way(name: str, found: Exploration) -> None:
    """A walk that ends early would find nothing wrong with anything."""
    never = _NEVER[KINDS[name].direction]
    assert set(Outcome) - never - _BY_KEY <= found.outcomes <= set(Outcome) - never


def test_every_outcome_and_stage_is_reached_by_some_campaign() -> None:
    assert {outcome for name in KINDS for outcome in _explored(name).outcomes} == set(Outcome)
    assert {stage for name in KINDS for stage in _explored(name).stages} == set(Stage)


def test_no_step_breaks_what_must_always_hold(found: Exploration) -> None:
    """On failure: what was broken, and the shortest way to it."""
    assert found.breaches == {}


def test_no_state_is_a_dead_end_or_goes_round_for_ever(found: Exploration) -> None:
    """From every state, a world that behaves well from there on brings the call to its end."""
    assert found.dead_ends == []


def test_only_a_recorder_that_keeps_silent_leaves_the_end_to_the_timer(found: Exploration) -> None:
    assert {world.recorder for world in found.last_resorts} <= {"doubtful"}


def test_what_may_fail_or_belongs_to_nobody_changes_nothing(found: Exploration) -> None:
    assert found.stirred == []


def test_the_walks_are_as_long_as_they_are_meant_to_be() -> None:
    """States that are merged by mistake, or events that are left out, would pass every other test."""
    states = sum(_explored(name).states for name in KINDS)
    transitions = sum(_explored(name).transitions for name in KINDS)
    print(f"{len(KINDS)} kinds of call: {states} states, {transitions} transitions")
    assert states > _LEAST_STATES
    assert transitions > _LEAST_TRANSITIONS
