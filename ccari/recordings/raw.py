"""Raw files as Asterisk's format_wav writes them: 16-bit PCM, with lengths in the header only once it is closed."""

import asyncio
import contextlib
import os
import struct
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from ccari.errors import RecordingError

#: RIFF, fmt and data headers; both lengths are nought until the file is closed.
HEADER_BYTES = 44
_RIFF_LENGTH = slice(4, 8)
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
#: What ARI records of a telephone call, if the header does not say it.
_RATE, _CHANNELS, _BYTES_A_SAMPLE = 8000, 1, 2
#: What a header can tell the length of: three days.
_MOST_BYTES = 2**32 - HEADER_BYTES

#: From the reported end of a recording to its closed file; a busy Asterisk takes some hundredths of a second.
CLOSE_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Raw:
    """``frames`` samples of each channel, ``rate`` of them a second."""

    path: Path
    frames: int
    rate: int

    def frames_of(self, most_ms: int | None) -> int:
        """How many there are in its first ``most_ms`` milliseconds."""
        return self.frames if most_ms is None else min(self.frames, most_ms * self.rate // 1000)


async def closed(path: Path) -> None:
    """Wait for Asterisk to close the file: it reports the end a moment before, with up to 32 KiB not yet written.

    A killed Asterisk never does, so the wait is bounded.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            while await asyncio.to_thread(is_open, path):  # noqa: ASYNC110 - a file tells nobody that it is closed
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def is_open(path: Path) -> bool:
    """True if Asterisk has yet to close it: its RIFF length is still nought, or all of it is still to be written."""
    try:
        with _opened(path, "rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError:
        return False
    return header[_RIFF_LENGTH] in {b"", bytes(4)} and (not header or header[:4] == b"RIFF")


def read(path: Path) -> Raw:
    """Look at a raw file, and mend in place what is wrong with its header, so that no sound is lost.

    Raises
    ------
    RecordingError
        If it holds no sound.
    OSError
        If it cannot be read or mended.
    """
    with _opened(path, "rb") as file:
        header = file.read(HEADER_BYTES)
        data = min(os.fstat(file.fileno()).st_size - HEADER_BYTES, _MOST_BYTES)
    channels, rate = _shape(header) or (_CHANNELS, _RATE)
    frame = channels * _BYTES_A_SAMPLE
    frames = data // frame
    if frames < 1:
        raise RecordingError(f"{path.name} holds no sound")
    whole = _header(channels, rate, frames * frame)
    if header != whole:
        with _opened(path, "r+b") as file:
            file.write(whole)
    return Raw(path, frames, rate)


def _opened(path: Path, mode: Literal["rb", "r+b"]) -> BinaryIO:
    """Not what a link leads to, and without waiting for who would write into a pipe: others may write in the spool."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))


def _shape(header: bytes) -> tuple[int, int] | None:
    """Channels and rate; None if it is no header such as Asterisk writes: a failing disk may leave nought there."""
    if len(header) < HEADER_BYTES:
        return None
    riff, _, kind, _, _, encoding, channels, rate, _, align, bits, name, _ = _HEADER.unpack(header)
    sound = (riff, kind, name, encoding, bits) == (b"RIFF", b"WAVE", b"data", wave.WAVE_FORMAT_PCM, 16)
    return (channels, rate) if sound and channels and rate and align == channels * _BYTES_A_SAMPLE else None


def _header(channels: int, rate: int, data: int) -> bytes:
    """A killed Asterisk leaves lengths of nought, one without room too great ones: the file itself knows better."""
    frame = channels * _BYTES_A_SAMPLE
    return _HEADER.pack(
        b"RIFF", data + HEADER_BYTES - 8, b"WAVE", b"fmt ", 16, wave.WAVE_FORMAT_PCM, channels, rate,
        rate * frame, frame, 16, b"data", data,
    )  # fmt: skip
