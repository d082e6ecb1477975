"""Measures audio by its signal: which tones a stretch contains, and what else.

Levels are in dBFS, where a full-scale sine is 0 dB, so that a tone and the rest can be compared.
"""

import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

WINDOW_SECONDS = 0.1
FLOOR_DBFS = -120.0
"""What nothing at all measures as."""

#: Well below the level at which a tone arrives (about -12 dBFS), well above the noise of coding and packet loss.
PRESENT_DBFS = -30.0
ABSENT_DBFS = -45.0

RIFF_HEADER = 8

#: The sample rate that telephone recordings are decoded to.
_RATE = 8000
_COMMAND_SECONDS = 30.0


@dataclass(frozen=True)
class Audio:
    """One channel of a recording; samples range from -1 to 1."""

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return len(self.samples) / self.rate

    def between(self, start: float, end: float | None = None) -> "Audio":
        """The stretch from ``start`` to ``end`` seconds."""
        stop = None if end is None else round(end * self.rate)
        return Audio(self.samples[round(start * self.rate) : stop], self.rate)

    def windows(self, seconds: float = WINDOW_SECONDS) -> list[Samples]:
        """Split it into whole windows; a shorter rest is dropped."""
        size = round(seconds * self.rate)
        return [self.samples[at : at + size] for at in range(0, len(self.samples) - size + 1, size)]

    def tone_levels(self, hz: float, seconds: float = WINDOW_SECONDS) -> Samples:
        """The level of a tone in each window, by least squares: a window need not contain whole periods."""
        windows = self._side_by_side(seconds)
        if not windows.size:
            return np.array([])
        sine, cosine = np.linalg.lstsq(_waves(len(windows), self.rate, [hz]), windows, rcond=None)[0]
        return _dbfs(np.hypot(sine, cosine))

    def other_levels(self, tones: Sequence[float], seconds: float = WINDOW_SECONDS) -> Samples:
        """The level of the rest of each window, without the tones."""
        windows = self._side_by_side(seconds)
        if not windows.size:
            return np.array([])
        rest = windows
        if tones:
            waves = _waves(len(windows), self.rate, tones)
            rest = windows - waves @ np.linalg.lstsq(waves, windows, rcond=None)[0]
        return _dbfs(np.sqrt(2 * np.mean(rest**2, axis=0)))

    def _side_by_side(self, seconds: float) -> Samples:
        """The windows as the columns of one matrix, so that one calculation measures them all."""
        windows = self.windows(seconds)
        return np.column_stack(windows) if windows else np.empty((0, 0))


def has(sound: Audio, hz: float) -> bool:
    return bool(sound.windows()) and float(np.max(sound.tone_levels(hz))) > PRESENT_DBFS


def lacks(sound: Audio, hz: float) -> bool:
    return not sound.windows() or float(np.max(sound.tone_levels(hz))) < ABSENT_DBFS


def read(path: Path, channel: int = 0) -> Audio:
    """One channel of a 16-bit wav file."""
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"{path.name} has {8 * file.getsampwidth()} bits a sample, not 16")
        frames = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        return Audio(frames.reshape(-1, file.getnchannels())[:, channel] / 32768.0, file.getframerate())


def recorded(file: Path, identity: Path, channel: int | None = None) -> Audio:
    """A stored recording, or one channel of it, decrypted by Debian's ``age`` and decoded by ``ffmpeg``: independent
    readers.
    """
    content = file.read_bytes()
    if file.suffix == ".age":
        content = _told(["age", "--decrypt", "--identity", str(identity), str(file)])
    which = [] if channel is None else ["-af", f"pan=mono|c0=c{channel}"]
    to_samples = [*which, "-f", "s16le", "-ac", "1", "-ar", str(_RATE), "-"]
    samples = _told(["ffmpeg", "-nostdin", "-loglevel", "error", "-i", "-", *to_samples], content)
    return Audio(np.frombuffer(samples, dtype="<i2") / 32768.0, _RATE)


def _told(command: Sequence[str], given: bytes = b"") -> bytes:
    done = subprocess.run(command, input=given, capture_output=True, timeout=_COMMAND_SECONDS, check=False)
    if done.returncode:
        raise ValueError(f"{command[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def is_whole(path: Path) -> bool:
    """Whether a wav file was closed: only then does Asterisk write the length into its header."""
    with path.open("rb") as file:
        header = file.read(RIFF_HEADER)
        length = file.seek(0, 2)
    return len(header) == RIFF_HEADER and int.from_bytes(header[4:], "little") == length - RIFF_HEADER


def _waves(count: int, rate: int, tones: Sequence[float]) -> Samples:
    angles = 2 * np.pi * np.outer(np.arange(count) / rate, np.asarray(tones, dtype=np.float64))
    return np.hstack([np.sin(angles), np.cos(angles)])


def _dbfs(amplitudes: Samples) -> Samples:
    return 20 * np.log10(np.maximum(amplitudes, 10 ** (FLOOR_DBFS / 20)))
