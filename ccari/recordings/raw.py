"""Reads raw files as Asterisk's format_wav writes them: 16-bit PCM, with lengths in the header only once the file is closed."""

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

#: The RIFF, fmt and data headers. Both lengths are 0 until the file is closed.
HEADER_BYTES = 44
MAGIC = b"RIFF"
_RIFF_LENGTH = slice(4, 8)
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
BYTES_A_SAMPLE = 2
#: What ARI records of a telephone call; assumed if the header cannot be read.
_RATE, _CHANNELS = 8000, 1
#: How much is read at once: two seconds, half of what a pipe holds.
_PIECE_FRAMES = 16384

#: How long to wait for a file to be closed after the reported end of its recording. A busy Asterisk takes some hundredths of a second.
CLOSE_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Raw:
    """A raw file of ``channels`` channels with ``frames`` samples each, ``rate`` samples a second."""

    path: Path
    frames: int
    rate: int
    channels: int = _CHANNELS

    @property
    def duration_ms(self) -> int:
        return self.frames * 1000 // self.rate

    def frames_of(self, most_ms: int | None) -> int:
        """How many frames its first ``most_ms`` milliseconds have; None: all."""
        return self.frames if most_ms is None else min(self.frames, most_ms * self.rate // 1000)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The sound from frame ``start`` to ``end``, in pieces. All pieces of every raw file have the same length, except the last.

        Raises
        ------
        RecordingDelayed
            If the file has become shorter.
        OSError
            If it cannot be read.
        """
        frame = self.channels * BYTES_A_SAMPLE
        with _opened(self.path) as file:
            file.seek(HEADER_BYTES + start * frame)
            for position in range(start, end, _PIECE_FRAMES):
                size = min(_PIECE_FRAMES, end - position) * frame
                piece = file.read(size)
                if len(piece) < size:
                    raise RecordingDelayed(f"{self.path.name} has become shorter")
                yield piece

    def side(self, start: int, end: int) -> Iterator[bytes]:
        """Like :meth:`pieces`, but the first channel only."""
        for piece in self.pieces(start, end):
            yield piece if self.channels == 1 else memoryview(piece).cast("h")[:: self.channels].tobytes()


async def closed(is_open: Callable[[], Awaitable[bool]]) -> None:
    """Wait for Asterisk to close a file: it reports the end of the recording just before it writes the last (up to 32 KiB).

    A killed Asterisk never closes it, so the wait is limited to :data:`CLOSE_SECONDS`. Raises what ``is_open`` raises.
    """
    if not await is_open():
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            while True:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                if not await is_open():
                    return


def is_open(path: Path) -> bool:
    """True if Asterisk has not closed it yet: its RIFF length is still 0, or nothing has been written."""
    try:
        with _opened(path) as file:
            header = file.read(HEADER_BYTES)
    except OSError:
        return False
    return header[_RIFF_LENGTH] in {b"", bytes(4)} and (not header or header[:4] == MAGIC)


def read(path: Path) -> Raw:
    """Read what a raw file holds. The length is taken from the file's size, not its header: a killed Asterisk leaves 0 there, and one
    with a full disk leaves too great a length.

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
        raise RecordingError(f"{path.name} contains no sound")
    return Raw(path, frames, rate, channels)


def _opened(path: Path) -> BinaryIO:
    """Open a file in the spool, which others can write to: follow no link, and do not block on a pipe."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))


def _shape(header: bytes) -> tuple[int, int] | None:
    """Channels and rate; None if Asterisk did not write this header: a failing disk may leave zeroes there."""
    if len(header) < HEADER_BYTES:
        return None
    riff, _, kind, _, _, encoding, channels, rate, _, align, bits, name, _ = _HEADER.unpack(header)
    is_pcm = (riff, kind, name, encoding, bits) == (MAGIC, b"WAVE", b"data", wave.WAVE_FORMAT_PCM, 16)
    return (channels, rate) if is_pcm and channels and rate and align == channels * BYTES_A_SAMPLE else None
