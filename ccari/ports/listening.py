"""Listening to a stored recording, with a key that whoever listens brings along."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from ccari.ports.recordings import InPlace


@dataclass(frozen=True, slots=True)
class Opened:
    """What can be heard: the ``audio`` as it was encoded, of a media type, and its loudness over time for a picture.

    ``peaks``: for each channel the loudest sample of each of its equal parts, from 0 to 1; none where there is no picture.
    """

    recording: InPlace
    audio: bytes = field(repr=False)
    kind: str
    peaks: Sequence[Sequence[float]]


class Listening(Protocol):
    async def find(self, recording: UUID) -> InPlace:
        """One that is stored. Raises UnknownError if there is none by that id, and StoreError."""
        ...

    async def open(self, recording: InPlace, identity: str) -> Opened:
        """Open it in memory with the text of an age identity file, which is forgotten afterwards; "" for a plain one.

        Raises
        ------
        InputError
            If the ``identity`` is none, or does not open it.
        RecordingError
            If the file is not there, damaged, or not what was recorded.
        """
        ...
