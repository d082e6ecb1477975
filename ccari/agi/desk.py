"""What all FastAGI connections share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ccari.agi.session import Session
from ccari.policy.call import Direction
from ccari.ports.calls import CallStore
from ccari.ports.keying import Secrets
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.policies import PolicyBook
from ccari.ports.sounds import Prompts

#: So many Asterisks are remembered with how their variables are set; if there are more, all are forgotten.
MOST_PEERS = 1000


class Setting:
    """Sets variables, all by one command where the Asterisk can. Each Asterisk (by its address) is asked once whether it can."""

    def __init__(self) -> None:
        #: Whether an Asterisk sets several variables with one command, by its address.
        self._at_once: dict[str, bool] = {}

    async def set(self, session: Session, values: Mapping[str, str]) -> None:
        """Set the variables in their order. Raises AgiError."""
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
    """``asterisk``: the name that this service's FastAGI calls are filed under. The protocol does not say which Asterisk asks."""

    asterisk: str
    store: CallStore
    secrets: Secrets
    book: PolicyBook
    prompts: Prompts
    meter: Meter = UNMETERED
    setting: Setting = field(default_factory=Setting)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the dialplan asked for, unchecked. ``number``: None stands for bad arguments."""

    number: str | None = field(repr=False)
    campaign: str = field(repr=False)
    agent: str
    direction: Direction
    #: The dialplan rings whoever it likes: ccari is never asked to ring an agent.
    destination: ClassVar[None] = None
    rings_agent: ClassVar[bool] = False
