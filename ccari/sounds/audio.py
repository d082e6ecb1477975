"""Turns a synthesised or recorded sound into the files that Asterisk plays: trimmed, equally loud, at telephone rates."""

import math
import os
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydub import AudioSegment
from pydub.silence import detect_leading_silence

from ccari.errors import SoundError

#: The extension of Asterisk's format_sln that is built, and its sampling rate in Hz: 16-bit samples without a header. No telephone talks
#: at this rate, so Asterisk gives each prompt a converter of its own. Debian's Asterisk needs that: its patch for lost packets goes by
#: packet numbers, and all frames of a file have the number 0. If one converter gets frames of both, it drops the prompt, or what the
#: other party says after it. At the talk's rate a prompt would share the telephone's converter; in the other party's codec, the
#: recording's. The rate must also be below 16 kHz: a recording with wideband frames is played too slowly from the point where Asterisk
#: meets frames of a higher rate (``audiohook_read_frame_helper`` in 22.10.1).
FORMAT, RATE = "sln12", 12000
#: Bytes per sample.
_BYTES = 2
#: The integrated loudness (EBU R128) of every file, measured at its own rate: near the -26 dBov speech level of ITU-T P.56.
TARGET_LUFS = -24.0
#: The tolerance of a finished file's loudness, in LU.
TOLERANCE_LU = 0.3
#: The highest true peak of a finished file, in dBTP, which leaves room for the line's codecs.
PEAK_DBTP = -3.0
#: Silence at the end, in ms, as a pause before the next prompt.
TAIL_MS = 150

#: A sound with a lower peak, in dBFS, contains no speech.
_SILENT_DBFS = -60.0
#: Both ends are trimmed where they are this far below the peak, in dB. A soft "s" or "f" is louder.
_TRIM_DB = 45.0
#: What counts as full scale, in dBFS, and how many samples may reach it: an unclipped wave only touches it, a clipped one stays there.
_FULL_SCALE_DBFS, _CRESTS = -0.1, 10
#: The header of a WAV file that was written to a pipe states this length in bytes, or more, which means nothing: sox and ffmpeg write
#: different values.
_UNKNOWN_LENGTH = 0x7FFF0000
#: The head of each chunk of such a file: its name and length.
_CHUNK = struct.Struct("<4sI")
#: How much to keep before the first and after the last sound, in ms, faded in and out to avoid clicks.
_LEAD_MS, _RELEASE_MS = 15, 40
#: The rate for processing, in Hz: higher than any source's, so that each file is resampled downwards, once.
_WORK_RATE = 48000
#: Removes DC and rumble, which would mislead the trimming and which no telephone carries.
_RUMBLE_FILTER = "highpass=f=80"
#: How often the gain is corrected at most: usually once, more often if the limiter reduces the loudness.
_PASSES = 8
#: How far, in dB, the limiter starts below the wanted true peak, since it limits only samples. It is lowered further if that is not
#: enough.
_OVERSHOOT_DB = 1.0
#: A sound shorter than this, in s, is repeated for the measurement: R128 counts whole blocks of 0.4 s, so the loudness of a short one,
#: such as a digit, would depend on where the blocks begin.
_SHORT = 3.0
#: More samples than such a sound can have at any rate that ffmpeg may measure it at.
_MOST_REPEATED = 1_000_000
#: How long one run of ffmpeg may take, in s.
_FFMPEG_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Level:
    """``lufs``: integrated loudness, -inf for silence. ``peak``: true peak in dBTP."""

    lufs: float
    peak: float

    @property
    def good(self) -> bool:
        return abs(self.lufs - TARGET_LUFS) <= TOLERANCE_LU and self.peak <= PEAK_DBTP


@dataclass(frozen=True, slots=True)
class Source:
    """A recording as delivered. ``rate``: its sampling rate in Hz. ``clipped``: its peaks are cut off. ``seconds``: how long it is;
    ``missing_seconds``: how much longer it would be by its own header, if the file was not copied to its end.
    """

    rate: int
    clipped: bool
    seconds: float
    missing_seconds: float


