"""The sounds in the repository, measured as a callee hears them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ccari.sounds import Catalogue, Manifest, check

Samples = npt.NDArray[np.float64]
Read = Callable[[Path], tuple[Samples, int]]

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
    sounds = {f"{key}.{ending}" for key in wanted for ending in ("wav", "wav16")}
    assert files == {"catalogue.toml", "manifest.json", *sounds}


def test_the_repository_stays_small(shipped: Path) -> None:
    assert sum(path.stat().st_size for path in shipped.rglob("*.wav*")) < 8 * MEBIBYTE


def test_all_are_equally_loud_and_none_clips(
    shipped: Path, manifest: Manifest, read_wav: Read, lufs: Callable[[Samples, int], float]
) -> None:
    """-24 LUFS within 0.3; 0.3 more, as two meters place their blocks of 0.4 s differently."""
    for key, entry in manifest.entries.items():
        for ending, file in entry.files.items():
            samples, rate = read_wav(shipped / f"{key}.{ending}")
            assert -24.6 < lufs(samples, rate) < -23.4, f"{key}.{ending}"
            assert abs(lufs(samples, rate) - file.lufs) < 0.4, f"{key}.{ending}"
            assert np.max(np.abs(samples)) < 10 ** (-2.9 / 20), f"{key}.{ending}"


def test_both_rates_last_equally_long(shipped: Path, manifest: Manifest, read_wav: Read) -> None:
    """A call that changes codec must not change how long a notice has to play to count as heard."""
    for key, entry in manifest.entries.items():
        (narrow, low), (wide, high) = read_wav(shipped / f"{key}.wav"), read_wav(shipped / f"{key}.wav16")
        assert (low, high) == (8000, 16000)
        assert abs(len(narrow) / low - len(wide) / high) < 0.005, key
        assert abs(len(narrow) / low * 1000 - entry.duration_ms) <= 1, key


def test_each_starts_at_once_and_ends_in_a_short_silence(
    shipped: Path, manifest: Manifest, read_wav: Read
) -> None:
    for key in manifest.entries:
        samples, rate = read_wav(shipped / f"{key}.wav")
        heard = np.flatnonzero(np.abs(samples) > 0.005) / rate
        assert heard[0] < 0.1, key
        assert 0.1 < len(samples) / rate - heard[-1] < 0.35, key
        assert np.max(np.abs(samples[-int(0.14 * rate) :])) < 0.001, key


def test_none_keeps_a_callee_waiting(manifest: Manifest) -> None:
    """The agreed Polish recording notice is the longest; no other prompt takes ten seconds."""
    long = {key for key, entry in manifest.entries.items() if entry.duration_ms > 10_000}
    assert long <= {"pl/recording_notice"}
    assert max(entry.duration_ms for entry in manifest.entries.values()) < 12_000


def test_the_machine_they_were_built_on_does_not_show(shipped: Path) -> None:
    text = (shipped / "manifest.json").read_text(encoding="utf-8")
    assert str(Path.home()) not in text
    assert "/tmp" not in text  # noqa: S108 - looked for, not used
    for path in shipped.rglob("*.wav*"):
        assert path.read_bytes()[36:40] == b"data", f"{path.name} has a header that Asterisk need not skip"
