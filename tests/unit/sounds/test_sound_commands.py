"""``ccari sounds``, run as a person runs it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ccari.errors import SoundError
from ccari.policy import wording
from ccari.policy.declaration import read
from ccari.policy.wording import Prompt
from ccari.sounds import EspeakNg, build
from ccari.sounds.locking import lock_folder
from ccari.sounds.soundboard import Soundboard
from tests.integration.service import Done, Service

#: Everything that its calls say comes with ccari, except the name of the campaign's controller.
POLICY = """
[[controllers]]
id = "acme"
name = "ACME GmbH"
country = "DE"
dpo = "dsb@acme.example"

[[campaigns]]
id = "renewals"
controller = "acme"
purpose = "Vertragsverlängerung"
legal_basis = "contract"
data_source = "Vertrag mit ACME"
language = "de"
dial = "PJSIP/{number}@trunk"
recording = { mode = "off" }
notice = { prompts = ["identity"] }
"""
IDENTITY = "Guten Tag. Wir rufen im Auftrag des für Ihre Daten Verantwortlichen an: ACME GmbH."


@dataclass(frozen=True)
class Desk:
    """A data folder, a policy file, and a folder for what a studio delivers."""

    home: Path

    @property
    def sounds(self) -> Path:
        return self.home / "data/sounds"

    @property
    def policy(self) -> Path:
        return self.home / "policy.toml"

    @property
    def delivered(self) -> Path:
        return self.home / "delivered"

    async def ccari(self, *arguments: str) -> Done:
        service = Service({"CCARI_DATA_DIR": str(self.home / "data")}, self.home / "log", self.home / "err")
        return await service.ccari("sounds", *arguments)

    async def listed(self) -> dict[str, dict[str, Any]]:
        done = await self.ccari("list", "--json", "--policy", str(self.policy))
        assert (done.code, done.err) == (0, "")
        return {row["key"]: row for row in json.loads(done.out)}

    def speak(self, name: str, text: str) -> None:
        (self.delivered / name).parent.mkdir(parents=True, exist_ok=True)
        EspeakNg().speak(text, "de", self.delivered / name)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "policy.toml").write_text(POLICY, encoding="utf-8")
    return Desk(tmp_path)


async def test_a_missing_sound_is_listed_before_a_callee_waits_for_it(desk: Desk) -> None:
    fault = f"de/renewals/identity: no such sound in {desk.sounds}: ccari sounds build"
    rows = await desk.listed()
    lacking = {key: row["fault"] for key, row in rows.items() if row["fault"]}
    assert lacking == {"de/renewals/identity": fault}
    assert rows["de/renewals/identity"]["text"] == IDENTITY
    # what is the same in every campaign comes with ccari
    assert rows["de/goodbye"]["origin"].startswith("espeak-ng")
    told = await desk.ccari("list", "--policy", str(desk.policy))
    assert (told.code, told.err) == (0, f"ccari: {fault}\n")
    made = await desk.ccari("build", "--policy", str(desk.policy))
    assert made.code == 0
    # and no line for a progress bar that nobody sees
    assert [line.partition(" in ")[0] for line in made.out.splitlines()] == [f"{len(rows)} prompts are"]
    assert not [row for row in (await desk.listed()).values() if row["fault"]]


@pytest.mark.parametrize("lacking", ["de", "uk"])
def test_a_sound_that_one_language_of_a_campaign_lacks_blocks_it(
    desk: Desk, shipped: Path, engine: EspeakNg, lacking: str
) -> None:
    """``policy check`` asks the same; a callee would notice it in the middle of the notice."""
    policy = read(POLICY.replace('language = "de"', 'language = "de"\nlanguages = ["uk"]').replace(
        'prompts = ["identity"] }', 'prompts = ["identity"] }\nkeys = { "0" = "language" }'))  # fmt: skip
    board = Soundboard(desk.sounds, shipped)
    (campaign,) = policy.campaigns
    prompts = [
        each
        for language in campaign.spoken
        for each in wording.prompts(policy.controller_of(campaign), campaign, board.catalogue, language)
        if each.campaign
    ]
    build([each for each in prompts if each.language != lacking], desk.sounds, engine=engine)
    with pytest.raises(SoundError, match=f"^{lacking}/renewals/.*: no such sound in .*: ccari sounds build$"):
        board.scripts(policy.controller_of(campaign), campaign)
    build(prompts, desk.sounds, engine=engine)
    assert set(board.scripts(policy.controller_of(campaign), campaign)) == {"de", "uk"}


async def test_a_bad_recording_keeps_the_good_ones_out_unless_one_goes_on(desk: Desk) -> None:
    desk.speak("de/goodbye.wav", "Vielen Dank. Auf Wiederhören.")
    desk.speak("de.renewals.identity.wav", "Guten Tag.")
    arguments = ("import", str(desk.delivered), "--policy", str(desk.policy))
    refused = await desk.ccari(*arguments)
    assert refused.code == 1
    assert refused.out == "good    de/goodbye.wav\n"
    why, nothing = refused.err.splitlines()
    assert why.startswith("refused de.renewals.identity.wav: too short: ")
    assert nothing == (
        "ccari: nothing was changed: 1 of 2 recordings are refused: correct them, or import the rest with --keep-going"
    )
    assert not desk.sounds.exists()
    taken = await desk.ccari(*arguments, "--keep-going")
    assert (taken.code, taken.err) == (0, f"{why}\n")
    assert taken.out.endswith("1 recording replaces the synthetic voice, 1 was refused\n")
    rows = await desk.listed()
    assert (rows["de/goodbye"]["origin"], rows["de/renewals/identity"]["origin"]) == ("studio", None)


async def test_what_a_studio_calls_its_files_controls_the_terminal(desk: Desk) -> None:
    desk.speak("de/x\x1b[2K\rgood\u202e.wav", IDENTITY)
    done = await desk.ccari("import", str(desk.delivered), "--policy", str(desk.policy))
    assert r"refused de/x\x1b[2K\rgood\u202e.wav: no prompt has that name" in done.err
    assert done.code == 1


async def test_a_name_that_is_not_utf8_ends_an_import_in_a_traceback(desk: Desk) -> None:
    """A studio's ZIP file from an older Windows has such names."""
    desk.delivered.mkdir()
    (desk.delivered / os.fsdecode(b"begr\xfc\xdfung.wav")).write_bytes(b"x")
    done = await desk.ccari("import", str(desk.delivered), "--policy", str(desk.policy), "--json")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert [each["fault"] for each in json.loads(done.out)] == [
        "no prompt has that name: ccari sounds list shows the names"
    ]


