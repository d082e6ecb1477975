"""Building: the files that Asterisk gets, whole or not at all, and only when something has changed."""

import hashlib
import importlib
import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ccari.errors import SoundError
from ccari.policy.wording import Prompt
from ccari.sounds import EspeakNg, Manifest, build
from ccari.sounds.build import Progress
from ccari.sounds.manifest import damage
from tests.faults.files import with_a_bit_changed
from tests.unit.sounds.earlier import as_an_earlier_version_left_it
from tests.unit.sounds.fitness import check

#: The module; ccari.sounds exports only the function.
build_ = importlib.import_module("ccari.sounds.build")

GOODBYE = Prompt("goodbye", "pl", "Dziękujemy. Do widzenia.")
IDENTITY = Prompt("identity", "pl", "Dzień dobry. Dzwonimy w imieniu firmy ACME.", "renewals")
BOTH = [GOODBYE, IDENTITY]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both prompts, built once."""
    folder = tmp_path_factory.mktemp("spoken")
    build(BOTH, folder, engine=EspeakNg())
    return folder


@pytest.fixture
def built(spoken: Path, tmp_path: Path) -> Path:
    """A copy of them that may be changed."""
    return Path(shutil.copytree(spoken, tmp_path / "built"))


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.suffix != ".json"}


def test_the_files_lie_where_asterisk_looks_and_nothing_else_does(built: Path) -> None:
    """A temporary file left behind would be played, backed up or shipped."""
    found = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()}
    assert found == {"manifest.json", "pl/goodbye.sln12", "pl/renewals/identity.sln12"}
    assert not list(built.glob(".*"))


@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
def test_the_umask_of_whoever_builds_hides_sounds_from_asterisk_or_lets_others_change_them(
    engine: EspeakNg, tmp_path: Path, umask: int
) -> None:
    folder, before = tmp_path / "sounds", os.umask(umask)
    try:
        build(BOTH, folder, engine=engine)
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in (folder, *folder.rglob("*"))
    }
    assert modes == {
        ".": 0o755, "pl": 0o755, "pl/renewals": 0o755,
        "manifest.json": 0o644, "pl/goodbye.sln12": 0o644, "pl/renewals/identity.sln12": 0o644,
    }  # fmt: skip


def test_what_has_not_changed_is_not_built_again(engine: EspeakNg, built: Path) -> None:
    first, before, steps = Manifest.load(built), times(built), list[Progress]()
    again = build(BOTH, built, engine=engine, on_progress=steps.append)
    assert (before, first) == (times(built), again)
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2)]


def test_changed_words_build_that_prompt_only(engine: EspeakNg, built: Path) -> None:
    before = times(built)
    changed = Prompt("goodbye", "pl", "Do widzenia.")
    assert build([changed, IDENTITY], built, engine=engine).entries["pl/goodbye"].text == "Do widzenia."
    rebuilt = {path.stem for path, time in times(built).items() if time != before[path]}
    assert rebuilt == {"goodbye"}


def test_the_same_words_are_spoken_again_for_every_campaign(tmp_path: Path) -> None:
    class Counting(EspeakNg):
        spoken = 0

        def speak(self, text: str, language: str, path: Path) -> None:
            self.spoken += 1
            super().speak(text, language, path)

    engine, other = Counting(), Prompt("identity", "pl", IDENTITY.text, "surveys")
    entries = build([IDENTITY, other], tmp_path, engine=engine).entries
    assert engine.spoken == 1
    assert entries["pl/surveys/identity"] == entries["pl/renewals/identity"]
    assert list(check(tmp_path, [IDENTITY, other])) == []


def test_words_that_two_languages_share_are_spoken_by_the_voice_of_either(
    engine: EspeakNg, tmp_path: Path
) -> None:
    """An English callee would hear a German callee's date."""
    german, english = Prompt("month_8", "de", "August"), Prompt("month_8", "en", "August")
    together = build([german, english], tmp_path / "together", engine=engine).entries["en/month_8"]
    assert together == build([english], tmp_path / "alone", engine=engine).entries["en/month_8"]


def test_another_voice_builds_again(built: Path) -> None:
    class Slower(EspeakNg):
        SPEED = 120

    fast = Manifest.load(built).entries["pl/goodbye"]
    slow = build([GOODBYE], built, engine=Slower()).entries["pl/goodbye"]
    assert slow.duration_ms > fast.duration_ms + 200


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(with_a_bit_changed(path.read_bytes()))]
)
def test_a_harmed_file_is_built_again(engine: EspeakNg, built: Path, harm: Callable[[Path], object]) -> None:
    good = (built / "pl/goodbye.sln12").read_bytes()
    harm(built / "pl/goodbye.sln12")
    build([GOODBYE], built, engine=engine)
    assert (built / "pl/goodbye.sln12").read_bytes() == good


