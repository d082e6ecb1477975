"""Makes a recording's sound from its raw files: cut to the part that may be kept, the two sides joined in stereo, and measured."""

import audioop
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from ccari.errors import RecordingError
from ccari.recordings.raw import BYTES_A_SAMPLE, Raw

#: Below this, a recording counts as silent: room noise on a telephone line is louder.
SILENT_DBFS = -60.0
_SILENT = 0x8000 * 10 ** (SILENT_DBFS / 20)
#: How much shorter than the callee's side the agent's may be: the two recorders stop one after the other.
MISSING_MS = 2000


@dataclass(frozen=True, slots=True)
class AgentsSide:
    """The left channel of a stereo recording. ``raw``: None if it was lost; the left is then silent. ``lead_ms``: how much earlier it
    began than the right, the callee's. ``most_ms``: how much of it may be kept, after the lead; None: as much as of the callee's.
    """

    raw: Raw | None
    lead_ms: int
    most_ms: int | None = None


class Sound:
    """The first ``most_ms`` (None: all) of a raw file, in stereo with ``agent``: 16-bit PCM, ``frames`` frames at ``rate`` a second.

    Iterate over it to read it in pieces: hours of talk would take hundreds of megabytes at once. :attr:`silent` is known only after that.

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
            raise RecordingError(f"no part of {raw.path.name} may be kept")

    @property
    def size(self) -> int:
        """In bytes."""
        return self.frames * self.channels * BYTES_A_SAMPLE

    @property
    def duration_ms(self) -> int:
        return self.frames * 1000 // self.rate

    @property
    def silent(self) -> bool:
        """Whether nothing read is louder than :data:`SILENT_DBFS`."""
        return self._peak <= _SILENT

    @property
    def agent_missing_ms(self) -> int:
        """How much shorter the agent's side is, in milliseconds; 0 up to :data:`MISSING_MS`."""
        missing_ms = 0 if self._agent is None else self.duration_ms - self._agents_frames * 1000 // self.rate
        return missing_ms if missing_ms > MISSING_MS else 0

    def __iter__(self) -> Iterator[bytes]:
        """The sound in pieces. Raises RecordingDelayed if a raw file has become shorter, OSError if it cannot be read."""
        for piece in self._pieces():
            self._peak = max(self._peak, audioop.max(piece, BYTES_A_SAMPLE))
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        if self._agent is None:
            yield from self._raw.pieces(0, self.frames)
            return
        # as long as the callee's side: the agent's is cut, or padded with silence
        for right, left in itertools.zip_longest(
            self._raw.side(0, self.frames), self._agents_pieces(), fillvalue=b""
        ):
            yield _stereo(left.ljust(len(right), b"\0"), right)

    def _agents_pieces(self) -> Iterator[bytes]:
        if self._agent is not None and self._agent.raw is not None:
            yield from self._agent.raw.side(self._lead, self._lead + self._agents_frames)

    @property
    def _lead(self) -> int:
        """In frames of the callee's rate: Asterisk writes both sides at the same rate, even if a damaged header says otherwise."""
        return 0 if self._agent is None else self._agent.lead_ms * self.rate // 1000

    @property
    def _agents_frames(self) -> int:
        if self._agent is None or self._agent.raw is None:
            return 0
        frames = self._agent.raw.frames - self._lead
        return max(0, min(frames, self.frames, self._agent.raw.frames_of(self._agent.most_ms)))


def _stereo(left: bytes, right: bytes) -> bytes:
    return audioop.add(
        audioop.tostereo(left, BYTES_A_SAMPLE, 1, 0),
        audioop.tostereo(right, BYTES_A_SAMPLE, 0, 1),
        BYTES_A_SAMPLE,
    )
