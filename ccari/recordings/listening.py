"""Opens a recording for listening, with a key that is then forgotten. Neither key nor audio is written to disk."""

import asyncio
import itertools
import subprocess
from pathlib import Path
from typing import Protocol
from uuid import UUID

import structlog
from pydub import AudioSegment
from pyrage.x25519 import Identity

from ccari.errors import ConfigError, InputError, RecordingDelayed
from ccari.own_threads import OwnThreads
from ccari.ports.listening import Opened
from ccari.ports.recordings import Channels, InPlace
from ccari.recordings.reading import identities_in, open_recorded
from ccari.recordings.tags import ENCRYPTED

#: How long reading and opening a recording may take; ten hours of talk take some seconds.
OPEN_SECONDS = 120.0
#: How long ffmpeg may take to decode a recording for its waveform. An hour of talk takes 2 s.
PICTURE_SECONDS = 30.0
#: The number of parts of the waveform, each as high as its loudest sample; and the sample rate that it is computed at.
PARTS, _RATE = 400, 4000
_WIDTH_BYTES = 2
_KINDS = {"wav": "audio/wav", "flac": "audio/flac", "opus": "audio/ogg"}

_log = structlog.get_logger()


class Places(Protocol):
    async def in_place(self, recording_id: UUID) -> InPlace: ...


class Listener:
    """:class:`ccari.ports.listening.Listening` over a folder."""

    def __init__(self, places: Places, folder: Path) -> None:
        self._places = places
        self._folder = folder
        self._threads = OwnThreads("ccari-listening", RecordingDelayed)

    async def find(self, recording: UUID) -> InPlace:
        return await self._places.in_place(recording)

    async def open(self, recording: InPlace, identity: str) -> Opened:
        identities: tuple[Identity, ...] = ()
        if recording.kept.file.endswith(ENCRYPTED):
            try:
                identities = identities_in(identity, "what you gave")
            except ConfigError as error:
                raise InputError("identity", str(error)) from None
        audio = await self._threads.within(OPEN_SECONDS, open_recorded, self._folder, recording, identities)
        peaks = await asyncio.to_thread(_peaks, audio, _channels(recording))
        return Opened(recording, audio, _KINDS[recording.kept.format], peaks)


def _channels(recording: InPlace) -> int:
    return 2 if recording.tag.channels == Channels.STEREO else 1


def _peaks(audio: bytes, channels: int) -> list[list[float]]:
    """The waveform: for each channel, the loudest sample of each part, from 0 to 1.

    Empty if the audio cannot be decoded here; it can still be listened to.
    """
    command = [
        "nice", "-n", "10", "ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-v", "error", "-threads", "1", "-i", "pipe:0",
        "-ac", str(channels), "-ar", str(_RATE), "-f", "s16le", "pipe:1",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, input=audio, capture_output=True, timeout=PICTURE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("recording_not_pictured", error=type(error).__name__)
        return []
    usable = len(done.stdout) // (_WIDTH_BYTES * channels) * _WIDTH_BYTES * channels
    if not usable:
        return []
    sound = AudioSegment(done.stdout[:usable], sample_width=_WIDTH_BYTES, frame_rate=_RATE, channels=channels)
    return [_loudest(side) for side in sound.split_to_mono()]


def _loudest(side: AudioSegment) -> list[float]:
    parts = min(PARTS, int(side.frame_count()))
    edges = [int(side.frame_count()) * part // parts for part in range(parts + 1)]
    slices = (side.get_sample_slice(start, end) for start, end in itertools.pairwise(edges))
    return [round(each.max / each.max_possible_amplitude, 3) for each in slices]
