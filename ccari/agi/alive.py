"""``AGI(agi://HOST:4573/alive?agi=VERSION&stasis=VERSION)``: check that the service answers, before it is
handed a caller who might otherwise wait for ever.
"""

from ccari.agi.desk import Desk
from ccari.agi.session import Session
from ccari.gating.shipped import FASTAGI, STASIS

#: The value of ``agi`` or ``stasis`` if the question does not come from that dialplan, as ``ccari doctor``'s does not.
OTHERS = "-"


async def alive(session: Session, desk: Desk) -> None:
    """Set ``CCARI_ALIVE`` to ``yes``; to ``no`` if the call is to enter Stasis, and Asterisk is silent there.
    ``yes`` does not say that a call can be taken: Stasis and the gate say that.

    Only the shipped dialplans ask this, and give their version in the address; those older than the version
    numbers give none.

    Raises
    ------
    AgiError
        If the channel is gone.
    """
    asked = session.query
    is_heard = asked.get("stasis", OTHERS) == OTHERS or await desk.takes_stasis()
    if not is_heard:
        desk.kept_from_stasis.add()
    await session.set_variable("CCARI_ALIVE", "yes" if is_heard else "no")
    for dialplan, name in ((FASTAGI, "agi"), (STASIS, "stasis")):
        if asked.get(name) != OTHERS:
            desk.dialplans.seen(dialplan, asked.get(name, ""))
