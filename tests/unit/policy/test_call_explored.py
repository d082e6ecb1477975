"""Every reachable state of a call meets every event that is possible in it, in whatever order a bad world sends them."""

from functools import cache
from typing import Any

import pytest

from ccari.policy.messages import Outcome
from tests.unit.policy.campaigns import campaign
from tests.unit.policy.explorer import Exploration, explore

_CONTRACT = {"legal_basis": "contract"}
_OFFER = {"legal_basis": "consent", "marketing": True}
_DUTY = {"legal_basis": "legal_obligation"}
_REFUSE, _OBJECT, _WITHDRAW = (
    {"2": "continue_unrecorded"},
    {"5": "objection_marketing"},
    {"6": "withdraw_consent"},
)
_ERASE, _ACCESS, _STEER = {"7": "erasure"}, {"8": "access"}, {"9": "data_source", "*": "repeat"}
_AGREE, _REPEAT = {"1": "consent_recording"}, {"*": "repeat"}


def _kind(mode: str, without: str, basis: dict[str, Any], keys: dict[str, str]) -> dict[str, Any]:
    # one prompt is enough to be heard or not; with two, a key may come between them
    prompts = (
        ["identity"] if mode == "off" else ["identity", "recording"] if keys == _STEER else ["recording"]
    )
    recording = {"mode": mode, "without": without}
    return basis | {"recording": recording, "keys": keys, "notice": {"prompts": prompts}}


_TOLD_ONCE = _kind("notice", "continue", _CONTRACT, _REPEAT) | {
    "notice": {"prompts": ["identity", "recording"], "information": "first_contact"}
}

_KINDS = {
    f"{mode}-{without}-{basis['legal_basis']}-{'+'.join(keys.values()) or 'no_keys'}": _kind(
        mode, without, basis, keys
    )
    for mode, without, basis, keys in [
        *(
            (mode, without, basis, keys)
            for mode, bound in (
                ("off", ((_CONTRACT, _ACCESS), (_OFFER, _WITHDRAW))),
                ("notice", ((_CONTRACT, _ERASE), (_OFFER, _OBJECT))),
                ("opt_out", ((_CONTRACT, _REFUSE), (_OFFER, _REFUSE))),
            )
            for without in ("continue", "hang_up")
            for basis, own in bound
            for keys in ((own,) if mode == "opt_out" else ({}, own))
        ),
        # an erasure that bars no call, but stops its recording
        ("notice", "continue", _DUTY, _ERASE),
        ("notice", "hang_up", _DUTY, _ERASE),
        ("off", "hang_up", _CONTRACT, _REFUSE),
        # two keys that come between one another
        ("off", "continue", _OFFER, _OBJECT | _ACCESS),
        ("notice", "continue", _CONTRACT, _STEER),
        ("opt_out", "continue", _CONTRACT, _REFUSE | _ERASE),
        ("opt_in", "continue", _CONTRACT, _AGREE | _REFUSE),
        ("opt_in", "continue", _OFFER, _AGREE | _OBJECT),
        ("opt_in", "continue", _DUTY, _AGREE | _ERASE),
        ("opt_in", "continue", _CONTRACT, _AGREE | _REPEAT),
        ("opt_in", "hang_up", _CONTRACT, _AGREE),
        ("opt_in", "hang_up", _CONTRACT, _AGREE | _REFUSE),
        ("mandatory", "hang_up", _DUTY, {}),
        ("mandatory", "hang_up", _DUTY, _REFUSE),
        ("mandatory", "hang_up", _DUTY, _ERASE),
        ("mandatory", "hang_up", _OFFER, _OBJECT),
    ]
} | {"first_contact": _TOLD_ONCE}


@cache
def _explored(kind: str) -> Exploration:
    found = explore(campaign(**_KINDS[kind]))
    print(f"{kind}: {found.states} states, {found.transitions} transitions")
    return found


@pytest.fixture(params=_KINDS)
def found(request: pytest.FixtureRequest) -> Exploration:
    return _explored(request.param)


def test_the_walk_goes_all_the_way(found: Exploration) -> None:
    """A walk that ends early would find nothing wrong with anything."""
    assert found.outcomes >= set(Outcome) - {Outcome.RIGHT_EXERCISED, Outcome.RECORDING_REFUSED}


def test_every_outcome_is_reached_by_some_campaign() -> None:
    reached = {outcome for kind in _KINDS for outcome in _explored(kind).outcomes}
    assert reached == set(Outcome)


def test_no_step_breaks_what_must_always_hold(found: Exploration) -> None:
    """On failure: what was broken, and the shortest way to it."""
    assert found.breaches == {}


def test_no_state_is_a_dead_end_or_goes_round_for_ever(found: Exploration) -> None:
    """From every state a world that behaves well from there on brings the call to its end."""
    assert found.dead_ends == []


def test_only_a_recorder_that_keeps_silent_leaves_the_end_to_the_timer(found: Exploration) -> None:
    assert {world.recorder for world in found.last_resorts} <= {"doubtful"}


def test_what_may_fail_or_belongs_to_nobody_changes_nothing(found: Exploration) -> None:
    assert found.stirred == []
