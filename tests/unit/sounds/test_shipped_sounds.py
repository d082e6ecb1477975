"""The sounds in the repository, measured as a callee hears them."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ccari.sounds import Catalogue, Manifest
from tests.unit.sounds.fitness import check

Samples = npt.NDArray[np.float64]
Sound = tuple[Samples, int]

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def manifest(shipped: Path) -> Manifest:
    return Manifest.load(shipped)


def test_they_say_what_the_catalogue_says(catalogue: Catalogue, shipped: Path) -> None:
    for language in catalogue.languages:
        assert check(shipped, catalogue.fixed(language)) == []


def test_no_file_is_shipped_that_the_manifest_does_not_know(
    catalogue: Catalogue, shipped: Path, manifest: Manifest
) -> None:
    wanted = {prompt.key for language in catalogue.languages for prompt in catalogue.fixed(language)}
    assert set(manifest.entries) == wanted
    files = {str(path.relative_to(shipped)) for path in shipped.rglob("*") if path.is_file()}
    sounds = {f"{key}.sln12" for key in wanted}
    assert files == {"catalogue.toml", "manifest.json", *sounds}


def test_the_repository_stays_small(shipped: Path) -> None:
    """Four languages, some four minutes each, at 24 kB a second."""
    assert sum(path.stat().st_size for path in shipped.rglob("*.*")) < 24 * MEBIBYTE


@pytest.fixture(scope="module")
def heard(
    shipped: Path, manifest: Manifest, read_sound: Callable[[Path], Sound]
) -> dict[tuple[str, str], Sound]:
    """Every file's samples, by key and ending."""
    return {
        (key, ending): read_sound(shipped / f"{key}.{ending}")
        for key, entry in manifest.entries.items()
        for ending in entry.files
    }


def test_all_are_equally_loud_and_none_clips(
    heard: Mapping[tuple[str, str], Sound], manifest: Manifest, lufs: Callable[[Samples, int], float]
) -> None:
    """-24 LUFS within 0.3; 0.3 more, as two meters place their blocks of 0.4 s differently."""
    for (key, ending), (samples, rate) in heard.items():
        # for a single digit it would depend on where the meter's blocks of 0.4 s fall
        loudness = lufs(np.tile(samples, max(1, math.ceil(3 * rate / len(samples)))), rate)
        assert -24.6 < loudness < -23.4, f"{key}.{ending}"
        assert abs(loudness - manifest.entries[key].files[ending].lufs) < 0.4, f"{key}.{ending}"
        # the true peak, between samples, is at most -3 dBTP
        assert np.max(np.abs(samples)) < 10 ** (-2.9 / 20), f"{key}.{ending}"


def test_each_lasts_as_long_as_the_manifest_says(
    heard: Mapping[tuple[str, str], Sound], manifest: Manifest
) -> None:
    """It shows whether a notice was played whole."""
    for (key, _), (samples, rate) in heard.items():
        assert abs(len(samples) / rate * 1000 - manifest.entries[key].duration_ms) <= 1, key


def test_each_starts_at_once_and_ends_in_a_short_silence(heard: Mapping[tuple[str, str], Sound]) -> None:
    for (key, ending), (samples, rate) in heard.items():
        loud = np.flatnonzero(np.abs(samples) > 0.005) / rate
        assert loud[0] < 0.1, f"{key}.{ending}"
        assert 0.1 < len(samples) / rate - loud[-1] < 0.35, f"{key}.{ending}"
        assert np.max(np.abs(samples[-int(0.14 * rate) :])) < 0.001, f"{key}.{ending}"


def test_none_keeps_a_callee_waiting(manifest: Manifest) -> None:
    """The agreed Polish recording notice is the longest; no other prompt takes ten seconds."""
    long = {key for key, entry in manifest.entries.items() if entry.duration_ms > 10_000}
    assert long <= {"pl/recording_notice"}
    assert max(entry.duration_ms for entry in manifest.entries.values()) < 12_000


def test_the_machine_they_were_built_on_does_not_show(shipped: Path) -> None:
    text = (shipped / "manifest.json").read_text(encoding="utf-8")
    assert str(Path.home()) not in text
    assert "/tmp" not in text  # noqa: S108 - looked for, not used
