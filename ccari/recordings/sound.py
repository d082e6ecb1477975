"""The sound of a recording out of its raw files: cut, the two sides beside one another, and measured on the way."""

import audioop
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from ccari.errors import RecordingError
from ccari.recordings.raw import BYTES_A_SAMPLE, Raw

#: Room noise on a telephone line is louder.
SILENT_DBFS = -60.0
_SILENT = 0x8000 * 10 ** (SILENT_DBFS / 20)
#: What one side may lack of the other's length: they are told to stop one after the other.
MISSING_MS = 2000


@dataclass(frozen=True, slots=True)
class AgentsSide:
    """The left of a stereo recording. ``raw``: None if it was lost, and the left is silent; ``lead_ms``: how much earlier it
    began than the right.
    """

    raw: Raw | None
    lead_ms: int


class Sound:
    """The first ``most_ms`` (None: all) of a raw file, in stereo with ``agent``: 16-bit PCM of ``frames``, ``rate`` a second.

    It is read when it is iterated over, in pieces: hours of talk would take hundreds of megabytes beside the calls.

    Raises
    ------
    RecordingError
        If ``most_ms`` leaves nothing.
    """

    def __init__(self, raw: Raw, most_ms: int | None = None, agent: AgentsSide | None = None) -> None:
        self._raw, self._agent = raw, agent
        self._peak = 0
        self.frames = raw.frames_of(most_ms)
        self.rate = raw.rate
        self.channels = raw.channels if agent is None else 2
        if self.frames < 1:
            raise RecordingError(f"nothing of {raw.path.name} may be kept")

    @property
    def size(self) -> int:
        """In bytes."""
        return self.frames * self.channels * BYTES_A_SAMPLE

    @property
    def duration_ms(self) -> int:
        return self.frames * 1000 // self.rate

    @property
    def silent(self) -> bool:
        """Whether nothing of what was read is louder than :data:`SILENT_DBFS`."""
        return self._peak <= _SILENT

    @property
    def agent_missing_ms(self) -> int:
        """By how much the agent's side is shorter; 0 if that is no more than :data:`MISSING_MS`."""
        missing_ms = 0 if self._agent is None else self.duration_ms - self._agents_frames * 1000 // self.rate
        return missing_ms if missing_ms > MISSING_MS else 0

    def __iter__(self) -> Iterator[bytes]:
        """Raise RecordingDelayed if a raw file has become shorter, OSError if it cannot be read."""
        for piece in self._pieces():
            self._peak = max(self._peak, audioop.max(piece, BYTES_A_SAMPLE))
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        if self._agent is None:
            yield from self._raw.pieces(0, self.frames)
            return
        # as long as the callee's side, whatever the other's length
        for right, left in itertools.zip_longest(
            self._raw.side(0, self.frames), self._agents_pieces(), fillvalue=b""
        ):
            yield _beside(left.ljust(len(right), b"\0"), right)

    def _agents_pieces(self) -> Iterator[bytes]:
        if self._agent is not None and self._agent.raw is not None:
            yield from self._agent.raw.side(self._lead, self._lead + self._agents_frames)

    @property
    def _lead(self) -> int:
        """In frames; Asterisk writes both sides at one rate, whatever a spoilt header says."""
        return 0 if self._agent is None else self._agent.lead_ms * self.rate // 1000

    @property
    def _agents_frames(self) -> int:
        there = 0 if self._agent is None or self._agent.raw is None else self._agent.raw.frames - self._lead
        return max(0, min(there, self.frames))


def _beside(left: bytes, right: bytes) -> bytes:
    return audioop.add(
        audioop.tostereo(left, BYTES_A_SAMPLE, 1, 0),
        audioop.tostereo(right, BYTES_A_SAMPLE, 0, 1),
        BYTES_A_SAMPLE,
    )
