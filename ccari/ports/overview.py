"""Statistics for the console's overview: calls by outcome, and rights, over some days."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ccari.ports.requests import Clock


@dataclass(frozen=True, slots=True)
class Counted:
    """Calls that began in one hour or day and have one ``outcome``. ``begins``: the local time at which the
    hour or day begins.

    ``outcome``: None while under way. ``reason``: why the gate blocked them. ``answered``: how many callees
    answered; ``heard``: how many of those heard the notice to its end. ``power``: in how many the callee was
    rung first and heard the notice; ``abandoned``: in how many of those no agent came.
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
    """Open requests: all of them, the overdue ones, those due today, and those due in the seven days after it (``soon``)."""

    open: int = 0
    overdue: int = 0
    today: int = 0
    soon: int = 0


@dataclass(frozen=True, slots=True)
class Overview:
    """``rights``: how many requests were received, by right."""

    counted: Sequence[Counted]
    rights: Counter[str]
    due: Due


class OverviewStore(Protocol):
    async def since(
        self, since: datetime, controllers: Sequence[str] | None, *, by_hour: bool, zone: str, clock: Clock
    ) -> Overview:
        """The statistics since a moment, of these controllers (None: all), by hours or by days in the time
        zone ``zone``. Raises StoreError.
        """
        ...
