"""What all FastAGI connections share."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from ccari.agi.session import Session
from ccari.agi.unrecorded import Unrecorded
from ccari.gating.means import Means
from ccari.gating.shipped import Dialplans
from ccari.log import Flood
from ccari.ports.metering import UNMETERED, Meter

_log = structlog.get_logger()

#: How many Asterisks' ways of setting variables are remembered. If there are more, all are forgotten.
MOST_PEERS = 1000


class Setting:
    """Sets variables, all with one command if the Asterisk can. Each Asterisk (by its address) is asked once."""

    def __init__(self) -> None:
        #: By address: whether an Asterisk sets several variables with one command.
        self._at_once: dict[str, bool] = {}

    async def learn(self, session: Session) -> bool:
        """Whether this Asterisk sets several variables at once; asks it the first time. Raises AgiError."""
        peer = session.peer
        if peer not in self._at_once:
            if len(self._at_once) >= MOST_PEERS:
                self._at_once.clear()
            self._at_once[peer] = await session.sets_several()
        return self._at_once[peer]

    async def set(self, session: Session, values: Mapping[str, str]) -> None:
        """Set the variables in order. Raises AgiError."""
        if await self.learn(session):
            await session.set_variables(values)
            return
        for name, value in values.items():
            await session.set_variable(name, value)


async def _without_ari() -> bool:
    """Stasis itself says at once that nobody serves it."""
    return True


def _kept_from_stasis() -> Flood:
    return Flood(lambda times: _log.warning("agi_stasis_away", times=times))


@dataclass(frozen=True, slots=True)
class Desk(Means):
    """``asterisk``: one name for all FastAGI calls of this service, since the protocol does not say which Asterisk asks. ``takes_stasis``:
    whether a call that enters Stasis now would reach this service. ``kept_from_stasis``: logs those that were told that it would not.
    ``unrecorded``: refused calls that wait for the database.
    """

    meter: Meter = UNMETERED
    setting: Setting = field(default_factory=Setting)
    dialplans: Dialplans = field(default_factory=Dialplans)
    takes_stasis: Callable[[], Awaitable[bool]] = _without_ari
    kept_from_stasis: Flood = field(default_factory=_kept_from_stasis)
    unrecorded: Unrecorded = field(default_factory=Unrecorded)
