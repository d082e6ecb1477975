"""Who is to be rung for a call that names a destination, at the gate of a running service."""

from uuid import uuid4

import pytest

from ccari.calls.desk import Desk
from ccari.calls.order import Order
from ccari.gating.gatekeeper import Gatekeeper
from ccari.gating.journal import Journal
from ccari.gating.terms import Terms
from ccari.policy.call import Direction
from ccari.policy.gate import Block
from ccari.store.opened import Store
from tests.unit.store.made import NUMBER, POLICY
from tests.unit.store.test_gatekeeper import desk

__all__ = ["desk"]


def connecting(agent: str) -> str:
    """The policy with whoever its campaign rings as the agent."""
    return POLICY.replace("[campaigns.recording]", f'agent = "{agent}"\n[campaigns.recording]')


async def verdict(desk: Desk, direction: Direction, destination: str | None) -> Terms | Block:
    order = Order(direction, NUMBER.e164, "renewals", "renewals", destination)
    keeper = Gatekeeper(order, desk, Journal(uuid4(), order.agent))
    return await (keeper.admit() if direction is Direction.INBOUND else keeper.ask())


@pytest.mark.parametrize("direction", [Direction.AGENT_FIRST, Direction.INBOUND])
@pytest.mark.parametrize(
    "name",
    ["48600100002", "48-600-100-002", "+112", "x6y0z0x1y0z0x0"],
    ids=["plain", "with dashes", "with a plus", "between letters"],
)
async def test_a_number_that_no_gate_was_asked_about_is_rung_as_the_agent(
    desk: Desk, store: Store, direction: Direction, name: str
) -> None:
    await store.policies.apply(connecting("PJSIP/{agent}@trunk"), "test")
    assert await verdict(desk, direction, name) is Block.BAD_ARGUMENTS
    own = await verdict(desk, direction, "100001")
    assert isinstance(own, Terms)
    assert own.agent_string == "PJSIP/100001@trunk"
