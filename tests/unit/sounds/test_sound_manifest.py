"""The manifest tells every way in which a callee would not hear what evidence says."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ccari.errors import SoundError
from ccari.policy.notices import Prompt
from ccari.sounds import Catalogue, EspeakNg, Manifest, build, check

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
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def exchange_rates(path: Path) -> None:
    shutil.copy(path.with_suffix(".wav"), path)


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (flip_last_bit, "changed since it was built"),
        (Path.unlink, "the file is missing"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"<html>404</html>" * 99), "not a WAV file"),
        (lambda path: path.write_bytes(path.read_bytes()[:20]), "not a WAV file"),
        (lambda path: path.write_bytes(path.read_bytes()[:40] + bytes(4)), "it holds no sound"),
        (exchange_rates, "not 16-bit mono at 16000 Hz"),
    ],
)
def test_a_harmed_file_is_told_and_only_that_one(
    folder: Path, harm: Callable[[Path], object], problem: str
) -> None:
    assert check(folder, [GOODBYE, AWAY]) == []
    harm(folder / "pl/goodbye.wav16")
    assert check(folder, [GOODBYE, AWAY]) == [f"pl/goodbye.wav16: {problem}: ccari sounds build"]


def test_changed_words_are_told(folder: Path) -> None:
    changed = Prompt("goodbye", "pl", "Do widzenia Państwu.")
    assert check(folder, [changed, AWAY]) == [
        "pl/goodbye: built with other words than wanted: ccari sounds build"
    ]


def test_a_prompt_never_built_is_told(folder: Path) -> None:
    wanted = Prompt("identity", "pl", "Dzień dobry.", "renewals")
    assert check(folder, [GOODBYE, wanted]) == ["pl/renewals/identity: not built: ccari sounds build"]
    with pytest.raises(SoundError, match="pl/renewals/identity: not built"):
        Manifest.load(folder).entry(wanted.key)


def test_a_file_without_a_hash_does_not_count_as_good(folder: Path) -> None:
    path = folder / "manifest.json"
    table = json.loads(path.read_text())
    del table["pl/goodbye"]["files"]["wav"]
    path.write_text(json.dumps(table))
    assert check(folder, [GOODBYE]) == ["pl/goodbye.wav: changed since it was built: ccari sounds build"]


def test_a_folder_without_a_manifest_is_told(tmp_path: Path) -> None:
    assert check(tmp_path, [GOODBYE]) == [
        f"{tmp_path}/manifest.json: no prompts have been built there: ccari sounds build"
    ]


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


def test_checking_the_shipped_prompts_is_quick_enough_for_every_start(
    catalogue: Catalogue, shipped: Path
) -> None:
    prompts = [prompt for language in catalogue.languages for prompt in catalogue.fixed(language)]
    start = time.perf_counter()
    check(shipped, prompts * 3)
    assert time.perf_counter() - start < 1.0
