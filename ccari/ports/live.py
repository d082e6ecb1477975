"""Calls in progress, for watching: the stage of each, and every change."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from ccari.errors import CcariError
from ccari.policy.bases import LegalBasis
from ccari.policy.call import Direction, Stage
from ccari.policy.rights import Right


class FellBehindError(CcariError):
    """The watcher reads more slowly than calls change, and would show calls that are over: it must start again."""


class Taped(StrEnum):
    """Whether what is said now is recorded."""

    OFF = "off"
    ON = "on"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that the gate has let through, as it is now. The number is masked.

    ``stage``: what the call waits for, ``since`` when. ``closed``: it is over, or its talk goes on without us. ``begun_at``: since when this
    service has run it; a talk that was taken up began earlier. ``rights``: those that were exercised in it, in order. ``outcome``: None until
    it is known.
    """

    call_id: UUID
    controller: str
    campaign: str
    direction: Direction
    agent: str
    number_masked: str
    legal_basis: LegalBasis
    recording_mode: str
    begun_at: datetime
    stage: Stage
    since: datetime
    recording: Taped
    rights: tuple[Right, ...]
    outcome: str | None
    reason: str

    @property
    def is_over(self) -> bool:
        return self.stage is Stage.CLOSED


class LiveWatch(Protocol):
    async def next(self) -> LiveCall:
        """Wait for the next change. A call that has changed several times meanwhile is given once, in its current state.

        Raises
        ------
        FellBehindError
            If too many changes were not read.
        """
        ...


class LiveCalls(Protocol):
    """The calls that this service runs. Each node of the fleet has its own."""

    def now(self) -> Sequence[LiveCall]:
        """The calls in progress, the oldest first."""
        ...

    def watch(self) -> AbstractContextManager[LiveWatch]:
        """Watch while the context lasts: first every call in progress, then each change."""
        ...


class OnBoard(Protocol):
    """A call on the board. Its state is computed only when somebody looks."""

    @property
    def call_id(self) -> UUID: ...

    @property
    def is_over(self) -> bool: ...

    def snapshot(self) -> LiveCall: ...


class LiveBoard(Protocol):
    """The board that calls put themselves on."""

    def put(self, call: OnBoard) -> None:
        """Called at every change of a call; returns at once. A call that is over is taken off the board."""
        ...