async def test_a_build_after_an_import_keeps_the_speakers_voice(desk: Desk) -> None:
    desk.speak("de/goodbye.wav", "Vielen Dank. Auf Wiederhören.")
    taken = await desk.ccari("import", str(desk.delivered), "--policy", str(desk.policy), "--json")
    assert (taken.code, json.loads(taken.out)) == (
        0,
        [{"file": "de/goodbye.wav", "prompt": "de/goodbye", "taken": True, "fault": None, "doubt": None}],
    )
    assert (await desk.ccari("build", "--policy", str(desk.policy))).code == 0
    rows = await desk.listed()
    assert rows["de/goodbye"]["origin"] == "studio"
    assert rows["de/renewals/identity"]["origin"].startswith("espeak-ng")


async def test_an_empty_delivery_does_not_pass_for_a_taken_one(desk: Desk) -> None:
    desk.delivered.mkdir()
    done = await desk.ccari("import", str(desk.delivered), "--policy", str(desk.policy))
    assert (done.code, done.out) == (1, "")
    assert done.err == f"ccari: nothing was changed: there are no recordings in {desk.delivered}\n"


async def test_a_folder_is_listed_whoever_needs_its_sounds(desk: Desk, engine: EspeakNg) -> None:
    build([Prompt("goodbye", "de", "Tschüss.", "old")], desk.sounds, engine=engine)
    done = await desk.ccari("list", "--json", "--dir", str(desk.sounds))
    assert [row["key"] for row in json.loads(done.out)] == ["de/old/goodbye"]


