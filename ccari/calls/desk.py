"""What a call is asked to do, and what all calls share to do it."""

from dataclasses import dataclass, field

from ccari.calls.client import Ari
from ccari.ports.calls import CallStore
from ccari.ports.keying import Secrets
from ccari.ports.policies import PolicyBook
from ccari.ports.recordings import Archive
from ccari.ports.sounds import Prompts


@dataclass(frozen=True, slots=True)
class Order:
    """What the dialplan asked for. ``number`` and ``campaign`` are as they came, unchecked; None: bad arguments."""

    number: str | None = field(repr=False)
    campaign: str
    channel: str
    agent: str


@dataclass(frozen=True, slots=True)
class Desk:
    """What every call over one connection shares."""

    ari: Ari
    asterisk: str
    store: CallStore
    secrets: Secrets
    book: PolicyBook
    prompts: Prompts
    archive: Archive
