"""What a callee, or an agent, has heard at the far end."""

from tests.integration.studio import tone_of
from tests.lab import AgentCall, Callee, Lab, audio, callees
from tests.lab.audio import Audio, has, lacks


async def heard(lab: Lab, callee: Callee) -> Audio:
    """What a callee heard in their last call, from the answer to the end."""
    return audio.read(await lab.world.heard_by(callee.number))


async def assert_never_brought_together(lab: Lab, callee: Callee, call: AgentCall) -> None:
    """Neither heard the other; the agent's phone may never have been answered."""
    assert lacks(await heard(lab, callee), callees.AGENT_TONE_HZ)
    if call.answered_at is not None:
        assert lacks(audio.read(await lab.world.heard_by_agent(call)), callees.TONE_HZ)


async def was_told(lab: Lab, callee: Callee, prompt: str) -> bool:
    return has(await heard(lab, callee), tone_of(prompt))
