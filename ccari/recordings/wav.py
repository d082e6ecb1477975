"""Writes the header of a RIFF/WAVE file with a tag inside.

The format is that of Multimedia Programming Interface and Data Specifications 1.0, IBM and Microsoft, 1991.
"""

import struct
import wave
from collections.abc import Mapping

from ccari.recordings.raw import BYTES_A_SAMPLE

#: The LIST INFO chunks for the common names; there are no others.
_INFO = {"title": b"INAM", "artist": b"IART", "album": b"IPRD", "date": b"ICRD", "comment": b"ICMT"}
#: Readers take this length as "until the end of the file". A length has 32 bits; a day and a half in stereo needs more.
_TO_THE_END = 2**32 - 1


def header(channels: int, rate: int, size: int, tags: Mapping[str, str]) -> bytes:
    """The header in front of ``size`` bytes of 16-bit PCM."""
    frame = channels * BYTES_A_SAMPLE
    info = b"".join(
        _chunk(_INFO[name], value.encode() + b"\0") for name, value in tags.items() if name in _INFO
    )
    shape = struct.pack(
        "<HHIIHH", wave.WAVE_FORMAT_PCM, channels, rate, rate * frame, frame, 8 * BYTES_A_SAMPLE
    )
    inside = b"WAVE" + _chunk(b"fmt ", shape) + _chunk(b"LIST", b"INFO" + info) + _head(b"data", size)
    return _head(b"RIFF", len(inside) + size) + inside


def _chunk(name: bytes, content: bytes) -> bytes:
    """A chunk, padded to an even length, as RIFF requires."""
    return _head(name, len(content)) + content + b"\0" * (len(content) % 2)


def _head(name: bytes, size: int) -> bytes:
    return struct.pack("<4sI", name, min(size, _TO_THE_END))
