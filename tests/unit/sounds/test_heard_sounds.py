"""The very audio that was heard is found again, even if its prompt has been spoken anew since."""

import asyncio
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ccari.errors import SoundError
from ccari.own_threads import OwnThreads
from ccari.policy import chain, notices, wording
from ccari.policy.chain import Entry, Linked
from ccari.policy.declaration import read
from ccari.ports.evidence import HeardSound
from ccari.ports.sounds import Script
from ccari.sounds import soundboard
from ccari.sounds.audio import FORMAT
from ccari.sounds.copies import Copies
from ccari.sounds.heard import Today, heard
from ccari.sounds.manifest import FILE_NAME, Manifest, SoundFile, damage
from ccari.sounds.manifest import Entry as Built
from ccari.sounds.prompter import COPY_AGAIN_SECONDS, Prompter
from ccari.sounds.soundboard import LOOK_SECONDS, Soundboard
from tests.unit.recordings.accounts import CALL, NOON, POLICY
from tests.unit.sounds.earlier import ENDINGS

DECLARED = read(POLICY)
CAMPAIGN, CONTROLLER = DECLARED.campaigns[0], DECLARED.controllers[0]


class Desk:
    """A folder of sounds, with copies of what was played, and a call that heard it."""

    def __init__(self, folder: Path, shipped: Path) -> None:
        self.sounds = folder / "sounds"
        self.copies = Copies(folder / "heard")
        self.shipped = shipped

    @property
    def board(self) -> Soundboard:
        return Soundboard(self.sounds, self.shipped)

    @property
    def prompter(self) -> Prompter:
        return Prompter(self.board, self.copies)

    def speak(self, voice: str, endings: Sequence[str] = (FORMAT,)) -> None:
        prompts = wording.prompts(CONTROLLER, CAMPAIGN, self.board.catalogue, "pl")
        entries = dict(self._spoken(voice, prompts, endings))
        Manifest(entries).save(self.sounds)

    def _spoken(
        self, voice: str, prompts: Iterable[wording.Prompt], endings: Sequence[str]
    ) -> Iterable[tuple[str, Built]]:
        for prompt in prompts:
            files = {}
            for ending in endings:
                path = self.sounds / f"{prompt.key}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(f"{voice} says {prompt.key} as {ending}".encode())
                files[ending] = SoundFile(hashlib.sha256(path.read_bytes()).hexdigest(), -20.0, -3.0)
            yield prompt.key, Built(prompt.text, "pl", "studio", 1000, "test", files)

    def reword(self) -> None:
        """An update changes the words of the first prompt."""
        words = (self.shipped / "catalogue.toml").read_text("utf-8")
        self.shipped = self.sounds.parent / "update"
        self.shipped.mkdir()
        changed = words.replace('pl = "Dzień dobry', 'pl = "Witam', 1)
        assert changed != words
        (self.shipped / "catalogue.toml").write_text(changed, "utf-8")

    def spoil(self, folder: Path, spoilt: Callable[[bytes], bytes | None]) -> None:
        """Leave this in place of the words that were kept, or nothing if it is None."""
        for each in folder.glob("*.json"):
            content = each.read_bytes()
            each.unlink()
            if (left := spoilt(content)) is not None:
                assert left != content
                each.write_bytes(left)

    def play(self, *ids: str) -> list[Linked]:
        """The journal of a call that hears these prompts now."""
        script = asyncio.run(self._told())["pl"]
        prompts = {
            each.id: each for each in wording.prompts(CONTROLLER, CAMPAIGN, self.board.catalogue, "pl")
        }
        fields = {
            "notice_version": wording.version(tuple(prompts[each] for each in ids)), "language": "pl",
            "prompts": ",".join(ids), "sounds": ",".join(script.sounds[each].digest for each in ids),
        }  # fmt: skip
        return chain.follow(chain.start(CALL), 0, [Entry(NOON, "notice_heard", fields, bytes(16))])

    async def _told(self) -> Mapping[str, Script]:
        prompter = self.prompter
        scripts = await prompter.scripts(CONTROLLER, CAMPAIGN)
        await prompter.keep(CAMPAIGN)
        return scripts

    def heard(self, journal: list[Linked]) -> list[HeardSound]:
        return heard(self.copies, Today(self.board, CONTROLLER, CAMPAIGN), journal)


