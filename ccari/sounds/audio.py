"""From a spoken or recorded sound to the files that Asterisk plays: trimmed, equally loud, at telephone rates."""

import math
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydub import AudioSegment
from pydub.silence import detect_leading_silence

from ccari.errors import SoundError

#: Endings that Asterisk's format_pcm knows, and the sampling rates in Hz of what is in them: A-law and G.722, mono, no
#: header. A telephone that speaks either gets the file as it is; and the two are a third of the size of WAV files.
FORMATS = {"alaw": 8000, "g722": 16000}
#: Bytes of a file that play for a millisecond: either codec has 64 kbit/s.
_BYTES_PER_MS = 8
#: Integrated loudness (EBU R128) of every file, each rate for itself: near the -26 dBov speech level of ITU-T P.56.
TARGET_LUFS = -24.0
#: How far a finished file may be from the target, in LU.
TOLERANCE_LU = 0.3
#: The highest true peak of a finished file, in dBTP: room for the codecs of the line.
PEAK_DBTP = -3.0
#: Silence at the end, in ms, so that the next prompt of a row does not fall on the last word.
TAIL_MS = 150

#: Below this peak a sound holds no speech, in dBFS.
_SILENT_DBFS = -60.0
#: What lies this far below the peak, in dB, at either end is cut off; a soft "s" or "f" is louder than that.
_TRIM_DB = 45.0
#: At full scale, in dBFS; and how many samples may lie there: a wave has a crest, a clipped one an edge.
_FULL_SCALE_DBFS, _CRESTS = -0.1, 10
#: Kept before the first and after the last sound found, in ms, faded from and to nothing: no click.
_LEAD_MS, _RELEASE_MS = 15, 40
#: The rate that is worked at, in Hz: above what any source speaks, so that every file is resampled once, downwards.
_WORK_RATE = 48000
#: DC and rumble would deceive the trimming, and no telephone carries them.
_RUMBLE_FILTER = "highpass=f=80"
#: Corrections of the gain; one is the rule, more when the limiter has taken loudness away.
_PASSES = 8
#: How far a true peak may lie above the highest sample, which is what a limiter holds, in dB; more where it is seen.
_OVERSHOOT_DB = 1.0
#: A sound shorter than this, in s, is measured repeated: R128 counts whole blocks of 0.4 s, and of a digit it would
#: depend on where they fall.
_SHORT = 3.0
#: The most samples of such a sound, at any rate that ffmpeg may measure it at, with room.
_MOST_REPEATED = 1_000_000
#: Seconds for one run of ffmpeg on one prompt.
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
    """``rate``: the sampling rate in Hz that a file was recorded at. ``clipped``: its peaks are cut off flat."""

    rate: int
    clipped: bool


def require_ffmpeg() -> None:
    """Raise SoundError when ffmpeg, which does the resampling and measuring, is not installed."""
    if shutil.which("ffmpeg") is None:
        raise SoundError("ffmpeg is not installed: apt-get install ffmpeg")


def inspect(path: Path) -> Source:
    """Look at a recording as it was delivered. Raises SoundError when it is no sound."""
    try:
        # as 16-bit samples, in which also what a lossy codec has lifted over full scale is cut off
        said = _ffmpeg("-i", f"file:{path}", "-map", "0:a:0", "-af",
                       "aformat=sample_fmts=s16,astats=measure_perchannel=none", "-f", "null", "-")  # fmt: skip
    except SoundError as error:
        raise SoundError(f"{path.name} cannot be read as sound: {error}") from error
    rate = re.search(r"Audio: .*?(\d+) Hz", said)
    peak, count = (re.search(rf"\b{name}: (\S+)", said) for name in ("Peak level dB", "Peak count"))
    if rate is None or peak is None or count is None:
        raise SoundError(f"{path.name} cannot be read as sound: it holds none")
    return Source(int(rate[1]), float(peak[1]) > _FULL_SCALE_DBFS and float(count[1]) > _CRESTS)


def spoken_seconds(sound: AudioSegment) -> float:
    """How long the words of a loaded sound take, without the silence after them."""
    return (len(sound) - TAIL_MS) / 1000


