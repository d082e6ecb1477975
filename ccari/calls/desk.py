"""What a call is asked to do, and what all calls share to do it."""

from dataclasses import dataclass, field

from ccari.calls.client import Ari
from ccari.policy.call import Direction
from ccari.ports.calls import CallStore
from ccari.ports.cards import CardRack
from ccari.ports.keying import Secrets
from ccari.ports.live import LiveBoard
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.policies import PolicyBook
from ccari.ports.recordings import Archive, Channels, RecordingStore
from ccari.ports.sounds import Prompts


@dataclass(frozen=True, slots=True)
class Order:
    """A call as it was asked for. ``number`` and ``campaign`` are unchecked; an empty campaign stands for bad arguments.

    ``channel``: the one that the dialplan has handed over, if any, and its ``technology``. ``agent``: a name for the records;
    ``destination``: the agent, or the queue, to be rung.
    """

    direction: Direction
    number: str | None = field(repr=False)
    campaign: str = field(repr=False)
    channel: str | None
    agent: str
    destination: str | None = field(default=None, repr=False)
    technology: str = ""

    @property
    def rings_agent(self) -> bool:
        """True if ccari is to ring an agent: only over the dialplan does the agent begin."""
        return self.direction is not Direction.OUTBOUND


@dataclass(frozen=True, slots=True)
class Desk:
    """What every call over one connection shares."""

    ari: Ari
    asterisk: str
    store: CallStore
    secrets: Secrets
    book: PolicyBook
    prompts: Prompts
    recordings: RecordingStore
    archive: Archive
    cards: CardRack
    board: LiveBoard
    channels: Channels = Channels.MONO
    meter: Meter = UNMETERED
