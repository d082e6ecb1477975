"""Raw files as Asterisk's format_wav writes them: 16-bit PCM, with lengths in the header only once it is closed."""

import asyncio
import contextlib
import os
import struct
import wave
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ccari.errors import RecordingDelayed, RecordingError

#: RIFF, fmt and data headers; both lengths are nought until the file is closed.
HEADER_BYTES = 44
_RIFF_LENGTH = slice(4, 8)
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
BYTES_A_SAMPLE = 2
#: What ARI records of a telephone call, if the header does not say it.
_RATE, _CHANNELS = 8000, 1
#: What is read at once: two seconds, half of what a pipe holds.
_PIECE_FRAMES = 16384

#: From the reported end of a recording to its closed file; a busy Asterisk takes some hundredths of a second.
CLOSE_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Raw:
    """``frames`` samples of each of ``channels``, ``rate`` of them a second."""

    path: Path
    frames: int
    rate: int
    channels: int = _CHANNELS

    def frames_of(self, most_ms: int | None) -> int:
        """How many there are in its first ``most_ms`` milliseconds."""
        return self.frames if most_ms is None else min(self.frames, most_ms * self.rate // 1000)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """What is between two frames, piece by piece; all pieces of all raw files are of one length, but for the last.

        Raises
        ------
        RecordingDelayed
            If they are not there any more.
        OSError
            If they cannot be read.
        """
        frame = self.channels * BYTES_A_SAMPLE
        with _opened(self.path) as file:
            file.seek(HEADER_BYTES + start * frame)
            for at in range(start, end, _PIECE_FRAMES):
                size = min(_PIECE_FRAMES, end - at) * frame
                piece = file.read(size)
                if len(piece) < size:
                    raise RecordingDelayed(f"{self.path.name} has become shorter")
                yield piece

    def side(self, start: int, end: int) -> Iterator[bytes]:
        """As :meth:`pieces`, of the first channel only."""
        for piece in self.pieces(start, end):
            yield piece if self.channels == 1 else memoryview(piece).cast("h")[:: self.channels].tobytes()


async def closed(is_open: Callable[[], Awaitable[bool]]) -> None:
    """Wait for Asterisk to close a file: it reports the end a moment before, with up to 32 KiB not yet written.

    A killed Asterisk never does, so the wait is bounded. What ``is_open`` raises ends it.
    """
    still = await is_open()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            while still:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                still = await is_open()


def is_open(path: Path) -> bool:
    """True if Asterisk has yet to close it: its RIFF length is still nought, or all of it is still to be written."""
    try:
        with _opened(path) as file:
            header = file.read(HEADER_BYTES)
    except OSError:
        return False
    return header[_RIFF_LENGTH] in {b"", bytes(4)} and (not header or header[:4] == b"RIFF")


def read(path: Path) -> Raw:
    """Look at a raw file. Of its length it knows better itself: a killed Asterisk leaves lengths of nought in the header, one
    without room too great ones.

    Raises
    ------
    RecordingError
        If it holds no sound.
    OSError
        If it cannot be read.
    """
    with _opened(path) as file:
        channels, rate = _shape(file.read(HEADER_BYTES)) or (_CHANNELS, _RATE)
        frames = (os.fstat(file.fileno()).st_size - HEADER_BYTES) // (channels * BYTES_A_SAMPLE)
    if frames < 1:
        raise RecordingError(f"{path.name} holds no sound")
    return Raw(path, frames, rate, channels)


def _opened(path: Path) -> BinaryIO:
    """Not what a link leads to, and without waiting for who would write into a pipe: others may write in the spool."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))


def _shape(header: bytes) -> tuple[int, int] | None:
    """Channels and rate; None if it is no header such as Asterisk writes: a failing disk may leave nought there."""
    if len(header) < HEADER_BYTES:
        return None
    riff, _, kind, _, _, encoding, channels, rate, _, align, bits, name, _ = _HEADER.unpack(header)
    sound = (riff, kind, name, encoding, bits) == (b"RIFF", b"WAVE", b"data", wave.WAVE_FORMAT_PCM, 16)
    return (channels, rate) if sound and channels and rate and align == channels * BYTES_A_SAMPLE else None
