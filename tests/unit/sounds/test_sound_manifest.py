"""The manifest reveals every way in which a callee would not hear what the evidence says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ccari.errors import SoundError
from ccari.policy.wording import Prompt
from ccari.sounds import EspeakNg, Manifest, build
from tests.faults.files import with_a_bit_changed
from tests.unit.sounds.fitness import check

GOODBYE = Prompt("goodbye", "pl", "Do widzenia.")
AWAY = Prompt("agent_unavailable", "pl", "Proszę spróbować później.")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    build([GOODBYE, AWAY], folder, engine=EspeakNg())
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "sounds")


def flip_last_bit(path: Path) -> None:
    path.write_bytes(with_a_bit_changed(path.read_bytes()))


def exchange_prompts(path: Path) -> None:
    shutil.copy(path.with_name(f"{AWAY.id}{path.suffix}"), path)


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (flip_last_bit, "changed since it was built"),
        (Path.unlink, "the file is missing"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"<html>404</html>" * 99), "changed since it was built"),
        (lambda path: path.write_bytes(path.read_bytes()[:20]), "changed since it was built"),
        (exchange_prompts, "changed since it was built"),
    ],
)
def test_a_harmed_file_is_told_and_only_that_one(
    folder: Path, harm: Callable[[Path], object], problem: str
) -> None:
    assert check(folder, [GOODBYE, AWAY]) == []
    harm(folder / "pl/goodbye.sln12")
    assert check(folder, [GOODBYE, AWAY]) == [f"{folder}: pl/goodbye.sln12: {problem}: ccari sounds build"]


def test_a_file_in_another_format_beside_it_is_told(folder: Path) -> None:
    """Asterisk plays the format nearest to the call's: the manifest would describe a sound that nobody heard."""
    for name in ("goodbye.alaw", "goodbye_again.alaw", "agent_unavailable.txt"):
        (folder / "pl" / name).write_bytes(b"other words")
    assert check(folder, [GOODBYE, AWAY]) == [
        f"{folder}: pl/goodbye.alaw: not built, but Asterisk might play it: ccari sounds build",
        f"{folder}: pl/agent_unavailable.txt: not built, but Asterisk might play it: ccari sounds build",
    ]


def test_changed_words_are_told(folder: Path) -> None:
    changed = Prompt("goodbye", "pl", "Do widzenia Państwu.")
    assert check(folder, [changed, AWAY]) == [
        f"pl/goodbye: the sound in {folder} says other words than the policy: ccari sounds build"
    ]


def test_a_prompt_never_built_is_told(folder: Path) -> None:
    wanted = Prompt("identity", "pl", "Dzień dobry.", "renewals")
    assert check(folder, [GOODBYE, wanted]) == [
        f"pl/renewals/identity: no such sound in {folder}: ccari sounds build"
    ]


def test_a_file_without_a_hash_does_not_count_as_good(folder: Path) -> None:
    path = folder / "manifest.json"
    table = json.loads(path.read_text())
    del table["pl/goodbye"]["files"]["sln12"]
    path.write_text(json.dumps(table))
    assert check(folder, [GOODBYE]) == [
        f"{folder}: pl/goodbye.sln12: changed since it was built: ccari sounds build"
    ]


def test_a_folder_without_a_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(SoundError) as told:
        Manifest.load(tmp_path)
    assert (
        str(told.value) == f"{tmp_path}/manifest.json: no prompts have been built there: ccari sounds build"
    )


@pytest.mark.parametrize(
    "content", ["", "[]", '{"pl/goodbye": 5}', '{"pl/goodbye": {"text": ""}}', '{"a": {"files": 1}}', "\x00"]
)
def test_a_damaged_manifest_is_one_line(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    assert check(folder, [GOODBYE]) == [
        f"{folder}/manifest.json: damaged: remove it and run ccari sounds build"
    ]


def test_what_is_saved_is_what_is_loaded(folder: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(folder)
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest
    assert (tmp_path / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()


def test_the_order_of_building_does_not_show(folder: Path, tmp_path: Path) -> None:
    entries = Manifest.load(folder).entries
    Manifest(dict(reversed(list(entries.items())))).save(tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
