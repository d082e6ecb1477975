"""The order for one call, and what all calls share."""

from dataclasses import dataclass

from ccari.calls.ari import Ari
from ccari.calls.opening import Endpoints
from ccari.gating.means import Means, RequestedCall
from ccari.policy.call import Direction
from ccari.ports.cards import CardRack
from ccari.ports.live import LiveBoard
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.recordings import Archive, Channels, RecordingStore


@dataclass(frozen=True, slots=True)
class Order(RequestedCall):
    """A call over Stasis as requested. ``channel``: the channel that the dialplan handed over, if any;
    ``made_as``: how it was made, such as ``PJSIP/anna``; ``answered``: whether it was answered before.
    """

    channel: str | None = None
    made_as: str = ""
    answered: bool = False

    @property
    def technology(self) -> str:
        return self.made_as.partition("/")[0]

    @property
    def rings_agent(self) -> bool:
        """False only for outbound calls, where the agent is already on the line."""
        return self.direction is not Direction.OUTBOUND


@dataclass(frozen=True, slots=True)
class Desk(Means):
    """What all calls over one connection share."""

    ari: Ari
    endpoints: Endpoints
    recordings: RecordingStore
    archive: Archive
    cards: CardRack
    board: LiveBoard
    channels: Channels = Channels.MONO
    meter: Meter = UNMETERED
