"""What all FastAGI connections share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ccari.agi.session import Session
from ccari.ports.calls import CallStore
from ccari.ports.keying import Secrets
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.policies import PolicyBook
from ccari.ports.sounds import Prompts

#: Asterisks of which it is known how their variables are set; all are forgotten when there are more.
MOST_PEERS = 1000


class Setting:
    """How variables are set: by one command, where the Asterisk can, which each is asked once by its address."""

    def __init__(self) -> None:
        self._at_once: dict[str, bool] = {}

    async def set(self, session: Session, values: Mapping[str, str]) -> None:
        """In their order. Raises AgiError."""
        peer = session.peer
        if peer not in self._at_once:
            if len(self._at_once) >= MOST_PEERS:
                self._at_once.clear()
            self._at_once[peer] = await session.sets_several()
        if self._at_once[peer]:
            await session.set_variables(values)
            return
        for name, value in values.items():
            await session.set_variable(name, value)


@dataclass(frozen=True, slots=True)
class Counter:
    """``asterisk`` names this service's own FastAGI calls: which Asterisk asks, the protocol does not tell."""

    asterisk: str
    store: CallStore
    secrets: Secrets
    book: PolicyBook
    prompts: Prompts
    meter: Meter = UNMETERED
    setting: Setting = field(default_factory=Setting)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the dialplan asked for, as it came; ``number`` None: bad arguments."""

    number: str | None = field(repr=False)
    campaign: str = field(repr=False)
    agent: str
