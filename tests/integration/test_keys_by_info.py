"""Keys that telephones send as SIP INFO, as those in browsers do: Asterisk reports one at once, and then plays it to the other party."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.ground import GONE_SECONDS, Ground, heard_on
from tests.integration.relay import Relay, relay
from tests.lab import audio, callees
from tests.lab.audio import PRESENT_DBFS
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

RELOAD_SECONDS = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def by_info(ground: Ground) -> AsyncIterator[Ground]:
    """A laboratory whose telephones all send keys as SIP INFO."""
    world = ground.lab.world
    conf = world.home / "etc" / "pjsip.conf"
    conf.write_text(conf.read_text().replace("dtmf_mode = rfc4733", "dtmf_mode = info"))
    await world.cli("module reload res_pjsip.so")

    async def is_set() -> bool:
        shown = await world.cli("pjsip show endpoint pbx")
        return "info" in shown.partition("\n dtmf_mode")[2].partition("\n")[0]

    await until(is_set, within=RELOAD_SECONDS)
    yield ground


def is_heard_to_the_end(file: Path, hz: float) -> bool:
    """Whether somebody heard a tone until they hung up: all of the last second, except what was still on its way."""
    sound = audio.read(file)
    levels = sound.between(sound.seconds - 1, sound.seconds - 0.2).tone_levels(hz)
    return bool((levels > PRESENT_DBFS).all())


def has_played(between: Relay, since: int) -> bool:
    """Whether Asterisk has played something to its end since this event."""
    return any(each["type"] == "PlaybackFinished" for each in between.events[since:])


async def test_an_agent_is_deaf_to_a_callee_who_has_pressed_a_key(by_info: Ground) -> None:
    callee, world = callees.answers(2), by_info.lab.world
    async with relay(by_info.lab.pbx.ari_url) as between, by_info.running(ari=between.url) as service:
        call, _ = await by_info.talk(service, callee)
        before = len(between.events)
        await world.callee_presses(callee.number, "2")
        await until(lambda: has_played(between, before), within=GONE_SECONDS)
        await heard_on(world, callee)
        await world.hang_up(call)
        outcome, _ = await by_info.ended(service, call)
    assert (outcome.outcome, outcome.reason) == ("bridged", "recording_refused")
    assert is_heard_to_the_end(await world.heard_by_agent(call), callees.TONE_HZ)


async def test_a_callee_is_deaf_to_an_agent_who_has_entered_a_code(by_info: Ground) -> None:
    callee = callees.answers(1)
    async with by_info.running() as service:
        call = await by_info.dial(callee, agent="presses-*1-1-*2-3-4")
        _, shown = await by_info.ended(service, call)
    codes = [each["fields"]["code"] for each in shown["events"] if each["event"] == "agent_code_entered"]
    assert codes == ["*1", "*2"]
    assert is_heard_to_the_end(await by_info.lab.world.heard_by(callee.number), callees.AGENT_TONE_HZ)