def require_ffmpeg() -> None:
    """Raise SoundError if ffmpeg, which resamples and measures, is not installed."""
    if shutil.which("ffmpeg") is None:
        raise SoundError("ffmpeg is not installed: apt-get install ffmpeg")


def inspect(path: Path) -> Source:
    """Inspect a recording as delivered. Raises SoundError if it is not a sound file."""
    try:
        # as 16-bit samples, so that clipping shows even if a lossy codec has raised samples above full scale
        report = _ffmpeg("-i", f"file:{path}", "-map", "0:a:0", "-af",
                       "aformat=sample_fmts=s16,astats=measure_perchannel=none", "-f", "null", "-")  # fmt: skip
    except SoundError as error:
        raise SoundError(f"{path.name} cannot be read as sound: {error}") from error
    rate = re.search(r"Audio: .*?(\d+) Hz", report)
    peak, count, samples = (
        re.search(rf"\b{name}: (\S+)", report)
        for name in ("Peak level dB", "Peak count", "Number of samples")
    )
    if rate is None or peak is None or count is None or samples is None:
        raise SoundError(f"{path.name} cannot be read as sound: it contains none")
    clipped = float(peak[1]) > _FULL_SCALE_DBFS and float(count[1]) > _CRESTS
    seconds = int(samples[1]) / int(rate[1])
    return Source(
        int(rate[1]), clipped, seconds, max(0.0, _declared_seconds(path, report, seconds) - seconds)
    )


def _declared_seconds(path: Path, report: str, seconds: float) -> float:
    """How long a recording is by its header; ``seconds``, its actual length, if the header does not say, as in Ogg."""
    declared = re.search(r"^  Duration: (\d+):(\d+):([\d.]+)", report, re.MULTILINE)
    # for a WAV file, or an MP3 file without a header, ffmpeg estimates the duration from the file's size
    if declared is None or "Estimating duration from bitrate" in report:
        return seconds * _declared_part(path)
    return int(declared[1]) * 3600 + int(declared[2]) * 60 + float(declared[3])


def _declared_part(path: Path) -> float:
    """The ratio of the samples stated in a WAV file's header to those in the file; 1 if the header does not say."""
    with path.open("rb") as file:
        if file.read(12)[:4] == b"RIFF":
            while len(head := file.read(_CHUNK.size)) == _CHUNK.size:
                name, size = _CHUNK.unpack(head)
                if name == b"data":
                    there = os.fstat(file.fileno()).st_size - file.tell()
                    return size / there if 0 < there < size < _UNKNOWN_LENGTH else 1.0
                file.seek(size + size % 2, os.SEEK_CUR)
    return 1.0


def spoken_seconds(sound: AudioSegment) -> float:
    """The duration of the words of a loaded sound, without the silence at its end."""
    return (len(sound) - TAIL_MS) / 1000


def load(path: Path, work: Path) -> AudioSegment:
    """Decode any sound file and trim it to the speech.

    Returns 32-bit mono at 48 kHz with short fades and TAIL_MS of silence at its end. ``work``: a folder for a temporary file. Raises
    SoundError if it is not a sound file, or is silent.
    """
    decoded = work / "decoded.wav"
    # not with pydub, which reads the floats of a WAV file with an extensible header as integers
    try:
        _ffmpeg("-i", f"file:{path}", "-vn", "-af", _RUMBLE_FILTER, "-ac", "1", "-ar", str(_WORK_RATE),
                "-c:a", "pcm_s32le", str(decoded))  # fmt: skip
    except SoundError as error:
        raise SoundError(f"{path.name} cannot be read as sound: {error}") from error
    with decoded.open("rb") as file:
        sound = AudioSegment.from_wav(file)
    decoded.unlink()
    if sound.max_dBFS < _SILENT_DBFS:
        raise SoundError(f"{path.name} contains only silence")
    threshold = sound.max_dBFS - _TRIM_DB
    start = detect_leading_silence(sound, threshold, chunk_size=5)
    end = len(sound) - detect_leading_silence(sound.reverse(), threshold, chunk_size=5)
    spoken = sound[max(0, start - _LEAD_MS) : end + _RELEASE_MS]
    spoken = spoken.fade_in(_LEAD_MS).fade_out(_RELEASE_MS)
    return spoken + AudioSegment.silent(TAIL_MS, frame_rate=_WORK_RATE)


