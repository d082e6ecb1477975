"""What all FastAGI connections share."""

from dataclasses import dataclass, field

from ccari.ports.calls import CallStore
from ccari.ports.keying import Secrets
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.policies import PolicyBook
from ccari.ports.sounds import Prompts


@dataclass(frozen=True, slots=True)
class Counter:
    """``asterisk`` names this service's own FastAGI calls: which Asterisk asks, the protocol does not tell."""

    asterisk: str
    store: CallStore
    secrets: Secrets
    book: PolicyBook
    prompts: Prompts
    meter: Meter = UNMETERED


@dataclass(frozen=True, slots=True)
class Asked:
    """What the dialplan asked for; ``number`` None: bad arguments."""

    number: str | None = field(repr=False)
    campaign: str
    agent: str