#: The second time it says who calls, because it sells, but not what the person's rights are; nobody calls "offers".
WAITED = (
    POLICY.replace(
        '{ prompts = ["identity"] }',
        '{ prompts = ["identity", "purpose", "rights"], information = "first_contact" }',
    ).replace('recording = { mode = "off" }', 'agent = "PJSIP/{agent}"\nrecording = { mode = "off" }')
    + """
[[campaigns]]
id = "offers"
controller = "acme"
purpose = "neues Angebot"
legal_basis = "consent"
marketing = true
data_source = "Vertrag mit ACME"
language = "de"
dial = "PJSIP/{number}@trunk"
recording = { mode = "off" }
notice = { prompts = ["identity", "purpose", "rights"], information = "first_contact" }
"""
)


async def test_callees_are_not_kept_listening_for_longer_than_anybody_was_told(desk: Desk) -> None:
    desk.policy.write_text(WAITED, encoding="utf-8")
    missing = await desk.ccari("notices", "--policy", str(desk.policy), "--json")
    assert (missing.code, json.loads(missing.out)) == (1, [])
    assert missing.err.startswith("ccari: renewals: de/renewals/identity: no such sound in ")
    await desk.ccari("build", "--policy", str(desk.policy))
    ms = {key: row["duration_ms"] for key, row in (await desk.listed()).items()}

    done = await desk.ccari("notices", "--policy", str(desk.policy), "--json")

    assert (done.code, done.err) == (0, "")
    renewals, offers = json.loads(done.out)
    who, why, rights = (
        ms[f"de/{each}"] for each in ("renewals/identity", "renewals/purpose", "rights_no_keys")
    )
    called = ms["de/renewals/identity_inbound"]
    assert renewals == {
        "campaign": "renewals", "language": "de", "first_ms": who + why + rights, "later_ms": 0,
        "caller_ms": called + why + rights,
    }  # fmt: skip
    sold = ms["de/offers/identity"] + ms["de/offers/purpose"]
    assert (offers["later_ms"], offers["caller_ms"]) == (sold, None)
    table = (await desk.ccari("notices", "--policy", str(desk.policy))).out
    assert f"{renewals['first_ms'] / 1000:.1f} s" in table


async def test_recordings_are_taken_in_while_others_build(desk: Desk) -> None:
    desk.speak("de/renewals/identity.wav", IDENTITY)
    with lock_folder(desk.sounds):
        for words in (("import", str(desk.delivered)), ("build",)):
            done = await desk.ccari(*words, "--policy", str(desk.policy))
            assert done.code == 1
            assert f"ccari: another command is building or importing sounds in {desk.sounds}" in done.err
        assert not list(desk.sounds.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave a folder that another may not write to")
async def test_where_root_has_built_or_imported_sounds_the_service_s_user_can_do_neither_any_more(
    desk: Desk,
) -> None:
    nobody = 65534
    data = desk.sounds.parent
    data.mkdir()
    os.chown(data, nobody, nobody)
    desk.speak("de/goodbye.wav", "Vielen Dank. Auf Wiederhören.")
    assert (await desk.ccari("import", str(desk.delivered), "--policy", str(desk.policy))).code == 0
    assert (await desk.ccari("build", "--policy", str(desk.policy))).code == 0
    folders = [desk.sounds, *(each for each in desk.sounds.rglob("*") if each.is_dir())]
    assert {str(each.relative_to(data)) for each in folders} >= {
        "sounds",
        "sounds/de/renewals",
        "sounds/studio/de",
    }
    assert {each.stat().st_uid for each in folders} == {nobody}
    # and Asterisk can still read them
    assert {each.stat().st_mode & 0o777 for each in folders} == {0o755}
