"""Signals, files and the real engine for the tests of prompts."""

import wave
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ccari.sounds import Catalogue, EspeakNg
from ccari.sounds.audio import RATE

Samples = npt.NDArray[np.float64]
Sound = tuple[Samples, int]

SHIPPED = Path(__file__).parents[3] / "sounds"


@pytest.fixture(scope="session")
def shipped() -> Path:
    """The folder of sounds in the repository."""
    return SHIPPED


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.load(SHIPPED / "catalogue.toml")


@pytest.fixture
def engine() -> EspeakNg:
    return EspeakNg()


@pytest.fixture(scope="session")
def read_wav() -> Callable[[Path], Sound]:
    """The samples, in -1..1, of a 16-bit mono file, and its rate."""

    def read(path: Path) -> Sound:
        with wave.open(str(path), "rb") as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            frames = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            return frames / 32768.0, file.getframerate()

    return read


@pytest.fixture(scope="session")
def read_sound() -> Callable[[Path], Sound]:
    """The samples, in -1..1, of a file that was built, and its rate."""

    def read(path: Path) -> Sound:
        return np.frombuffer(path.read_bytes(), dtype="<i2") / 32768.0, RATE

    return read


@pytest.fixture(scope="session")
def write_wav() -> Callable[[Path, Samples, int], Path]:
    """Write samples in -1..1, one column per channel, to a 16-bit file; folders are created."""

    def write(path: Path, samples: Samples, rate: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        return path

    return write


@pytest.fixture(scope="session")
def lufs() -> Callable[[Samples, int], float]:
    """Integrated loudness by ITU-R BS.1770 for one channel, written out here so that ffmpeg does not judge its own
    work.
    """

    @cache
    def k_weight(length: int, rate: int) -> Samples:
        """The magnitude of the standard's two filters, given for 48 kHz, at each frequency of a spectrum."""
        z = np.exp(2j * np.pi * np.fft.rfftfreq(length, 1 / rate) / 48000)
        shelf_b, shelf_a = (
            (1.53512485958697, -2.69169618940638, 1.19839281085285),
            (-1.69065929318241, 0.73248077421585),
        )
        high_a = (-1.99004745483398, 0.99007225036621)
        shelf = (shelf_b[0] + shelf_b[1] / z + shelf_b[2] / z**2) / (1 + shelf_a[0] / z + shelf_a[1] / z**2)
        high = (1 - 2 / z + 1 / z**2) / (1 + high_a[0] / z + high_a[1] / z**2)
        weight: Samples = np.abs(shelf * high)
        return weight

    def measure(samples: Samples, rate: int) -> float:
        # there are few lengths, and computing the weights of each takes longer than everything else
        length = 1 << (len(samples) - 1).bit_length()
        spectrum = np.fft.rfft(samples, length) * k_weight(length, rate)
        weighted = np.fft.irfft(spectrum, length)[: len(samples)]
        block, step = int(0.4 * rate), int(0.1 * rate)
        starts = range(0, len(weighted) - block + 1, step)
        power = np.array([np.mean(weighted[start : start + block] ** 2) for start in starts])
        power = power[power > 10 ** ((-70 + 0.691) / 10)]
        power = power[power > np.mean(power) / 10]
        return float(-0.691 + 10 * np.log10(np.mean(power)))

    return measure
