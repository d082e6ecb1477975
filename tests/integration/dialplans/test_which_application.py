"""The shipped dialplan hands calls to the Stasis application that ``[asterisk] app`` names."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.lab import Lab
from tests.lab.foreign import ForeignPbx

pytestmark = pytest.mark.asyncio(loop_scope="session")

APP = "sales"
HANDED_OVER_SECONDS = 30.0


@contextlib.asynccontextmanager
async def named(pbx: ForeignPbx) -> AsyncIterator[aiohttp.ClientSession]:
    """Meanwhile, the PBX's admin has named the application."""
    await pbx.set_global("CCARI_APP", APP)
    try:
        async with aiohttp.ClientSession(headers=pbx.ari_headers) as session:
            yield session
    finally:
        await pbx.set_global("CCARI_APP", "")


async def handed_over(
    pbx: ForeignPbx, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse
) -> list[str]:
    """The arguments of the first call handed to the application; the call then ends."""
    async for message in socket:
        event = message.json()
        if event["type"] == "StasisStart":
            async with session.delete(f"{pbx.ari_url}/ari/channels/{event['channel']['id']}") as reply:
                reply.raise_for_status()
            return list(event["args"])
    raise AssertionError("the application was handed no call")


@pytest.mark.parametrize(
    ("context", "arguments"),
    [
        ("ccari-outbound", ["outbound", "+48600990071", "renewals"]),
        ("plain-did", ["inbound", "renewals"]),
        ("ccari-amd", ["callee", "MACHINE"]),
    ],
)
async def test_calls_are_handed_to_another_application_than_the_settings_name(
    lab: Lab, current: ForeignPbx, context: str, arguments: list[str]
) -> None:
    async with (
        named(current) as session,
        session.ws_connect(f"{current.ari_url}/ari/events", params={"app": APP}, timeout=aiohttp.ClientWSTimeout(ws_receive=HANDED_OVER_SECONDS)) as socket,
    ):  # fmt: skip
        if context == "ccari-amd":
            body = {"endpoint": "Local/s@lab-machine", "context": context, "extension": "s", "priority": 1}
            async with session.post(f"{current.ari_url}/ari/channels", json=body) as reply:
                assert reply.status == 200, await reply.text()
            assert await handed_over(current, session, socket) == arguments
        else:
            call = await lab.world.dial("+48600990071", context=context, campaign="renewals", pbx=current)
            assert await handed_over(current, session, socket) == arguments
            await call.ended()
