"""What all calls over one connection share."""

from dataclasses import dataclass

from ccari.calls.ari import Ari
from ccari.calls.opening import Endpoints
from ccari.gating.means import Means
from ccari.ports.cards import CardRack
from ccari.ports.live import LiveBoard
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.recordings import Archive, Channels, RecordingStore


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
