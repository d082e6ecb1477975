"""What is seen at the far end: what a callee, or an agent, has heard."""

import numpy as np

from tests.integration.studio import tone_of
from tests.lab import AgentCall, Callee, Lab, audio, callees
from tests.lab.audio import Audio

#: Well below a tone as it arrives (about -12 dBFS), well above what coding and packet loss leave.
PRESENT_DBFS = -30.0
ABSENT_DBFS = -45.0


def has(sound: Audio, hz: float) -> bool:
    return bool(sound.windows()) and float(np.max(sound.tone_levels(hz))) > PRESENT_DBFS


def lacks(sound: Audio, hz: float) -> bool:
    return not sound.windows() or float(np.max(sound.tone_levels(hz))) < ABSENT_DBFS


async def heard(lab: Lab, callee: Callee) -> Audio:
    """What a callee has heard in their last call, from the answer to the end."""
    return audio.read(await lab.world.heard_by(callee.number))


async def assert_never_brought_together(lab: Lab, callee: Callee, call: AgentCall) -> None:
    """Neither has heard the other; the agent's phone may never have been answered."""
    assert lacks(await heard(lab, callee), callees.AGENT_TONE_HZ)
    if call.answered_at is not None:
        assert lacks(audio.read(await lab.world.heard_by_agent(call)), callees.TONE_HZ)


async def was_told(lab: Lab, callee: Callee, prompt: str) -> bool:
    return has(await heard(lab, callee), tone_of(prompt))
