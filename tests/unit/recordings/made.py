"""A recording as Asterisk leaves it, its tag, and where both lie."""

import subprocess
import wave
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from ccari.ports.recordings import RecordingTag

TAG = RecordingTag(
    recording_id=UUID("f9e0890b-d9e3-4c50-8c0d-86b43751abe6"),
    call_id=UUID("9e46aa91-7039-4a2c-8381-ec2db109eba1"),
    controller="acme",
    campaign="renewals",
    revision=7,
    purpose="odnowienie umowy, część 2",
    legal_basis="legitimate_interest",
    mode="opt_out",
    notice_version="551112e10c3db05d",
    started_at=datetime(2026, 11, 24, 23, 59, 59, 987654, tzinfo=UTC),
    delete_at=datetime(2027, 2, 22, 23, 59, 59, tzinfo=UTC),
)
SECOND = b"\x10\x20" * 8000


def record(path: Path, sound: bytes = SECOND) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(sound)
    return path


def cut_short(path: Path, sound: bytes = SECOND) -> Path:
    """As a killed Asterisk leaves a file (measured): whole but for its two lengths, which are zero."""
    content = bytearray(record(path, b"").read_bytes() + sound)
    content[4:8] = content[40:44] = bytes(4)
    path.write_bytes(content)
    return path


def raw_in(spool: Path) -> Path:
    """Where Asterisk leaves the recording of :data:`TAG`."""
    return spool / f"{TAG.recording_id}.wav"


def files(folder: Path) -> list[str]:
    """All files anywhere below it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def sound_of(file: Path) -> bytes:
    """All its samples: 16 bits each, 8000 a second."""
    arguments = ["ffmpeg", "-v", "error", "-i", str(file), "-f", "s16le", "-ar", "8000", "-"]
    return subprocess.run(arguments, check=True, capture_output=True).stdout


def channels_of(file: Path) -> int:
    arguments = ["ffprobe", "-v", "error", "-show_entries", "stream=channels", "-of", "csv=p=0", str(file)]
    return int(subprocess.run(arguments, check=True, capture_output=True).stdout)


def sides_of(file: Path) -> tuple[bytes, bytes]:
    """As :func:`sound_of`, for the left and the right of a stereo recording."""
    both = sound_of(file)
    left, right = (b"".join(both[at : at + 2] for at in range(side, len(both), 4)) for side in (0, 2))
    return left, right
