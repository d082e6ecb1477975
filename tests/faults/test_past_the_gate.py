"""The far end, or the agent's phone, asks for a call to somebody other than the gate allowed."""

import pytest

from tests.integration.ground import Ground
from tests.integration.service import Service
from tests.lab import Callee, callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFERRED_SECONDS = 30.0


async def barred(service: Service, callee: Callee) -> Callee:
    await service.succeeds("suppress", "add", callee.number, "--reason", "erasure")
    return callee


async def test_invariant_1_a_redirection_leads_to_a_number_that_is_barred(ground: Ground) -> None:
    """Case 13: a 302."""
    callee = callees.redirects(1)
    async with ground.running() as service:
        target = await barred(service, callees.answers(1))
        outcome, shown = await ground.ended(service, await ground.dial(callee))
        assert (outcome.outcome, outcome.reason) == ("failed", "redirected")
        assert shown["recordings"] == []
        await ground.nothing_left()
    assert await ground.lab.world.invites(callee.number) == 1
    assert await ground.lab.world.invites(target.number) == 0


async def test_invariant_1_a_transfer_leads_to_a_number_that_is_barred(ground: Ground) -> None:
    """Case 13: a REFER from the agent's phone. It is refused, and the talk goes on."""
    callee = callees.answers(2)
    async with ground.running() as service:
        target = await barred(service, callees.answers(3))
        placed = await ground.dial(callee, agent=f"refers-{target.digits}-1")
        refused = await service.logged("transfer_refused")
        told = f"REFER {target.digits} FAILURE"
        await until(lambda: told in ground.lab.world.log.read_text(), within=REFERRED_SECONDS)
        assert placed.ended_at is None
        assert "call_ended" not in service.of_call(refused["call_id"])
        await ground.lab.world.hang_up(placed)
        outcome, _ = await ground.ended(service, placed)
        assert outcome.outcome == "bridged"
        await ground.nothing_left()
    assert await ground.lab.world.invites(callee.number) == 1
    assert await ground.lab.world.invites(target.number) == 0


async def test_a_callee_whom_somebody_leads_away_is_recorded_elsewhere_or_leaves_the_agent_in_silence(
    ground: Ground,
) -> None:
    """As an operator panel does over AMI (Redirect, Park): Asterisk reports no end of the call."""
    async with ground.running() as service:
        placed, call_id = await ground.talk(service, callees.answers(5))
        answer = await ground.lab.pbx.cli(f"channel redirect ccari-{call_id}-callee lab-waiting,s,1")
        assert "successfully redirected" in answer
        outcome, shown = await ground.ended(service, placed)
        assert outcome.outcome == "bridged"
        assert "leg_led_away" in [each["event"] for each in shown["events"]]
        await ground.nothing_left()


async def test_a_phone_that_takes_an_agents_call_over_leaves_the_callee_in_silence_with_a_recorder(
    ground: Ground,
) -> None:
    """An INVITE with Replaces, which Asterisk obeys: nobody has told the new party that the call is recorded."""
    async with ground.running() as service:
        placed = await ground.dial(callees.answers(4))
        await service.logged("call_bridged")
        await ground.lab.world.take_over(placed)
        outcome, _ = await ground.ended(service, placed)
        assert outcome.outcome == "bridged"
        assert any(line["event"] == "leg_replaced" for line in service.lines())
        await ground.nothing_left()
