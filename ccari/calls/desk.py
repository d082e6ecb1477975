"""What a call is asked to do, and what all calls share to do it."""

from dataclasses import dataclass

from ccari.calls.client import Ari
from ccari.calls.opening import Endpoints
from ccari.gating.means import Asked, Means
from ccari.policy.call import Direction
from ccari.ports.cards import CardRack
from ccari.ports.live import LiveBoard
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.recordings import Archive, Channels, RecordingStore


@dataclass(frozen=True, slots=True)
class Order(Asked):
    """A call over Stasis as it was asked for. ``channel``: the one that the dialplan has handed over, if any, what it was ``made_as``, such
    as ``PJSIP/anna``, and whether it was ``answered`` before.
    """

    channel: str | None = None
    made_as: str = ""
    answered: bool = False

    @property
    def technology(self) -> str:
        return self.made_as.partition("/")[0]

    @property
    def rings_agent(self) -> bool:
        """Only over the dialplan does the agent begin."""
        return self.direction is not Direction.OUTBOUND


@dataclass(frozen=True, slots=True)
class Desk(Means):
    """What every call over one connection shares."""

    ari: Ari
    endpoints: Endpoints
    recordings: RecordingStore
    archive: Archive
    cards: CardRack
    board: LiveBoard
    channels: Channels = Channels.MONO
    meter: Meter = UNMETERED
