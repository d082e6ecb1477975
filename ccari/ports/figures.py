"""How much there is of what ops watch, as the database has it: of every node on it, so it is the same on each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ccari.ports.requests import Clock

#: From one count to the next of what takes the database a look at every row.
COUNT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Pressing:
    """What somebody has to see to. ``requests``: open ones, by how soon they are due; ``unfinished``: recordings, by state;
    ``late``: of them, those whose file should long have had its place, or whose end should have been seen; ``registers``: the day of each one's newest copy.
    """

    requests: Mapping[str, int]
    unfinished: Mapping[str, int]
    late: int
    registers: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Held:
    """What takes a look at every row. ``requests``: ever registered, by right and channel; ``webhooks``: what each is still
    to be told, by its name and state; ``webhooks_since``, ``forwards_since``: since when the oldest of what waits does.
    """

    suppressions: Mapping[str, int]
    recordings: Mapping[str, int]
    requests: Sequence[tuple[str, str, int]]
    forwards: Mapping[str, int]
    webhooks: Sequence[tuple[str, str, int]]
    webhooks_since: Mapping[str, datetime] = field(default_factory=dict)
    forwards_since: datetime | None = None


class Figures(Protocol):
    """Each method raises StoreError."""

    async def pressing(self, clock: Clock) -> Pressing:
        """Quick, over one of the connections that calls use."""
        ...

    async def held(self) -> Held:
        """May take seconds where there are millions, over a connection that no call waits for: where the last count, whichever
        node's, is nearly :data:`COUNT_SECONDS` old. Else that one's.
        """
        ...
