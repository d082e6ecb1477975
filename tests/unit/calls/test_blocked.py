"""What an agent hears if the gate blocks the call, or could not be asked."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from ccari.calls.actions import Actions
from ccari.calls.order import Order
from ccari.errors import SoundError
from ccari.policy.call import Direction, Party
from ccari.policy.call import commands as do
from ccari.policy.declaration import Policy
from ccari.ports.policies import PolicyBook
from ccari.ports.sounds import Prompts, Sound
from tests.unit.calls.talking import IDLE_DESK, Talking
from tests.unit.policy.campaigns import CONTROLLER, campaign


class Shipped:
    """The sounds that come with ccari, which speaks no French."""

    async def common(self, prompt: str, language: str) -> Sound:
        if language == "fr":
            raise SoundError(f"{prompt} is not spoken in {language}")
        return Sound(f"sound:{language}/{prompt}", 1000, prompt)


def policy(language: str) -> Policy:
    return Policy(controllers=(CONTROLLER,), campaigns=(campaign(language=language),))


@pytest.mark.parametrize(
    ("declared", "asked", "heard"),
    [
        (policy("de"), "renewals", "de"),
        (policy("pl"), "renewals", "pl"),
        (policy("de"), "unheard-of", "pl"),
        (policy("fr"), "renewals", "pl"),
        (None, "renewals", "pl"),
    ],
)
async def test_an_agent_is_told_in_polish_of_a_blocked_call_of_a_german_campaign(
    declared: Policy | None, asked: str, heard: str
) -> None:
    talking = Talking(Direction.OUTBOUND)
    book = cast("PolicyBook", SimpleNamespace(policy=declared))
    desk = replace(IDLE_DESK, ari=talking.ari, book=book, prompts=cast("Prompts", Shipped()))
    order = Order(Direction.OUTBOUND, "+48600100001", asked, "anna", channel="phone-1")
    actions = Actions(order, talking.ids, desk, talking.journal)
    await actions.carry_out(do.Play(Party.AGENT, "agent_blocked_policy"))
    assert talking.asked == [("play", f"sound:{heard}/agent_blocked_policy")]
