"""The programs that encode recordings, and the arguments that describe the raw sound on their standard input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccari.recordings.sound import Sound

Arguments = Callable[[Sound, Path, Mapping[str, str]], Sequence[str | bytes]]


@dataclass(frozen=True, slots=True)
class Encoder:
    """``program`` is also the name of its Debian package. The last argument is the output file, which it overwrites."""

    program: str
    arguments: Arguments


def _flac(sound: Sound, target: Path, tags: Mapping[str, str]) -> Sequence[str | bytes]:
    return [
        "--silent", "--force", "--no-padding",
        "--force-raw-format", "--endian=little", "--sign=signed", "--bps=16",
        f"--channels={sound.channels}", f"--sample-rate={sound.rate}", f"--input-size={sound.size}",
        # the tag is in UTF-8 whatever the service's locale
        "--no-utf8-convert", *(f"--tag={_VORBIS.get(name, name)}={value}".encode() for name, value in tags.items()),
        "-", "-o", str(target),
    ]  # fmt: skip


def _opus(sound: Sound, target: Path, tags: Mapping[str, str]) -> Sequence[str | bytes]:
    return [
        # before version 6, ffmpeg ends with 0 without -xerror even if the last write fails
        "-nostdin", "-v", "error", "-xerror", "-threads", "1",
        "-f", "s16le", "-ar", str(sound.rate), "-ac", str(sound.channels), "-i", "pipe:0",
        "-map_metadata", "-1", *_repeated("-metadata", tags), "-fflags", "+bitexact", "-flags:a", "+bitexact",
        # settings for telephone speech
        "-c:a", "libopus", "-b:a", "24k", "-application", "voip", "-f", "ogg", "-y", str(target),
    ]  # fmt: skip


def _repeated(option: str, tags: Mapping[str, str]) -> Sequence[str | bytes]:
    return [part for name, value in tags.items() for part in (option, f"{name}={value}".encode())]


#: Our tag names, where the Vorbis comment of a FLAC file uses others (xiph.org/vorbis/doc/v-comment.html), as ffmpeg does.
_VORBIS = {"comment": "DESCRIPTION"}
ENCODERS = {"flac": Encoder("flac", _flac), "opus": Encoder("ffmpeg", _opus)}
