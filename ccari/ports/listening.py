"""Listening to a stored recording, with a key that the listener provides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from ccari.ports.recordings import InPlace


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened recording. ``audio``: as encoded; ``kind``: its media type.

    ``peaks``: for drawing its waveform, the loudest sample (0 to 1) of equal parts of each channel; empty if
    it cannot be drawn.
    """

    recording: InPlace
    audio: bytes = field(repr=False)
    kind: str
    peaks: Sequence[Sequence[float]]


class Listening(Protocol):
    async def find(self, recording: UUID) -> InPlace:
        """A stored recording. Raises UnknownError if no recording with that id is stored, and StoreError."""
        ...

    async def open(self, recording: InPlace, identity: str) -> Opened:
        """Decrypt a recording in memory. ``identity``: the text of an age identity file, which is not stored;
        "" if the recording is not encrypted.

        Raises
        ------
        InputError
            If ``identity`` is not an identity, or does not open the recording.
        RecordingError
            If the file is missing, damaged, or not what was recorded.
        """
        ...
