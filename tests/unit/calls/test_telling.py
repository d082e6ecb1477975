"""What the dialplan is told about a call, and when it is told again."""

import contextlib

from ccari.errors import AsteriskError
from ccari.policy.call import Direction, Outcome
from ccari.policy.call import commands as do
from tests.unit.calls.talking import Talking


async def told(talking: Talking, outcome: Outcome) -> int:
    """How many requests it takes."""
    before = len(talking.asked)
    with contextlib.suppress(AsteriskError):
        await talking.actions.carry_out(do.TellDialplan(outcome, ""))
    return len(talking.asked) - before


async def test_the_dialplan_is_told_again_what_it_knows() -> None:
    """Each is a request, and takes Asterisk a moment: call, outcome and reason go in one, and later only what has
    changed.
    """
    talking = Talking(Direction.OUTBOUND)
    outcomes = (Outcome.UNAVAILABLE, Outcome.UNAVAILABLE, Outcome.BRIDGED)
    assert [await told(talking, each) for each in outcomes] == [1, 0, 1]


async def test_an_outcome_that_asterisk_may_have_set_is_taken_for_the_one_before() -> None:
    """The second one had no answer, so neither is known to be set."""
    talking = Talking(Direction.OUTBOUND)
    await told(talking, Outcome.UNAVAILABLE)
    talking.asterisk.refusals["setChannelVar"] = None
    await told(talking, Outcome.BRIDGED)
    talking.asterisk.refusals.clear()
    assert await told(talking, Outcome.UNAVAILABLE) == 1


async def test_a_value_with_a_comma_is_told_as_two() -> None:
    talking = Talking(Direction.OUTBOUND)
    await talking.ari.set_variables("phone-1", {"A": "1", "B": "2,3", "C": ""})
    assert talking.asterisk.set == [("A", "1"), ("B", "2,3"), ("C", "")]
