"""Encoding a raw recording with ffmpeg, its tag inside."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ccari.errors import RecordingDelayed, RecordingError, why
from ccari.recordings.raw import Raw

#: A day of talk takes two minutes on one core; whatever takes longer than this hangs.
ENCODE_SECONDS = 900.0
#: Calls in progress come first.
_HUMBLY = ("nice", "-n", "10")
#: What ffmpeg is told for each format; opus at 24 kbit/s is what telephone speech needs.
_CODECS = {
    "wav": ("-c:a", "pcm_s16le", "-f", "wav"),
    "flac": ("-c:a", "flac", "-f", "flac"),
    "opus": ("-c:a", "libopus", "-b:a", "24k", "-application", "voip", "-f", "ogg"),
}
FORMATS = tuple(_CODECS)

#: Room noise on a telephone line is louder.
SILENT_DBFS = -60.0
_PEAK = re.compile(rb"max_volume: (-?(?:\d+(?:\.\d+)?|inf)) dB")
_FULL = b"No space left on device"


@dataclass(frozen=True, slots=True)
class Encoded:
    """``duration_ms`` of sound; ``silent`` if none of it reaches :data:`SILENT_DBFS`."""

    duration_ms: int
    silent: bool


async def encode(raw: Raw, target: Path, form: str, tags: Mapping[str, str], most_ms: int | None) -> Encoded:
    """Write the first ``most_ms`` (None: all) of a raw file in a format of :data:`FORMATS`.

    Raises
    ------
    RecordingDelayed
        If ffmpeg is not there, has no room, hangs or fails: the raw file is as it was.
    RecordingError
        If ``most_ms`` leaves nothing.
    """
    frames = raw.frames_of(most_ms)
    if frames < 1:
        raise RecordingError(f"nothing of {raw.path.name} may be kept")
    told = [part for name, value in tags.items() for part in ("-metadata", f"{name}={value}")]
    _, errors = await _run(
        "-i", str(raw.path), "-map_metadata", "-1", *told, "-fflags", "+bitexact", "-flags:a", "+bitexact",
        "-af", f"atrim=end_sample={frames},volumedetect", *_CODECS[form], "-y", str(target),
    )  # fmt: skip
    peak = _PEAK.search(errors)
    silent = peak is not None and float(peak[1]) <= SILENT_DBFS
    return Encoded(frames * 1000 // raw.rate, silent)


async def _run(*arguments: str) -> tuple[bytes, bytes]:
    try:
        process = await asyncio.create_subprocess_exec(
            *_HUMBLY, "ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-threads", "1", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise RecordingDelayed(f"ffmpeg cannot be run: {why(error)}") from None
    try:
        async with asyncio.timeout(ENCODE_SECONDS):
            told, errors = await process.communicate()
    except TimeoutError:
        raise RecordingDelayed(f"ffmpeg takes longer than {ENCODE_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RecordingDelayed(_words(process.returncode, errors))
    return told, errors


def _words(code: int, errors: bytes) -> str:
    if _FULL in errors:
        return "there is no room left in the recordings folder"
    if code == 127:  # noqa: PLR2004 - of nice, as of a shell: no such command
        return "there is no ffmpeg: apt-get install ffmpeg"
    last = errors.decode(errors="replace").strip().rpartition("\n")[2]
    return f"ffmpeg failed with {code}: {last}"
