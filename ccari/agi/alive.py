"""``AGI(agi://HOST:4573/alive)``: whether the service answers, before a caller is handed to it who could wait for ever."""

from ccari.agi.desk import Desk
from ccari.agi.session import Session


async def alive(session: Session, _desk: Desk) -> None:
    """Set ``CCARI_ALIVE`` to ``yes``. That does not say whether a call can be taken: Stasis and the gate do.

    Raises
    ------
    AgiError
        If the channel is gone.
    """
    await session.set_variable("CCARI_ALIVE", "yes")
