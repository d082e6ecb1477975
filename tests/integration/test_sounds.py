"""The built file as a real Asterisk plays it, to telephones of each codec."""

import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from ccari.policy.wording import Prompt
from ccari.sounds import EspeakNg, Manifest, build
from tests.integration.ground import heard_on
from tests.integration.test_lab import Ari, ari
from tests.lab import Callee, Lab, audio, callees, laboratory
from tests.lab.audio import Audio
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAYED_SECONDS = 45.0
TONE_SECONDS = 2.0
#: The tones of the prompt: the second is above a narrowband telephone's range, and aliased it would be heard as 2800
#: Hz.
TONE_HZ, SIBILANT_HZ = 1130.0, 5200.0
#: The level of a tone at the prompts' loudness, as it arrives; and the level of coding noise beside it.
PRESENT_DBFS, BESIDE_DBFS = -25.0, -45.0
EDGE_WINDOWS = 2
#: How many packets have come from the other party when a prompt begins.
FLOWING_PACKETS = 10
#: How long the other party must be heard again after a prompt.
HEARD_AGAIN_SECONDS = 1.0
HEARINGS = 3


@pytest.fixture(scope="module")
def prompt(folder: Path) -> Path:
    """A prompt that the build made from tones."""
    made = folder / "tones"
    times = np.arange(round(TONE_SECONDS * 16000)) / 16000
    samples = 0.3 * np.sin(2 * np.pi * TONE_HZ * times) + 0.1 * np.sin(2 * np.pi * SIBILANT_HZ * times)
    path = made / "studio/pl/goodbye.wav"
    path.parent.mkdir(parents=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    goodbye = Prompt("goodbye", "pl", "Do widzenia.")
    build([goodbye], made / "sounds", engine=EspeakNg(), studio=made / "studio")
    return made / "sounds"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def playing(prompt: Path) -> AsyncIterator[Lab]:
    async with laboratory(host_folders=[prompt]) as lab:
        yield lab


async def called(pbx: Ari, callee: Callee, codec: str) -> None:
    """Call somebody whose telephone has one codec, on a channel named after their digits."""
    channel = callee.digits
    await pbx.post(
        "channels/create", endpoint=f"PJSIP/{callee.number}@trunk", app="lab-test", channelId=channel
    )
    await pbx.event("StasisStart", channel)
    await pbx.post(f"channels/{channel}/variable", variable="PJSIP_MEDIA_OFFER(audio)", value=f"!all,{codec}")
    await pbx.post(f"channels/{channel}/dial", timeout="30")
    await pbx.until_up(channel)


async def play(pbx: Ari, callee: Callee, prompt: Path) -> None:
    """Play the prompt to its end."""
    playback = f"{callee.digits}-said"

    async def is_over() -> bool:
        """When it is over, Asterisk forgets it."""
        return "message" in await pbx.get(f"playbacks/{playback}")

    await pbx.post(f"channels/{callee.digits}/play/{playback}", media=f"sound:{prompt}/pl/goodbye")
    await until(is_over, within=PLAYED_SECONDS)


async def hears(pbx: Ari, callee: Callee) -> None:
    """Wait until packets are sent to somebody."""
    count = f"channels/{callee.digits}/variable?variable=CHANNEL(rtcp,txcount)"

    async def is_sent_to() -> bool:
        return int((await pbx.get(count))["value"]) > FLOWING_PACKETS

    await until(is_sent_to, within=PLAYED_SECONDS)


def where_played(heard: Audio, prompt: Path) -> slice:
    """The windows between which the prompt is heard; all of it must be."""
    (at,) = np.nonzero(heard.tone_levels(TONE_HZ) > PRESENT_DBFS)
    length = Manifest.load(prompt).entries["pl/goodbye"].duration_ms / 1000
    assert len(at) * audio.WINDOW_SECONDS == pytest.approx(length - 0.2, abs=0.25)
    return slice(at[0] + EDGE_WINDOWS, at[-1] + 1 - EDGE_WINDOWS)


@pytest.mark.parametrize("codec", ["alaw", "ulaw", "g722"])
async def test_a_telephone_of_each_codec_hears_a_prompt_whole_and_nothing_beside_it(
    playing: Lab, prompt: Path, codec: str
) -> None:
    """A file that Asterisk cannot decode is noise or silence; one that is resampled badly has other tones beside its
    own, from beginning to end, every time. If the machine stalls for a moment, a packet is missing once.
    """
    callee = callees.silent(["alaw", "ulaw", "g722"].index(codec))
    for _ in range(HEARINGS):
        heard = await said_to(callee, codec, playing, prompt)
        if (heard.other_levels([TONE_HZ])[where_played(heard, prompt)] < BESIDE_DBFS).all():
            return
    pytest.fail(f"something else than the prompt was heard {HEARINGS} times")


async def said_to(callee: Callee, codec: str, playing: Lab, prompt: Path) -> Audio:
    """What the callee hears to whom the prompt is played."""
    async with ari(playing) as pbx:
        await called(pbx, callee, codec)
        channel = await pbx.get(f"channels/{callee.digits}")
        assert f"NativeFormats: ({codec})" in await playing.pbx.cli(f"core show channel {channel['name']}")
        await play(pbx, callee, prompt)
        await pbx.hang_up(callee.digits)
    return audio.read(await playing.world.heard_by(callee.number))


async def test_whoever_hears_a_prompt_in_a_talk_with_a_telephone_of_another_rate_hears_it_and_then_the_other(
    playing: Lab, prompt: Path
) -> None:
    """Debian's Asterisk drops frames by their sequence numbers if it converts both sources in the same way: those of
    the file, or else the other party's after it.
    """
    listener, talker = callees.silent(3), callees.answers(0)
    async with ari(playing) as pbx:
        await called(pbx, listener, "g722")
        await called(pbx, talker, "alaw")
        await pbx.post("bridges/talk", type="mixing")
        await pbx.post("bridges/talk/addChannel", channel=f"{listener.digits},{talker.digits}")
        await hears(pbx, listener)
        await play(pbx, listener, prompt)
        await heard_on(playing.world, listener)
        for each in (talker, listener):
            await pbx.hang_up(each.digits)
    heard = audio.read(await playing.world.heard_by(listener.number))
    again = heard.tone_levels(callees.TONE_HZ)[where_played(heard, prompt).stop :]
    assert np.count_nonzero(again > PRESENT_DBFS) * audio.WINDOW_SECONDS >= HEARD_AGAIN_SECONDS
