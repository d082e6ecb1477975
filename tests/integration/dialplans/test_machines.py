"""Answering machines, from AMD to the message that is left."""

from uuid import uuid4

import aiohttp
import pytest

from tests.lab import Lab
from tests.lab.foreign import ForeignPbx

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Time for the greeting and AMD.
END_SECONDS = 60.0


async def test_a_machine_that_still_greets_is_spoken_to(lab: Lab, current: ForeignPbx) -> None:
    # nobody is behind Stasis here, so the channel is hung up when the dialplan hands it back
    call = str(uuid4())
    body = {
        "endpoint": "Local/s@lab-machine", "context": "ccari-amd", "extension": "s", "priority": 1,
        "variables": {"LAB_CALL": call, "CHANNEL(hangup_handler_push)": "lab-greeted,s,1"},
    }  # fmt: skip
    async with (
        aiohttp.ClientSession(headers=current.ari_headers) as session,
        session.post(f"{current.ari_url}/ari/channels/{call}", json=body) as reply,
    ):
        assert reply.status == 200, await reply.text()
    told = await current.outcome(call, within=END_SECONDS)
    assert (told.outcome, told.reason) == ("MACHINE", "greeted")
