"""Encoding a raw recording with ffmpeg, its tag inside."""

import asyncio
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccari.errors import RecordingDelayed, RecordingError, why
from ccari.recordings.raw import Raw

#: Whatever takes longer than this and a quarter of its own duration hangs; opus takes a hundredth, where nothing else runs.
ENCODE_SECONDS = 300.0
_ENCODE_PART = 4
#: Calls in progress come first.
_HUMBLY = ("nice", "-n", "10")
#: What ffmpeg is told for each format; opus at 24 kbit/s is what telephone speech needs.
_CODECS = {
    "wav": ("-c:a", "pcm_s16le", "-f", "wav"),
    "flac": ("-c:a", "flac", "-f", "flac"),
    "opus": ("-c:a", "libopus", "-b:a", "24k", "-application", "voip", "-f", "ogg"),
}
FORMATS = tuple(_CODECS)
#: What one side may lack of the other's length: they are told to stop one after the other.
MISSING_MS = 2000

#: Room noise on a telephone line is louder.
SILENT_DBFS = -60.0
_PEAK = re.compile(rb"max_volume: (-?(?:\d+(?:\.\d+)?|inf)) dB")
_FULL = b"No space left on device"


@dataclass(frozen=True, slots=True)
class Encoded:
    """``duration_ms`` of sound; ``silent`` if none of it reaches :data:`SILENT_DBFS`. ``agent_missing_ms``: by how much the
    agent's side is shorter.
    """

    duration_ms: int
    silent: bool
    agent_missing_ms: int = 0


@dataclass(frozen=True, slots=True)
class AgentsSide:
    """The left of a stereo recording. ``raw``: None if it was lost, and the left is silent; ``lead_ms``: how much earlier it
    began than the right.
    """

    raw: Raw | None
    lead_ms: int


async def encode(
    raw: Raw,
    target: Path,
    form: str,
    tags: Mapping[str, str],
    most_ms: int | None,
    agent: AgentsSide | None = None,
) -> Encoded:
    """Write the first ``most_ms`` (None: all) of a raw file in a format of :data:`FORMATS`; in stereo with ``agent``.

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
    inputs = [raw.path] if agent is None or agent.raw is None else [raw.path, agent.raw.path]
    errors = await _run(
        ENCODE_SECONDS + frames / raw.rate / _ENCODE_PART, *(part for each in inputs for part in ("-i", str(each))),
        "-map_metadata", "-1", *told, "-fflags", "+bitexact", "-flags:a", "+bitexact",
        "-filter_complex", f"{_mix(agent)},atrim=end_sample={frames},volumedetect", *_CODECS[form], "-y", str(target),
    )  # fmt: skip
    peak = _PEAK.search(errors)
    silent = peak is not None and float(peak[1]) <= SILENT_DBFS
    duration_ms = frames * 1000 // raw.rate
    return Encoded(duration_ms, silent, 0 if agent is None else _missing(agent, duration_ms))


def _mix(agent: AgentsSide | None) -> str:
    match agent:
        case None:
            return "[0:a]anull"
        case AgentsSide(None):
            return "[0:a]pan=stereo|FR=c0"
        case AgentsSide(_, lead_ms):
            # as long as the callee's side, whatever the other's length
            return f"[1:a]atrim=start={lead_ms}ms,asetpts=PTS-STARTPTS,apad[agent];[agent][0:a]join=channel_layout=stereo"


def _missing(agent: AgentsSide, duration_ms: int) -> int:
    there_ms = 0 if agent.raw is None else agent.raw.frames * 1000 // agent.raw.rate - agent.lead_ms
    missing_ms = duration_ms - max(there_ms, 0)
    return missing_ms if missing_ms > MISSING_MS else 0


async def _run(most_seconds: float, *arguments: str) -> bytes:
    """What ffmpeg says. It is started in a thread: uvloop would fork all of the service's memory while calls wait, for
    13 ms as measured at 150 MB; subprocess does without.
    """
    command = _Command(arguments, most_seconds)
    working = asyncio.ensure_future(asyncio.to_thread(command.run))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        command.stop()
        await asyncio.wait([working])
        if not working.cancelled():
            # of an ffmpeg that was killed on purpose, so that asyncio need not report it
            working.exception()
        raise


class _Command:
    def __init__(self, arguments: Sequence[str], most_seconds: float) -> None:
        self._arguments = arguments
        self._most_seconds = most_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def run(self) -> bytes:
        process = self._started()
        try:
            _, errors = process.communicate(timeout=self._most_seconds)
        except subprocess.TimeoutExpired:
            raise RecordingDelayed(f"ffmpeg takes longer than {self._most_seconds:.0f} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        if process.returncode:
            raise RecordingDelayed(_words(process.returncode, errors))
        return errors

    def stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_stopped:
                raise RecordingDelayed("the service ends")
            try:
                self._process = subprocess.Popen(
                    [*_HUMBLY, "ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-threads", "1", *self._arguments],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )  # fmt: skip
            except OSError as error:
                raise RecordingDelayed(f"ffmpeg cannot be run: {why(error)}") from None
            return self._process


def _words(code: int, errors: bytes) -> str:
    if _FULL in errors:
        return "there is no room left in the recordings folder"
    if code == 127:  # noqa: PLR2004 - of nice, as of a shell: no such command
        return "there is no ffmpeg: apt-get install ffmpeg"
    last = errors.decode(errors="replace").strip().rpartition("\n")[2]
    return f"ffmpeg failed with {code}: {last}"