@pytest.fixture(autouse=True)
def _waits_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests are about what is copied, not about how busy a machine is."""
    monkeypatch.setattr("ccari.sounds.copies.KEEP_SECONDS", 60.0)
    monkeypatch.setattr("ccari.sounds.prompter.ANSWER_SECONDS", 60.0)


@pytest.fixture
def desk(tmp_path: Path, shipped: Path) -> Desk:
    made = Desk(tmp_path, shipped)
    made.speak("anna")
    return made


def test_what_was_heard_is_not_found_in_its_order(desk: Desk) -> None:
    found = desk.heard(desk.play("identity", "recording_opt_out"))
    assert [each.key for each in found] == ["pl/renewals/identity", "pl/renewals/recording_opt_out"]
    assert found[0].files == {"sln12": b"anna says pl/renewals/identity as sln12"}


def test_a_sound_that_was_spoken_anew_takes_the_place_of_what_was_heard(desk: Desk) -> None:
    journal = desk.play("identity")
    desk.speak("bert")
    desk.play("identity")
    (found,) = desk.heard(journal)
    assert found.files["sln12"] == b"anna says pl/renewals/identity as sln12"


def test_an_update_to_other_formats_loses_what_was_heard_before_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(desk.sounds)
    with monkeypatch.context() as earlier:
        earlier.setattr("ccari.sounds.manifest.FORMAT", ENDINGS[0])
        earlier.setattr("ccari.sounds.manifest.in_other_formats", lambda *_: [])
        desk.speak("anna", ENDINGS)
        journal = desk.play("identity")
    was = {ending: f"anna says pl/renewals/identity as {ending}".encode() for ending in ENDINGS}
    with pytest.raises(SoundError, match=r"identity\.sln12: the file is missing: ccari sounds build$"):
        desk.play("identity")
    assert [each.files for each in desk.heard(journal)] == [was]
    shutil.rmtree(desk.sounds)
    desk.speak("anna")
    assert [each.files for each in desk.heard(journal)] == [was]


def test_what_is_no_longer_there_is_made_up(desk: Desk, tmp_path: Path) -> None:
    journal = desk.play("identity")
    desk.speak("bert")
    (copy,) = (tmp_path / "heard").glob(f"{journal[0].fields['sounds']}/sln12" if journal[0].fields else "")
    copy.write_bytes(b"another")
    (found,) = desk.heard(journal)
    assert (found.key, found.files) == ("pl/renewals/identity", {})


@pytest.mark.parametrize("left", [b"", b"another", None])
def test_a_copy_that_was_damaged_stays_so_while_the_sound_is_there(
    desk: Desk, tmp_path: Path, left: bytes | None
) -> None:
    """For example by a power failure before the data was on the disk."""
    journal = desk.play("identity")
    (copy,) = (tmp_path / "heard").glob(f"{journal[0].fields['sounds']}/sln12" if journal[0].fields else "")
    content = copy.read_bytes()
    copy.unlink()
    if left is not None:
        copy.write_bytes(left)
    desk.play("identity")
    assert copy.read_bytes() == content
    desk.speak("bert")
    (found,) = desk.heard(journal)
    assert found.files["sln12"] == content


WHOLE = notices.sequence(CAMPAIGN, informed=False)


def test_words_of_today_are_put_into_a_callees_ear(desk: Desk) -> None:
    journal = desk.play(*WHOLE)
    before = desk.heard(journal)
    desk.reword()
    desk.speak("bert")
    assert desk.heard(journal) == before
    assert before[0].text != desk.heard(desk.play(*WHOLE))[0].text


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda _: b"", lambda _: b"{", lambda _: b"[[]]", lambda _: b"[" * 100_000, lambda _: None,
        lambda content: content.replace(b"ACME", b"ABBA"),
    ],
    ids=["empty", "cut", "other", "deep", "missing", "a word"],
)  # fmt: skip
def test_words_that_were_not_kept_are_made_up(
    desk: Desk, tmp_path: Path, spoilt: Callable[[bytes], bytes | None]
) -> None:
    """Or are damaged, in whichever way; the audio is there all the same."""
    journal = desk.play(*WHOLE)
    before = desk.heard(journal)
    desk.spoil(tmp_path / "heard", spoilt)
    assert desk.heard(journal) == before, "they are those of today still"
    desk.reword()
    assert desk.heard(journal) == [
        HeardSound(each.key.split("/")[-1], None, each.digest, each.files) for each in before
    ]


def test_kept_words_that_were_damaged_stay_so_while_they_are_those_of_today(
    desk: Desk, tmp_path: Path
) -> None:
    journal = desk.play(*WHOLE)
    before = desk.heard(journal)
    desk.spoil(tmp_path / "heard", lambda _: b"")
    desk.play(*WHOLE)
    desk.reword()
    assert desk.heard(journal) == before


def test_a_prompt_that_is_made_no_more_has_no_audio(desk: Desk) -> None:
    (entry,) = desk.play("identity")
    fields = {**(entry.fields or {}), "prompts": "greeting"}
    journal = chain.follow(chain.start(CALL), 0, [Entry(NOON, "notice_heard", fields, bytes(16))])
    (found,) = desk.heard(journal)
    assert (found.key, found.text, {*found.files}) == ("greeting", None, {"sln12"})


@pytest.mark.parametrize("language", ["pl", "xx"])
def test_what_was_heard_is_lost_with_the_policy_or_its_language(desk: Desk, language: str) -> None:
    journal = desk.play(*WHOLE)
    fields = {**(journal[0].fields or {}), "language": language}
    spoken = chain.follow(chain.start(CALL), 0, [Entry(NOON, "notice_heard", fields, bytes(16))])
    assert heard(desk.copies, None, spoken) == desk.heard(spoken) == desk.heard(journal)


def test_a_power_failure_takes_along_what_was_copied(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or leaves its name with nothing in it."""
    kept: list[Path] = []
    flush = os.fsync

    def noting(handle: int) -> None:
        kept.append(Path(f"/proc/self/fd/{handle}").readlink())
        flush(handle)

    monkeypatch.setattr(os, "fsync", noting)
    (entry,) = desk.play("identity")
    into = tmp_path / "heard" / (entry.fields or {})["sounds"]
    drafts = [each.name.split(".")[1] for each in kept if each.parent == into]
    assert drafts == ["sln12"]
    assert kept.index(into) > max(at for at, each in enumerate(kept) if each.parent == into)
    assert {into.parent, tmp_path} <= {*kept}
    words = [at for at, each in enumerate(kept) if each.parent == into.parent and ".json" in each.name]
    assert len(words) == len([*into.parent.glob("*.json")]) > 0
    assert max(at for at, each in enumerate(kept) if each == into.parent) > max(words)
    kept.clear()
    desk.play("identity")
    assert kept == []


