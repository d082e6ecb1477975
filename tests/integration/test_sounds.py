"""The built files as a real Asterisk plays them, to telephones of each codec."""

import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from ccari.policy.notices import Prompt
from ccari.sounds import EspeakNg, Manifest, build
from tests.integration.test_lab import Ari, ari
from tests.lab import Lab, audio, callees, laboratory
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAYED_SECONDS = 45.0
TONE_SECONDS = 2.0
#: What the file of each codec sounds in the test, to know which of them was played.
TONES = {"alaw": 1130.0, "g722": 1870.0}
#: Of a tone at the prompts' loudness, as it arrives; and what the coding leaves beside it.
PRESENT_DBFS, BESIDE_DBFS = -25.0, -45.0
EDGE_WINDOWS = 2


@pytest.fixture(scope="module")
def prompt(folder: Path) -> Path:
    """A prompt as the build makes it, but that its two files sound differently."""
    made = folder / "codecs"
    for ending, hz in TONES.items():
        times = np.arange(round(TONE_SECONDS * 16000)) / 16000
        path = made / f"studio-{ending}/pl/goodbye.wav"
        path.parent.mkdir(parents=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes((0.3 * np.sin(2 * np.pi * hz * times) * 32767).astype("<i2").tobytes())
        goodbye = Prompt("goodbye", "pl", "Do widzenia.")
        build([goodbye], made / ending, engine=EspeakNg(), studio=made / f"studio-{ending}")
    (made / "g722/pl/goodbye.g722").rename(made / "alaw/pl/goodbye.g722")
    return made / "alaw"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def playing(prompt: Path) -> AsyncIterator[Lab]:
    async with laboratory(host_folders=[prompt]) as lab:
        yield lab


async def played(pbx: Ari, playback: str) -> bool:
    """Whether a playback is over: then Asterisk forgets it."""
    return "message" in await pbx.get(f"playbacks/{playback}")


@pytest.mark.parametrize(("codec", "file"), [("alaw", "alaw"), ("ulaw", "alaw"), ("g722", "g722")])
async def test_a_telephone_hears_the_file_of_its_own_codec_whole(
    playing: Lab, prompt: Path, codec: str, file: str
) -> None:
    """A file that Asterisk cannot decode is noise or silence; one for another codec is coded twice."""
    callee = callees.silent(["alaw", "ulaw", "g722"].index(codec))
    async with ari(playing) as pbx:
        endpoint = f"PJSIP/{callee.number}@trunk"
        await pbx.post("channels/create", endpoint=endpoint, app="lab-test", channelId=codec)
        await pbx.event("StasisStart", codec)
        await pbx.post(
            f"channels/{codec}/variable", variable="PJSIP_MEDIA_OFFER(audio)", value=f"!all,{codec}"
        )
        await pbx.post(f"channels/{codec}/dial", timeout="30")
        await pbx.until_up(codec)
        channel = await pbx.get(f"channels/{codec}")
        assert f"NativeFormats: ({codec})" in await playing.pbx.cli(f"core show channel {channel['name']}")
        await pbx.post(f"channels/{codec}/play/{codec}-said", media=f"sound:{prompt}/pl/goodbye")
        await until(lambda: played(pbx, f"{codec}-said"), within=PLAYED_SECONDS)
        await pbx.hang_up(codec)
    heard = audio.read(await playing.world.heard_by(callee.number))
    levels = heard.tone_levels(TONES[file])
    (at,) = np.nonzero(levels > PRESENT_DBFS)
    length = Manifest.load(prompt).entry("pl/goodbye").duration_ms / 1000
    assert len(at) * audio.WINDOW_SECONDS == pytest.approx(length - 0.2, abs=0.25)
    inside = slice(at[0] + EDGE_WINDOWS, at[-1] + 1 - EDGE_WINDOWS)
    assert (heard.other_levels([TONES[file]])[inside] < BESIDE_DBFS).all()
