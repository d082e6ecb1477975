"""The SIP status with which the shipped dialplan refuses a call: many carriers take 503 to mean that the gateway is
down.
"""

import contextlib
import itertools
from collections.abc import AsyncIterator

import pytest

from tests.integration.dialplans.pbxs import away
from tests.integration.dialplans.test_inbound_through_pbxs import asked_first
from tests.integration.service import Service
from tests.lab import Lab
from tests.lab.foreign import ForeignPbx

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORBIDDEN, GONE, UNAVAILABLE, DECLINED = 403, 410, 503, 480
_NUMBERS = itertools.count(80)


@contextlib.asynccontextmanager
async def chosen(pbx: ForeignPbx, **causes: str) -> AsyncIterator[None]:
    """Meanwhile, the admin has set these global variables."""
    for name, value in causes.items():
        await pbx.set_global(name, value)
    try:
        yield
    finally:
        for name in causes:
            await pbx.set_global(name, "")


async def refused(lab: Lab, pbx: ForeignPbx, number: str, context: str, campaign: str = "renewals") -> int:
    """Place one call and wait for its end; returns the SIP status received."""
    call = await lab.world.dial(number, context=context, campaign=campaign, pbx=pbx)
    await call.ended()
    return await lab.world.status(number)


@pytest.mark.parametrize(
    ("causes", "status"), [({}, FORBIDDEN), ({"CCARI_CAUSE_REFUSED": "22"}, GONE)], ids=["default", "chosen"]
)
async def test_a_refusal_of_the_number_is_told_as_a_gateway_that_is_down(
    lab: Lab, current: ForeignPbx, causes: dict[str, str], status: int
) -> None:
    async with chosen(current, **causes):
        assert await refused(lab, current, "+48600990072a", "ccari-outbound") == status


@pytest.mark.parametrize("context", ["ccari-outbound", "plain-did", "agi-did"])
@pytest.mark.parametrize(
    ("causes", "status"),
    [({}, UNAVAILABLE), ({"CCARI_CAUSE_AWAY": "19"}, DECLINED)],
    ids=["default", "chosen"],
)
async def test_a_service_that_is_away_is_told_as_something_else(
    lab: Lab, service: Service, current: ForeignPbx, context: str, causes: dict[str, str], status: int
) -> None:
    # one of its own each time: the world tells of the last answer to a number
    number = f"4860099{next(_NUMBERS):04}"
    async with chosen(current, **causes), asked_first(current), current.asking(away()):
        assert await refused(lab, current, number, context) == status