async def test_each_sound_that_is_copied_has_the_same_folders_flushed(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each of two calls at once copies them: 540 flushes before the first call after a build."""
    flushed: list[Path] = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: flushed.append(Path(f"/proc/self/fd/{handle}").readlink())
    )
    prompter = desk.prompter
    await prompter.scripts(CONTROLLER, CAMPAIGN)
    assert flushed == []
    await asyncio.gather(prompter.keep(CAMPAIGN), prompter.keep(CAMPAIGN))
    heard = tmp_path / "heard"
    assert (flushed.count(heard), flushed.count(tmp_path)) == (1, 1)
    sounds = [each for each in heard.iterdir() if each.is_dir()]
    words = [each for each in heard.iterdir() if each.suffix == ".json"]
    assert len(sounds) > 10
    assert len(flushed) == 2 * len(sounds) + len(words) + 2


async def test_a_slow_disk_under_the_copies_holds_up_all_calls(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, works, flush = threading.Event(), threading.Event(), os.fsync

    def slowly(handle: int) -> None:
        begun.set()
        assert works.wait(30), "the calls have waited for the disk"
        flush(handle)

    monkeypatch.setattr(os, "fsync", slowly)
    prompter = desk.prompter
    scripts = await prompter.scripts(CONTROLLER, CAMPAIGN)
    gone, waits = asyncio.create_task(prompter.keep(CAMPAIGN)), asyncio.create_task(prompter.keep(CAMPAIGN))
    assert await asyncio.to_thread(begun.wait, 30)
    gone.cancel()
    await asyncio.wait([gone])
    assert not waits.done()
    works.set()
    await waits
    assert all(desk.copies.read(each.digest) for each in scripts["pl"].sounds.values())


async def test_each_call_waits_for_copies_that_are_there(desk: Desk) -> None:
    """The gate is asked hundreds of times a second: starting a thread would take most of that time."""
    prompter = desk.prompter
    await prompter.scripts(CONTROLLER, CAMPAIGN)
    await prompter.keep(CAMPAIGN)
    await prompter.scripts(CONTROLLER, CAMPAIGN)
    with pytest.raises(StopIteration):
        prompter.keep(CAMPAIGN).send(None)


async def test_a_disk_under_the_copies_that_hangs_keeps_calls_from_being_made(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = threading.Event()
    monkeypatch.setattr("ccari.sounds.copies.KEEP_SECONDS", 0.05)
    monkeypatch.setattr(os, "fsync", lambda _: works.wait(30))
    prompter = desk.prompter
    await prompter.scripts(CONTROLLER, CAMPAIGN)
    with capture_logs() as logged:
        async with asyncio.timeout(20):
            await prompter.keep(CAMPAIGN)
    works.set()
    assert [(each["event"], each["reason"]) for each in logged] == [
        ("sound_not_copied", "the disk takes longer than a call can wait; it goes on")
    ]


async def test_a_disk_that_was_full_at_the_first_call_leaves_the_calls_after_it_without_copies_for_good(
    desk: Desk, tmp_path: Path
) -> None:
    """It would show once the prompts are spoken anew: nobody could prove any more what was heard."""
    clock = 0.0
    prompter = Prompter(desk.board, desk.copies, lambda: clock)
    (tmp_path / "heard").write_text("a file in the folder's place")
    scripts = await prompter.scripts(CONTROLLER, CAMPAIGN)
    await prompter.keep(CAMPAIGN)
    (tmp_path / "heard").unlink()
    await prompter.keep(CAMPAIGN)
    assert not (tmp_path / "heard").exists(), "each call tries to copy hundreds of files"
    clock = COPY_AGAIN_SECONDS
    # no call waits again
    with pytest.raises(StopIteration):
        prompter.keep(CAMPAIGN).send(None)
    with pytest.raises(StopIteration):
        prompter.keep(CAMPAIGN).send(None)
    await prompter._copying[CAMPAIGN.id].task
    assert all(desk.copies.read(each.digest) for each in scripts["pl"].sounds.values())
    copied = prompter._copying[CAMPAIGN.id]
    clock += COPY_AGAIN_SECONDS
    await prompter.keep(CAMPAIGN)
    assert prompter._copying[CAMPAIGN.id] is copied


def test_a_sound_that_is_spoilt_at_this_moment_takes_the_place_of_its_copy(
    desk: Desk, tmp_path: Path
) -> None:
    (entry,) = desk.play("identity")
    digest = (entry.fields or {})["sounds"]
    spoilt = {"sln12": tmp_path / "sln12"}
    for path in spoilt.values():
        path.write_bytes(b"")
    desk.copies.keep(digest, spoilt)
    assert desk.copies.read(digest)


def test_a_notice_that_was_erased_is_made_up(desk: Desk) -> None:
    (entry,) = desk.play("identity")
    erased = Linked(entry.seq, entry.at, entry.event, entry.commitment, entry.link, None, None)
    assert desk.heard([erased]) == []


def test_a_call_to_which_nothing_was_to_be_said_has_no_evidence(desk: Desk) -> None:
    """It is not recorded, and everything else had been heard before."""
    assert desk.heard(desk.play()) == []


@pytest.mark.parametrize("how", ["another of the same length", "missing", "one beside it"])
def test_invariant_3_a_notice_that_is_spoilt_while_the_service_runs_is_played(desk: Desk, how: str) -> None:
    board = Soundboard(desk.sounds, desk.shipped, clock=lambda: 0.0)
    file = desk.sounds / "pl/renewals/identity.sln12"
    before = board.scripts(CONTROLLER, CAMPAIGN)
    assert board.scripts(CONTROLLER, CAMPAIGN) is before
    content, beside = file.read_bytes(), file.with_suffix(".alaw")
    match how:
        case "missing":
            file.unlink()
        case "one beside it":
            beside.write_bytes(b"what Asterisk may like better")
        case _:
            at = file.stat().st_mtime_ns
            file.write_bytes(bytes(len(content)))
            os.utime(file, ns=(at, at))
    for _ in range(2):
        with pytest.raises(SoundError, match="pl/renewals/identity"):
            board.scripts(CONTROLLER, CAMPAIGN)
    file.write_bytes(content)
    beside.unlink(missing_ok=True)
    assert board.scripts(CONTROLLER, CAMPAIGN) == before


def test_another_sound_that_is_spoilt_is_played_for_more_than_a_moment(desk: Desk) -> None:
    """A shipped one takes its place."""
    now = 0.0
    board = Soundboard(desk.sounds, desk.shipped, clock=lambda: now)
    board.scripts(CONTROLLER, CAMPAIGN)
    (desk.sounds / "pl/recording_stopped.sln12").write_bytes(b"something else")
    now += LOOK_SECONDS
    played = board.scripts(CONTROLLER, CAMPAIGN)["pl"].sounds["recording_stopped"]
    assert played.media == f"sound:{desk.shipped}/pl/recording_stopped"


def test_a_shipped_sound_that_was_played_counts_as_replaced_once_it_is_spoken_anew(desk: Desk) -> None:
    """Asterisk was told to play the shipped one, and did."""
    entries = dict(Manifest.load(desk.sounds).entries)
    anew = entries.pop("pl/goodbye")
    Manifest(entries).save(desk.sounds)
    board = desk.board
    played = board.common("goodbye", "pl")
    assert played.media == f"sound:{desk.shipped}/pl/goodbye"
    Manifest({**entries, "pl/goodbye": anew}).save(desk.sounds)
    assert board.replaced([played]) == []
    assert board.common("goodbye", "pl").media == f"sound:{desk.sounds}/pl/goodbye"


def test_each_call_waits_for_a_look_at_every_sound_there_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, looks = 0.0, list[str]()
    board = Soundboard(desk.sounds, desk.shipped, clock=lambda: now)
    before, stamp = board.scripts(CONTROLLER, CAMPAIGN), soundboard._stamp

    def look(path: str) -> soundboard._Stamp:
        looks.append(path)
        return stamp(path)

    monkeypatch.setattr(soundboard, "_stamp", look)
    for later in (LOOK_SECONDS / 2, LOOK_SECONDS, 1.5 * LOOK_SECONDS):
        now = later
        assert board.scripts(CONTROLLER, CAMPAIGN) is before
    often = {path for path in looks if looks.count(path) > 1}
    heard = {each for ids in notices.wordings(CAMPAIGN) for each in ids if each in before["pl"].sounds}
    # and the manifests, which make a build count at once
    assert {Path(path).stem for path in often} == {"pl", "renewals", Path(FILE_NAME).stem, *heard}
    assert len(often) < len(set(looks))


def test_each_campaign_has_the_sounds_of_all_checked_anew(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a campaign was first called, and after each step of a build, all calls waited for that: a tenth of a second per language."""
    board, looks = desk.board, list[str]()

    def look(folder: Path, key: str, entry: Built) -> Iterator[str]:
        looks.append(key)
        return damage(folder, key, entry)

    monkeypatch.setattr("ccari.sounds.soundboard.damage", look)
    board.scripts(CONTROLLER, CAMPAIGN)
    assert "pl/goodbye" in looks
    looks.clear()
    board.scripts(CONTROLLER, CAMPAIGN.model_copy(update={"connect_seconds": 29}))
    Manifest(Manifest.load(desk.sounds).entries).save(desk.sounds)
    board.scripts(CONTROLLER, CAMPAIGN)
    board.common("goodbye", "pl")
    assert looks == []
    (desk.sounds / "pl/renewals/identity.sln12").touch()
    board.scripts(CONTROLLER, CAMPAIGN)
    assert looks == ["pl/renewals/identity"]


def test_a_build_counts_for_nothing_until_the_next_look(desk: Desk) -> None:
    board = Soundboard(desk.sounds, desk.shipped, clock=lambda: 0.0)
    before = board.scripts(CONTROLLER, CAMPAIGN)
    desk.speak("bert")
    assert board.scripts(CONTROLLER, CAMPAIGN) != before


def test_a_call_that_looks_while_a_build_takes_sounds_in_is_blocked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It compared the new sounds with the previous manifest."""
    board, builds = desk.board, iter(["bert"])
    before = board.scripts(CONTROLLER, CAMPAIGN)["pl"]

    def meanwhile(folder: Path, key: str, entry: Built) -> Iterator[str]:
        for voice in builds:
            desk.speak(voice)
        return damage(folder, key, entry)

    monkeypatch.setattr("ccari.sounds.soundboard.damage", meanwhile)
    (desk.sounds / "pl/renewals/identity.sln12").touch()
    after = board.scripts(CONTROLLER, CAMPAIGN)["pl"]
    assert {each.digest for each in after.sounds.values()}.isdisjoint(
        each.digest for each in before.sounds.values()
    )


def test_a_folder_that_cannot_be_written_keeps_calls_from_being_made(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "heard").write_text("a file in the folder's place")
    assert desk.play("identity")


async def test_a_disk_that_hangs_is_asked_for_ever_more_copies_or_ends_a_call_for_want_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.sounds.copies.OwnThreads", partial(OwnThreads, most=0))
    copies = Copies(tmp_path)
    with capture_logs() as logged:
        await copies.keep_all([], {"1": [("pl/renewals/identity", "Dzień dobry")]})
    assert [each["event"] for each in logged] == ["sound_not_copied"]
    assert copies.words("1") is None
