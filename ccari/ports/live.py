"""Calls in progress, as those see them who look on: where each of them is, and when that changes."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from ccari.errors import CcariError
from ccari.policy.bases import LegalBasis
from ccari.policy.rights import Right


class FellBehindError(CcariError):
    """Who watches reads more slowly than calls change, and would see calls that are over: it is to begin anew."""


class Taped(StrEnum):
    """Whether what is said now is recorded."""

    OFF = "off"
    ON = "on"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that the gate has let through, as it stands. The number is masked.

    ``stage``: a :class:`ccari.policy.call.Stage`, ``since`` when it came there; ``closed``: it is over, or its talk goes on
    without us. ``begun_at``: from when on this service has run it, which for a talk that it took up is later than the
    call's own beginning. ``rights``: those that were exercised in it, in order. ``outcome`` is None until it is known.
    """

    call_id: UUID
    controller: str
    campaign: str
    direction: str
    agent: str
    number_masked: str
    legal_basis: LegalBasis
    recording_mode: str
    begun_at: datetime
    stage: str
    since: datetime
    recording: Taped
    rights: tuple[Right, ...]
    outcome: str | None
    reason: str

    @property
    def is_over(self) -> bool:
        return self.stage == "closed"


class LiveWatch(Protocol):
    async def next(self) -> LiveCall:
        """The next change, waiting for it; of a call that has changed more than once meanwhile only how it is now.

        Raises
        ------
        FellBehindError
            If too much has changed that was not read.
        """
        ...


class LiveCalls(Protocol):
    """The calls that this service runs; another node of the fleet has its own."""

    def now(self) -> Sequence[LiveCall]:
        """Those in progress, the one that was begun first before the others."""
        ...

    def watch(self) -> AbstractContextManager[LiveWatch]:
        """All that are in progress, one after the other, and from then on each change, while the context lasts."""
        ...


class Standing(Protocol):
    """A call on the board, which is asked how it stands when somebody looks."""

    @property
    def call_id(self) -> UUID: ...

    @property
    def is_over(self) -> bool: ...

    def told(self) -> LiveCall: ...


class LiveBoard(Protocol):
    """Where calls put themselves."""

    def put(self, call: Standing) -> None:
        """Whenever it stands otherwise: at once, and nobody waits for anybody; one that is over is taken off."""
        ...
