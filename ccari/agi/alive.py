"""``AGI(agi://HOST:4573/alive)``: whether anybody is there, before a caller is handed over who could wait for ever."""

from ccari.agi.desk import Counter
from ccari.agi.session import Session


async def alive(session: Session, _counter: Counter) -> None:
    """Leave ``yes`` in ``CCARI_ALIVE``; whether a call can be taken, Stasis and the gate tell.

    Raises
    ------
    AgiError
        If the channel is gone.
    """
    await session.set_variable("CCARI_ALIVE", "yes")
