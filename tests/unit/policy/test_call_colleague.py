"""A call that an agent transfers: the colleague is told who the callee is."""

from typing import Any

import pytest

from ccari.policy.call import Party
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from tests.unit.policy.story import Story

CARD = do.ShowCard()


def handed_over(**changes: Any) -> Story:
    """The agent has left the call, and the colleague is being rung."""
    story = Story(transfer="PJSIP/{extension}", **changes).talk()
    assert story.commands.count(CARD) == 1
    told = story.send(on.TransferAsked("1002"))
    if do.HandOver("1002") not in told:
        told = story.send(on.RecorderStopped())
    assert do.HandOver("1002") in told
    return story


@pytest.mark.parametrize("on_transfer", ["continue", "repeat", "stop"])
def test_a_colleague_takes_a_call_over_without_its_card(on_transfer: str) -> None:
    story = handed_over(recording={"mode": "opt_out", "on_transfer": on_transfer})
    story.send(on.AgentCreated())
    # nobody is there yet who could read it
    assert story.commands.count(CARD) == 1
    assert story.send(on.AgentAnswered()).count(CARD) == 1


def test_a_colleague_who_does_not_answer_is_told_of_the_callee() -> None:
    story = handed_over(recording={"mode": "notice"})
    story.send(on.AgentCreated(), on.Gone(Party.AGENT, 17))
    assert story.commands.count(CARD) == 1
