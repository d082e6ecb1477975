"""Somebody presses a key twice, as people do who get no immediate answer: the answer to the first begins during the second."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.ground import GONE_SECONDS, Ground, heard_on
from tests.integration.relay import relay
from tests.integration.test_keys_by_info import has_played, is_heard_to_the_end
from tests.lab import callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def in_a_row(ground: Ground) -> AsyncIterator[Ground]:
    """A laboratory whose telephones hold each key for 0.3 s, and press the next 0.2 s later."""
    world = ground.lab.world
    conf = world.home / "etc" / "extensions.conf"
    before = conf.read_text()
    conf.write_text(before.replace("SendDTMF(${ARG2})", "SendDTMF(${ARG2},200,300)"))
    assert conf.read_text() != before
    await world.cli("dialplan reload")
    yield ground


async def test_an_agent_is_deaf_to_a_callee_who_has_pressed_a_key_twice(in_a_row: Ground) -> None:
    callee, world = callees.answers(1), in_a_row.lab.world
    async with relay(in_a_row.lab.pbx.ari_url) as between, in_a_row.running(ari=between.url) as service:
        call, _ = await in_a_row.talk(service, callee)
        before = len(between.events)
        await world.callee_presses(callee.number, "22")
        await service.logged(lambda _: service.count("key_pressed") == 2)
        await until(lambda: has_played(between, before), within=GONE_SECONDS)
        await heard_on(world, callee)
        await world.hang_up(call)
        outcome, shown = await in_a_row.ended(service, call)
    assert (outcome.outcome, outcome.reason) == ("bridged", "recording_refused")
    assert [each["event"] for each in shown["events"]].count("key_pressed") == 2
    assert is_heard_to_the_end(await world.heard_by_agent(call), callees.TONE_HZ)
