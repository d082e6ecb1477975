"""PostgreSQL is stopped or killed, or its answer changes, between the gate and the dial: nobody is called."""

import pytest

from tests.faults.moments import Moment, request
from tests.faults.postgres import OwnPostgres
from tests.integration.ground import Ground
from tests.integration.relay import relay
from tests.integration.service import START_SECONDS, Service
from tests.integration.studio import tone_of
from tests.lab import AgentCall, Callee, audio, callees
from tests.lab.audio import has
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def agent_was_told(ground: Ground, call: AgentCall, prompt: str) -> bool:
    return has(audio.read(await ground.lab.world.heard_by_agent(call)), tone_of(prompt))


async def gets_through(ground: Ground, service: Service, callee: Callee) -> bool:
    outcome, _ = await ground.ended(service, await ground.dial(callee, agent="drops-1"))
    return outcome.outcome == "bridged" and await ground.lab.world.invites(callee.number) == 1


async def test_invariant_1_a_gate_whose_database_hangs_lets_a_call_through(
    ground: Ground, postgres: OwnPostgres
) -> None:
    """Case 11: stopped at the gate. The agent is told within seconds, and PostgreSQL's answer after it is resumed is
    too late.
    """
    callee = callees.answers(1)
    async with ground.running(url=postgres.dsn) as service:
        with postgres.stopped():
            placed = await ground.dial(callee)
            await placed.ended()
            outcome = await ground.lab.pbx.outcome(placed.id)
            assert (outcome.outcome, outcome.reason) == ("unavailable", "store_unavailable")
        assert await agent_was_told(ground, placed, "agent_unavailable")
        assert await gets_through(ground, service, callees.answers(2))
        await ground.nothing_left()
    assert await ground.lab.world.invites(callee.number) == 0


async def test_invariant_1_a_database_that_hangs_between_gate_and_dial_lets_a_call_through(
    ground: Ground, postgres: OwnPostgres
) -> None:
    """Case 11: stopped when the gate has allowed the call and its dial token is not yet spent."""
    callee = callees.answers(7)
    async with (
        relay(ground.lab.pbx.ari_url) as between,
        ground.running(ari=between.url, url=postgres.dsn) as service,
    ):
        moment = Moment(between, request("channels/create"))
        placed = await ground.dial(callee)
        await moment.reached()
        with postgres.stopped():
            moment.go_on()
            await placed.ended()
            outcome = await ground.lab.pbx.outcome(placed.id)
            assert (outcome.outcome, outcome.reason) == ("unavailable", "store_unavailable")
        await until(lambda: "call_ended" in service.of_call(outcome.call), within=START_SECONDS)
        await ground.nothing_left()
    assert await ground.lab.world.invites(callee.number) == 0


async def test_invariant_1_a_database_that_dies_between_gate_and_dial_lets_a_call_through(
    ground: Ground, postgres: OwnPostgres
) -> None:
    """Case 11: killed when the gate has allowed the call and its dial token is not yet spent."""
    callee, meanwhile = callees.answers(3), callees.answers(4)
    async with (
        relay(ground.lab.pbx.ari_url) as between,
        ground.running(ari=between.url, url=postgres.dsn) as service,
    ):
        moment = Moment(between, request("channels/create"))
        placed = await ground.dial(callee)
        await moment.reached()
        await postgres.kill()
        moment.go_on()
        # nobody waits in silence until it is back
        await placed.ended()
        refused = await ground.dial(meanwhile)
        await refused.ended()
        for call in (placed, refused):
            told = await ground.lab.pbx.outcome(call.id)
            assert (told.outcome, told.reason) == ("unavailable", "store_unavailable")
        await postgres.start()
        await service.logged("lock_regained", within=START_SECONDS)
        assert service.count("asterisk_connected") == 1
        await ground.nothing_left()
        for each in (callee, meanwhile):
            assert await ground.lab.world.invites(each.number) == 0
        assert await gets_through(ground, service, callees.answers(5))


async def test_invariant_1_a_number_that_was_barred_after_the_gate_is_dialled(ground: Ground) -> None:
    """Case 12: the bar is entered when the gate has allowed the call and its channel is about to be created."""
    callee = callees.answers(6)
    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        moment = Moment(between, request("channels/create"))
        placed = await ground.dial(callee)
        await moment.reached()
        await service.succeeds("suppress", "add", callee.number, "--reason", "do_not_call")
        moment.go_on()
        outcome, shown = await ground.ended(service, placed)
        assert (outcome.outcome, outcome.reason) == ("blocked", "suppressed_do_not_call")
        assert "call_gated" in [each["event"] for each in shown["events"]]
        assert shown["dialled_at"] is None
        assert await agent_was_told(ground, placed, "agent_blocked_suppressed")
        await ground.nothing_left()
    assert await ground.lab.world.invites(callee.number) == 0
