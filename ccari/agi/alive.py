"""``AGI(agi://HOST:4573/alive?agi=VERSION&stasis=VERSION)``: whether the service answers, before a caller is handed to it who could wait for ever."""

from ccari.agi.desk import Desk
from ccari.agi.session import Session
from ccari.gating.shipped import FASTAGI, STASIS

#: What ``stasis`` is where the question does not come from extensions_ccari.conf.
OTHERS = "-"


async def alive(session: Session, desk: Desk) -> None:
    """Set ``CCARI_ALIVE`` to ``yes``. That does not say whether a call can be taken: Stasis and the gate do.

    Only the shipped dialplans ask this, and say in the address which version of them they are; those from before there were versions do not.

    Raises
    ------
    AgiError
        If the channel is gone.
    """
    await session.set_variable("CCARI_ALIVE", "yes")
    asked = session.query
    desk.dialplans.seen(FASTAGI, asked.get("agi", ""))
    if asked.get("stasis") != OTHERS:
        desk.dialplans.seen(STASIS, asked.get("stasis", ""))
