"""``AGI(agi://HOST:4573/alive?agi=VERSION&stasis=VERSION)``: check that the service answers, before it is
handed a caller who might otherwise wait for ever.
"""

from ccari.agi.desk import Desk
from ccari.agi.session import Session
from ccari.gating.shipped import FASTAGI, STASIS

#: The value of ``stasis`` if the question does not come from extensions_ccari.conf.
OTHERS = "-"


async def alive(session: Session, desk: Desk) -> None:
    """Set ``CCARI_ALIVE`` to ``yes``. It does not say that a call can be taken: Stasis and the gate say that.

    Only the shipped dialplans ask this, and give their version in the address; those older than the version
    numbers give none.

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
