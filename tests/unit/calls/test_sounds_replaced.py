"""Sounds that a build or an import replaces between the gate and the end of the notice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ccari.calls.ledger import Ledger, SoundsReplaced
from ccari.policy import notices
from ccari.policy.call import Direction
from ccari.policy.campaign import Information
from ccari.sounds.manifest import FILE_NAME, Manifest
from ccari.sounds.soundboard import shipped_sounds
from tests.unit.calls.talking import Talking
from tests.unit.sounds.test_heard_sounds import CAMPAIGN, CONTROLLER, Desk

FIRST_CONTACT = CAMPAIGN.model_copy(
    update={"notice": CAMPAIGN.notice.model_copy(update={"information": Information.FIRST_CONTACT})}
)
#: What somebody hears who was informed before.
(NOTICE,) = notices.sequence(FIRST_CONTACT, informed=True)


class Store:
    def __init__(self) -> None:
        self.heard: list[object] = []

    async def commit_heard(self, *what: object) -> None:
        self.heard.append(what)


async def was_heard(sounds: Desk, meanwhile: Callable[[], object] = lambda: None) -> bool:
    """The gate allows a call. ``meanwhile`` happens, and then the notice is over."""
    call, store, prompts = Talking(Direction.OUTBOUND), Store(), sounds.prompter
    desk = replace(call.desk, store=cast("Any", store), prompts=prompts)
    call.journal.opened()
    scripts = await prompts.scripts(CONTROLLER, FIRST_CONTACT)
    terms = replace(call.actions._terms, controller=CONTROLLER, campaign=FIRST_CONTACT, scripts=scripts)
    meanwhile()
    await Ledger(desk, call.journal).heard((NOTICE,), terms)
    return len(store.heard) == 1


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("ccari.sounds.prompter.ANSWER_SECONDS", 60.0)
    made = Desk(tmp_path, shipped_sounds())
    made.speak("anna")
    return made


@pytest.mark.parametrize("how", ["built", "spoilt", "one beside it"])
async def test_a_notice_is_on_record_with_other_sounds_than_were_heard(sounds: Desk, how: str) -> None:
    file = sounds.sounds / f"pl/renewals/{NOTICE}.sln12"
    meanwhile: dict[str, Callable[[], object]] = {
        "built": lambda: sounds.speak("bert"),
        "spoilt": lambda: file.write_bytes(bytes(file.stat().st_size)),
        "one beside it": lambda: file.with_suffix(".alaw").write_bytes(b"what Asterisk may like better"),
    }
    with pytest.raises(SoundsReplaced, match=f"pl/renewals/{NOTICE}"):
        await was_heard(sounds, meanwhile[how])


async def test_a_manifest_that_is_damaged_meanwhile_passes_for_a_fault_of_the_database(sounds: Desk) -> None:
    with pytest.raises(SoundsReplaced, match="damaged"):
        await was_heard(sounds, lambda: (sounds.sounds / FILE_NAME).write_text("{"))


async def test_a_sound_that_is_not_in_the_notice_ends_the_call(sounds: Desk) -> None:
    """A new policy gives the purpose other words, which are built: whoever was informed before is not told of it."""
    entries = dict(Manifest.load(sounds.sounds).entries)
    entries["pl/renewals/purpose"] = replace(entries["pl/renewals/purpose"], text="Other words.")
    assert await was_heard(sounds, lambda: Manifest(entries).save(sounds.sounds))
