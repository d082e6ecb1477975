"""Which tones a sound file holds: every prompt of the studio is one, and so are the two voices."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.integration.studio import CONFIRMED, TONES
from tests.lab import audio
from tests.lab.callees import AGENT_TONE_HZ, TONE_HZ
from tests.soak.account import Sounding

#: A tone that lasts this long was played: digits and keys hold a little of many.
CERTAIN_SECONDS = 0.3
WINDOW_SECONDS = 0.1
#: What Asterisk plays to somebody who waits, beside the agent's own 440 Hz.
_RINGING_HZ = 480.0
#: Below this amplitude nothing is heard; full scale is 1.
_LEAST = 0.02
#: The least share of a window's power, without voices, that belongs to the tone.
_DOMINANT = 0.5
_PROMPTS = tuple(sorted({*TONES.values(), CONFIRMED}))


def tones(samples: NDArray[np.float64], rate: int) -> tuple[Sounding, ...]:
    """The prompts and the agent's voice, in the order in which they begin."""
    size = round(WINDOW_SECONDS * rate)
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    if not len(windows):
        return ()
    # blank windows are left alone; the rest is measured without its constant part
    windows = windows - windows.mean(axis=1, keepdims=True)
    power = 2 * (windows**2).mean(axis=1)
    level = {hz: _level(windows, rate, hz) for hz in (*_PROMPTS, AGENT_TONE_HZ, TONE_HZ, _RINGING_HZ)}
    voices = level[AGENT_TONE_HZ] ** 2 + level[TONE_HZ] ** 2
    found: list[Sounding] = []
    for hz in _PROMPTS:
        own = level[hz] ** 2
        found += _stretches(hz, (level[hz] > _LEAST) & (own > _DOMINANT * np.maximum(power - voices, own)))
    spoken = level[AGENT_TONE_HZ]
    talking = (spoken > _LEAST) & (level[_RINGING_HZ] < spoken / 3) & (spoken**2 > power / 8)
    found += [each for each in _stretches(AGENT_TONE_HZ, talking) if each.seconds >= CERTAIN_SECONDS]
    return tuple(sorted(found, key=lambda each: each.began))


def heard(path: Path) -> tuple[Sounding, ...]:
    """The tones of a wav file; none if it is empty or was cut off within its header."""
    try:
        sound = audio.read(path)
    except (wave.Error, EOFError):
        return ()
    return tones(sound.samples, sound.rate)


def _level(windows: NDArray[np.float64], rate: int, hz: float) -> NDArray[np.float64]:
    size = windows.shape[1]
    turn = np.exp(-2j * np.pi * hz * np.arange(size) / rate)
    return np.asarray(2 * np.abs(windows @ turn) / size, dtype=np.float64)


def _stretches(hz: float, there: NDArray[np.bool_]) -> list[Sounding]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], there.astype(np.int8), [0]))))
    return [
        Sounding(hz, float(began * WINDOW_SECONDS), float(ended * WINDOW_SECONDS))
        for began, ended in edges.reshape(-1, 2)
    ]