def write(sound: AudioSegment, out: Path) -> Level:
    """Write ``sound`` to ``out``, in FORMAT, at the target loudness; return the level measured.

    The gain is linear; a limiter is used only if the peaks would be too high. The level is measured on the samples of the
    file. Raises SoundError if the loudness cannot be reached within the tolerance.
    """
    samples = out.with_name(f"{out.name}.wav")
    sound.export(str(samples), format="wav").close()
    repeat = math.ceil(_SHORT / max(len(sound) / 1000, 0.05)) - 1
    gain, ceiling = TARGET_LUFS - sound.dBFS, None
    for _ in range(_PASSES):
        level = _render(samples, out, gain, ceiling, repeat)
        if level.good:
            samples.unlink()
            return level
        error = TARGET_LUFS - level.lufs
        if ceiling is not None:
            ceiling -= max(0.0, level.peak - PEAK_DBTP)
        elif level.peak + error > PEAK_DBTP:
            ceiling = PEAK_DBTP - _OVERSHOOT_DB
        gain += error
    raise SoundError(
        f"loudness {level.lufs:.1f} LUFS with a peak of {level.peak:.1f} dBTP: wanted {TARGET_LUFS} and {PEAK_DBTP}; "
        "the recording has noises far louder than its speech"
    )


def _render(samples: Path, out: Path, gain: float, ceiling: float | None, repeat: int) -> Level:
    """Write the samples at ``gain`` (dB), and measure them with ffmpeg's R128 meter, to 0.1 dB, repeated ``repeat`` times.

    One run does both, since ffmpeg takes longer to start than to do either. Its loudnorm filter measures too, but is up to 0.5 LU off if
    a prompt has pauses.
    """
    # swresample filters before it lowers the rate; with pydub's set_frame_rate, sibilants would alias into the speech
    filters = [f"aresample={RATE}:filter_size=64:cutoff=0.96", f"volume={gain:.3f}dB:precision=float"]
    if ceiling is not None:
        filters.append(f"alimiter=limit={10 ** (ceiling / 20):.4f}:level=false:latency=true")
    filters.append(f"aformat=sample_fmts=s16:sample_rates={RATE}")
    meter = [f"aloop=loop={repeat}:size={_MOST_REPEATED}"] if repeat else []
    meter.append("ebur128=peak=true:framelog=quiet")
    graph = f"[0:a]{','.join(filters)},asplit[rendered][metered];[metered]{','.join(meter)}[measured]"
    report = _ffmpeg("-f", "wav", "-i", f"file:{samples}", "-filter_complex", graph,
                   "-map", "[rendered]", "-f", "s16le", f"file:{out}",
                   "-map", "[measured]", "-f", "null", "-")  # fmt: skip
    summary = report[report.rindex("Summary:") :]
    lufs, peak = (re.search(rf"{name}:\s+(\S+) ", summary) for name in ("I", "Peak"))
    if lufs is None or peak is None:
        raise SoundError("ffmpeg's loudness meter gave no result")
    return Level(float(lufs[1]), float(peak[1]))


def plays_ms(path: Path) -> int:
    """How long a file in FORMAT plays, in ms."""
    return round(path.stat().st_size / _BYTES / RATE * 1000)


def _ffmpeg(*options: str) -> str:
    try:
        done = subprocess.run(
            ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-y", *options],
            capture_output=True, timeout=_FFMPEG_TIMEOUT, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        require_ffmpeg()
        raise
    except subprocess.TimeoutExpired:
        raise SoundError(f"ffmpeg did not finish within {_FFMPEG_TIMEOUT:.0f} s") from None
    report = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        raise SoundError(f"ffmpeg failed: {_reason(report)}")
    return report


def _reason(report: str) -> str:
    """Why ffmpeg failed. Its last line may say only that it did, as when the disk is full."""
    lines = report.strip().splitlines() or ["no reason given"]
    return next((each.rpartition("] ")[2] for each in reversed(lines) if "Error" in each), lines[-1])
