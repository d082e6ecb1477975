"""A call is copied as any dataclass is, but faster."""

import dataclasses

import pytest

from ccari.policy.call.state import Call, Leg, Stage, replace

_NAMES = [each.name for each in dataclasses.fields(Call)]
CALL = Call(**{name: f"the {name}" for name in _NAMES})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", _NAMES)
def test_a_copy_is_another_than_the_library_makes(name: str) -> None:
    made = replace(CALL, **{name: "another"})  # type: ignore[arg-type]
    assert made == dataclasses.replace(CALL, **{name: "another"})  # type: ignore[arg-type]
    assert (made == CALL, hash(made) == hash(CALL)) == (False, False)


def test_what_is_copied_changes_with_its_copy() -> None:
    before = Call()
    copy = replace(before, stage=Stage.TALK, callee=Leg.HERE)
    assert (before, copy) == (Call(), Call(stage=Stage.TALK, callee=Leg.HERE))


def test_a_copy_is_open_to_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        replace(Call(), refused=True).refused = False  # type: ignore[misc]


def test_what_no_call_has_is_dropped_in_silence() -> None:
    with pytest.raises(TypeError, match="a call has no refusal"):
        replace(Call(), refusal=True)  # type: ignore[call-arg]