def load(path: Path, work: Path) -> AudioSegment:
    """Decode any sound file and cut it to what is spoken.

    Returns 32-bit mono at 48 kHz with short fades and TAIL_MS of silence at its end; ``work`` is a folder for a
    temporary file. Raises SoundError when it is no sound or holds nothing but silence.
    """
    decoded = work / "decoded.wav"
    # pydub decodes too, but takes WAV files of floats in an extensible header for integers
    try:
        _ffmpeg("-i", f"file:{path}", "-vn", "-af", _RUMBLE_FILTER, "-ac", "1", "-ar", str(_WORK_RATE),
                "-c:a", "pcm_s32le", str(decoded))  # fmt: skip
    except SoundError as error:
        raise SoundError(f"{path.name} cannot be read as sound: {error}") from error
    with decoded.open("rb") as file:
        sound = AudioSegment.from_wav(file)
    decoded.unlink()
    if sound.max_dBFS < _SILENT_DBFS:
        raise SoundError(f"{path.name} holds nothing but silence")
    threshold = sound.max_dBFS - _TRIM_DB
    start = detect_leading_silence(sound, threshold, chunk_size=5)
    end = len(sound) - detect_leading_silence(sound.reverse(), threshold, chunk_size=5)
    spoken = sound[max(0, start - _LEAD_MS) : end + _RELEASE_MS]
    spoken = spoken.fade_in(_LEAD_MS).fade_out(_RELEASE_MS)
    return spoken + AudioSegment.silent(TAIL_MS, frame_rate=_WORK_RATE)


def write(sound: AudioSegment, out: Path) -> Level:
    """Write ``sound`` as ``out``, whose ending is one of FORMATS, at the target loudness; return the level measured.

    The gain is linear; only where the peaks would be too high a limiter holds them. It is measured in 16-bit samples of
    the file's rate, before they are coded. Raises SoundError when the loudness cannot be reached within the tolerance.
    """
    samples = out.with_name(f"{out.name}.wav")
    sound.export(str(samples), format="wav").close()
    repeat = math.ceil(_SHORT / max(len(sound) / 1000, 0.05)) - 1
    gain, ceiling = TARGET_LUFS - sound.dBFS, None
    for _ in range(_PASSES):
        level = _code(samples, out, gain, ceiling, repeat)
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
        "the recording has bangs far louder than its speech"
    )


def _code(samples: Path, out: Path, gain: float, ceiling: float | None, repeat: int) -> Level:
    """Code the samples at ``gain`` in dB, and measure them by ffmpeg's R128 meter, ``repeat`` times more, to 0.1 dB.

    In one run: ffmpeg takes longer to start than to do either. Not by the reading of its loudnorm filter: that one is up
    to 0.5 LU off where a prompt has pauses.
    """
    kind = out.suffix[1:]
    rate = FORMATS[kind]
    # swresample's filter before the rate is lowered: pydub's own set_frame_rate would fold the sibilants into the speech
    filters = [f"aresample={rate}:filter_size=64:cutoff=0.96", f"volume={gain:.3f}dB:precision=float"]
    if ceiling is not None:
        filters.append(f"alimiter=limit={10 ** (ceiling / 20):.4f}:level=false:latency=true")
    filters.append(f"aformat=sample_fmts=s16:sample_rates={rate}")
    meter = [f"aloop=loop={repeat}:size={_MOST_REPEATED}"] if repeat else []
    meter.append("ebur128=peak=true:framelog=quiet")
    graph = f"[0:a]{','.join(filters)},asplit[coded][metered];[metered]{','.join(meter)}[told]"
    said = _ffmpeg("-f", "wav", "-i", f"file:{samples}", "-filter_complex", graph,
                   "-map", "[coded]", "-f", kind, "-bitexact", "-map_metadata", "-1", f"file:{out}",
                   "-map", "[told]", "-f", "null", "-")  # fmt: skip
    summary = said[said.rindex("Summary:") :]
    lufs, peak = (re.search(rf"{name}:\s+(\S+) ", summary) for name in ("I", "Peak"))
    if lufs is None or peak is None:
        raise SoundError("ffmpeg's loudness meter said nothing")
    return Level(float(lufs[1]), float(peak[1]))


def plays_ms(path: Path) -> int:
    """How long a file in one of FORMATS plays."""
    return round(path.stat().st_size / _BYTES_PER_MS)


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
    said = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        raise SoundError(f"ffmpeg failed: {_last_line(said)}")
    return said


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