def test_files_of_another_format_that_would_be_played_instead_are_removed(
    engine: EspeakNg, built: Path
) -> None:
    """Earlier versions wrote A-law and G.722, which Asterisk would go on playing to most telephones."""
    old, own = built / "pl/goodbye.alaw", built / "pl/hold_music.alaw"
    for path in (old, own):
        path.write_bytes(b"old words")
    build(BOTH, built, engine=engine)
    assert (old.exists(), own.exists()) == (False, True)


def test_a_folder_of_an_earlier_version_is_unfit_for_ever_or_passes_as_it_is(
    engine: EspeakNg, built: Path
) -> None:
    as_an_earlier_version_left_it(built)
    was = Manifest.load(built).entries["pl/goodbye"]
    assert list(damage(built, "pl/goodbye", was)) == [
        "pl/goodbye.sln12: the file is missing: ccari sounds build",
        "pl/goodbye.alaw: not built, but Asterisk might play it: ccari sounds build",
        "pl/goodbye.g722: not built, but Asterisk might play it: ccari sounds build",
    ]
    build(BOTH, built, engine=engine)
    assert check(built, BOTH) == []
    assert {path.suffix for path in built.rglob("*.*")} == {".json", ".sln12"}


def test_what_is_shipped_is_not_spoken_again(built: Path, tmp_path: Path) -> None:
    """A hundred prompts are the same in every campaign: they would take most of the time of every first build."""

    class Mute(EspeakNg):
        def speak(self, text: str, language: str, out: Path) -> None:
            raise SoundError(f"spoke {text}")

    out = tmp_path / "out"
    assert build(BOTH, out, engine=Mute(), shipped=built) == Manifest.load(built)
    assert check(out, BOTH) == []
    assert check(built, BOTH) == []
    with pytest.raises(SoundError, match="pl/goodbye: spoke Inaczej"):
        build([Prompt("goodbye", "pl", "Inaczej.")], out, engine=Mute(), shipped=built)
    (built / "pl/goodbye.sln12").write_bytes(b"damaged")
    with pytest.raises(SoundError, match="pl/goodbye: spoke Dzięk"):
        build([GOODBYE], tmp_path / "other", engine=Mute(), shipped=built)


def test_prompts_of_other_campaigns_stay(engine: EspeakNg, built: Path) -> None:
    other = Prompt("goodbye", "en", "Goodbye.")
    build([other], built, engine=engine)
    assert check(built, [*BOTH, other]) == []


def test_the_same_prompts_give_the_same_bytes(engine: EspeakNg, spoken: Path, tmp_path: Path) -> None:
    """Nothing of the machine or the time may get in: evidence compares hashes between machines."""
    build([IDENTITY, GOODBYE], tmp_path, engine=engine)
    once, again = (
        {p.relative_to(folder): hashlib.sha256(p.read_bytes()).digest() for p in folder.rglob("*.*")}
        for folder in (spoken, tmp_path)
    )
    assert once == again
    assert str(tmp_path) not in (tmp_path / "manifest.json").read_text()


def test_without_espeak_the_build_says_so_and_leaves_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(SoundError) as raised:
        build([GOODBYE], tmp_path, engine=EspeakNg("espeak-ng-that-is-not-there"))
    assert str(raised.value) == "espeak-ng is not installed: apt-get install espeak-ng"
    assert not list(tmp_path.iterdir())


def test_words_like_an_option_or_a_command_are_only_spoken(engine: EspeakNg, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    entry = build([Prompt("goodbye", "en", f"--stdin; $(touch {trap})")], tmp_path, engine=engine).entries[
        "en/goodbye"
    ]
    assert entry.duration_ms > 1000
    assert not trap.exists()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt("goodbye", "pl", "Zegna", "../../etc"), "not usable as a file name"),
        (Prompt("goodbye", "pl", "Zegna", "a/b/c"), "not usable as a file name"),
        (Prompt("goodbye", "..", "Zegna"), "not usable as a file name"),
        (
            Prompt("goodbye", "pl", "Zegna firma {ACME}."),
            r"\{ACME\} cannot be spoken: take the braces out of the controller's name",
        ),
        (Prompt("goodbye", "pl", " "), "the words are empty"),
        (Prompt("goodbye", "pl", "Inaczej."), "declared twice with different words"),
        (Prompt("goodbye", "xx", "Hello."), "no voice set for language"),
    ],
)
def test_a_prompt_that_cannot_be_built_is_named(
    engine: EspeakNg, tmp_path: Path, prompt: Prompt, message: str
) -> None:
    with pytest.raises(SoundError, match=message) as raised:
        build([GOODBYE, prompt], tmp_path / "out", engine=engine)
    assert str(raised.value).startswith(prompt.key)
    assert {path.name for path in tmp_path.iterdir()} <= {"out"}


