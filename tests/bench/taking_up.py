"""How long a new service needs to take up the talks that a killed one left: ``make bench-taking-up``.

With that many recorded calls at once, from the start of the process until the last talk runs again.
"""

import asyncio
import os
import signal
import time

import pytest

from tests.integration.conftest import dsn, folder, ground, policy_file, sounds
from tests.integration.ground import Ground
from tests.lab import callees

__all__ = ["dsn", "folder", "ground", "policy_file", "sounds"]

pytestmark = pytest.mark.asyncio(loop_scope="session")

TALKS = int(os.environ.get("TALKS", "50"))


async def test_taking_up(ground: Ground) -> None:
    async with ground.running() as service:
        for serial in range(TALKS):
            await ground.dial(callees.answers(serial))
        await service.logged(lambda _: service.count("call_bridged") == TALKS, within=60)
        await service.stop(signal.SIGKILL)
    began = time.perf_counter()
    async with ground.running() as service:
        connected = await service.logged("asterisk_connected")
        await service.logged(lambda _: service.count("talk_resumed") == TALKS, within=60)
        whole = time.perf_counter() - began
        print(f"\n{connected['resumed_talks']} of {TALKS} talks: stock in {connected['stock_ms']} ms, all taken up "
              f"{whole:.2f} s after the process was started")  # fmt: skip
        await asyncio.gather(
            *(ground.lab.world.hang_up(call) for call in list(ground.lab.world.calls.values()))
        )
        await ground.nothing_left()
