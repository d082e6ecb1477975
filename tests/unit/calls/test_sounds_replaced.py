"""Sounds that a build or an import replaces between the gate and the end of the notice."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from ccari.calls.ledger import Ledger, SoundsReplaced
from ccari.errors import SoundError
from ccari.policy.call import Direction
from ccari.ports.sounds import Script, Sound
from tests.unit.calls.talking import Talking

NOTICE = ("identity", "recording_notice")


def script(**audio: str) -> Script:
    """A script with the digest of each prompt's audio."""
    known = dict.fromkeys((*NOTICE, "right_failed"), "as at the gate") | audio
    sounds = {prompt: Sound(f"sound:{prompt}", 900, prompt, digest) for prompt, digest in known.items()}
    return Script(sounds, {NOTICE: "version"})


class Prompts:
    """The sounds as they are now; None: they say other words than the policy."""

    def __init__(self, now: Script | None) -> None:
        self._now = now

    async def scripts(self, *_: object, heard: bool) -> Mapping[str, Script]:
        assert heard, "a disk that hangs would end calls"
        if self._now is None:
            raise SoundError("the sound says other words than the policy")
        return {"pl": self._now, "en": script(identity="of another language")}


class Store:
    def __init__(self) -> None:
        self.heard: list[object] = []

    async def commit_heard(self, *what: object) -> None:
        self.heard.append(what)


async def commit(now: Script | None) -> Store:
    """The notice was played, and the sounds are as they are ``now``."""
    call, store = Talking(Direction.OUTBOUND), Store()
    desk = replace(call.desk, store=cast("Any", store), prompts=cast("Any", Prompts(now)))
    call.journal.opened()
    terms = replace(call.actions._terms, scripts={"pl": script()})
    await Ledger(desk, call.journal).heard(NOTICE, terms)
    return store


@pytest.mark.parametrize("now", [script(recording_notice="recorded anew"), None], ids=["audio", "words"])
async def test_a_notice_is_on_record_with_other_sounds_than_were_heard(now: Script | None) -> None:
    with pytest.raises(SoundsReplaced):
        await commit(now)


async def test_a_sound_that_the_notice_lacks_makes_it_doubtful() -> None:
    store = await commit(script(right_failed="recorded anew"))
    assert len(store.heard) == 1