def test_a_folder_that_cannot_be_written_is_one_line(engine: EspeakNg, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SoundError, match="Not a directory"):
        build([GOODBYE], tmp_path / "file/out", engine=engine)


def test_what_was_finished_before_a_failure_is_kept(engine: EspeakNg, tmp_path: Path) -> None:
    with pytest.raises(SoundError):
        build([GOODBYE, Prompt("goodbye", "xx", "Hello.")], tmp_path, engine=engine)
    assert set(Manifest.load(tmp_path).entries) <= {"pl/goodbye"}
    assert not list(tmp_path.glob(".*"))


class Other(EspeakNg):
    """Another voice, so that everything is made anew; ``before`` may wait, or raise, before a prompt is spoken."""

    SPEED = 120

    def __init__(self, before: Callable[[str], None] = lambda _text: None) -> None:
        super().__init__()
        self._before = before

    def speak(self, text: str, language: str, out: Path) -> None:
        self._before(text)
        super().speak(text, language, out)


def test_a_build_that_goes_on_blocks_calls_whose_sounds_were_good(built: Path) -> None:
    """Each prompt replaced the earlier one minutes before the manifest said so."""
    seen, first_is_made = list[list[str]](), threading.Event()

    def second_waits(text: str) -> None:
        if text == IDENTITY.text:
            assert first_is_made.wait(30)

    def look(_: Progress) -> None:
        seen.append(check(built, BOTH))
        first_is_made.set()

    entries = build(BOTH, built, engine=Other(second_waits), on_progress=look).entries
    assert seen == [[], []]
    assert check(built, BOTH) == []
    assert Manifest.load(built).entries == entries


def test_a_prompt_that_cannot_be_made_blocks_the_others_for_good(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was being made beside it was put in place, but not entered in the manifest."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    old, first_has_begun = Manifest.load(built).entries["pl/goodbye"], threading.Event()

    def second_fails(text: str) -> None:
        if text == IDENTITY.text:
            assert first_has_begun.wait(30)
            raise SoundError("no voice")
        first_has_begun.set()

    with pytest.raises(SoundError, match=r"^pl/renewals/identity: no voice$"):
        build(BOTH, built, engine=Other(second_fails))
    assert check(built, BOTH) == []
    assert Manifest.load(built).entries["pl/goodbye"].recipe != old.recipe


def test_a_sound_that_cannot_come_to_its_place_keeps_others_from_the_manifest(
    engine: EspeakNg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    (tmp_path / "pl/renewals/identity.sln12/in the way").mkdir(parents=True)
    with pytest.raises(SoundError, match="directory"):
        build(BOTH, tmp_path, engine=engine)
    assert check(tmp_path, [GOODBYE]) == []
    assert set(Manifest.load(tmp_path).entries) == {"pl/goodbye"}


def test_a_long_build_that_is_killed_has_made_nothing(
    engine: EspeakNg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_, "BATCH", 1)
    there = list[bool]()

    def look(_: Progress) -> None:
        there.append((tmp_path / "manifest.json").exists())

    build(BOTH, tmp_path, engine=engine, on_progress=look)
    assert there == [False, True]


def test_two_builds_at_once_take_each_others_prompts_out_of_the_manifest(
    engine: EspeakNg, tmp_path: Path
) -> None:
    """Each wrote the manifest that it had read at its start, plus what it had made; calls with the other's prompts were
    blocked.
    """

    def both(_: Progress) -> None:
        with pytest.raises(
            SoundError, match=f"another command is building or importing sounds in {tmp_path}"
        ):
            build([IDENTITY], tmp_path, engine=engine)

    build([GOODBYE], tmp_path, engine=engine, on_progress=both)
    build([IDENTITY], tmp_path, engine=engine)
    assert Manifest.load(tmp_path).entries.keys() == {"pl/goodbye", "pl/renewals/identity"}


def test_what_a_killed_build_has_left_stays_for_ever(engine: EspeakNg, built: Path) -> None:
    (built / ".build-killed/x").mkdir(parents=True)
    (built / ".build-killed/x/sound.sln12").touch()
    (built / ".manifest.json.4711").touch()
    build(BOTH, built, engine=engine)
    assert not list(built.glob(".*"))
