"""Figures for monitoring that are counted in the database. They cover all nodes, so each node gives the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ccari.ports.requests import Clock

#: Interval between counts that read every row.
COUNT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Pressing:
    """What needs attention. ``requests``: open requests, by how soon they are due. ``unfinished``: recordings
    not yet stored, by state. ``late``: how many of those should have been stored, or seen to end, long ago.
    ``registers``: the date of each register's newest copy.
    """

    requests: Mapping[str, int]
    unfinished: Mapping[str, int]
    late: int
    registers: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Tallies:
    """Figures that need a look at every row. ``requests``: all ever registered, by right and channel.
    ``webhooks``: messages, by the webhook's name and their state. ``webhooks_since``, ``forwards_since``:
    since when the oldest message has been waiting.
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
        """Quick: it uses one of the connections that calls use."""
        ...

    async def tallies(self) -> Tallies:
        """The last count of any node, or a new one if that is nearly :data:`COUNT_SECONDS` old.

        A new count may take seconds with millions of rows; it uses a connection that no call waits for.
        """
        ...
