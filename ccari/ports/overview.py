"""Calls and rights, counted: what becomes of them, over some days."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ccari.ports.requests import Clock


@dataclass(frozen=True, slots=True)
class Counted:
    """Calls that began in one hour or day, from ``begins`` on by the clock that was asked for, with one ``outcome``.

    ``outcome`` None: they are under way. ``reason``: why the gate blocked them. ``answered``: the callee took the call, and of
    those ``heard`` the notice to its end; ``power``: they rang the callee first and the notice was heard, and of those
    ``abandoned`` found nobody to talk to.
    """

    begins: datetime
    outcome: str | None
    reason: str | None
    calls: int
    answered: int
    heard: int
    power: int
    abandoned: int


@dataclass(frozen=True, slots=True)
class Due:
    """Open requests: all, those that are overdue, and those that are due in seven days or sooner and not overdue."""

    open: int = 0
    overdue: int = 0
    soon: int = 0


@dataclass(frozen=True, slots=True)
class Overview:
    """``rights``: requests that were received, by right."""

    counted: Sequence[Counted]
    rights: Counter[str]
    due: Due


class OverviewStore(Protocol):
    async def since(
        self, since: datetime, controllers: Sequence[str] | None, *, by_hour: bool, zone: str, clock: Clock
    ) -> Overview:
        """Since that moment, of these controllers (None: all), by hours or days of the zone. Raises StoreError."""
        ...
