"""When nobody heard keys: the service was away, or had lost Asterisk. Its own clock is not asked."""

from collections.abc import Iterator

from ccari.calls.transport import HEARTBEAT_SECONDS
from tests.soak.account import Account, Press, Window
from tests.soak.plan import Fault

#: A link that is dead is known to be within a heartbeat, half of one for its answer, and what a busy machine takes.
NOTICED_SECONDS = 1.5 * HEARTBEAT_SECONDS + 3.0
#: From the end of the last call of a service that stops to its exit.
CLOSING_SECONDS = 2.0
#: A key that arrives so shortly before the end of its call, or of Asterisk, may come after it.
RACE_SECONDS = 1.0
#: What takes a link along; what comes of the others is that it is late.
_TAKES_THE_LINK = frozenset(
    {Fault.STOP_CCARI, Fault.KILL_ASTERISK, Fault.STOP_ASTERISK, Fault.CUT_ASTERISK, Fault.STALL_ASTERISK}
)
_LATE = (Fault.STOP_CCARI, Fault.STALL_ASTERISK, Fault.STOP_ASTERISK)


def absences(account: Account) -> Iterator[tuple[float, float]]:
    """From when to when nobody heard: from the fault that a loss came of, or from the loss, to the next connection."""
    losses = [(each.at, each.at - CLOSING_SECONDS) for each in account.exits]
    losses += [(each.at, each.at) for each in account.signs if each.event == "asterisk_away"]
    losses += [(0.0, 0.0)]
    connected = sorted(each.at for each in account.signs if each.event == "asterisk_connected")
    for at, began in losses:
        causes = [each.began for each in account.windows if _may_cause(each, at)]
        yield min([began, *causes]), next((each for each in connected if each > at), float("inf"))


def _may_cause(window: Window, loss: float) -> bool:
    return window.kind in _TAKES_THE_LINK and window.began <= loss <= window.ended + NOTICED_SECONDS


def is_heard(account: Account, press: Press, until: float | None) -> bool:
    """Whether the service has to have heard it. ``until``: the end of its call, by PostgreSQL's clock."""
    if until is None or press.ended > until - RACE_SECONDS:
        return False
    # an Asterisk that is stopped, or killed, loses packets
    began, ended = press.began - RACE_SECONDS, press.ended + RACE_SECONDS
    if account.broken(began, ended, Fault.STOP_ASTERISK, Fault.KILL_ASTERISK):
        return False
    return not any(began < press.ended and ended > press.began for began, ended in absences(account))


def told_at(account: Account, press: Press) -> float:
    """When the service could know of it: at once, or when what held it up was over."""
    return max(
        [press.ended]
        + [
            each.ended
            for each in account.windows
            if each.kind in _LATE and each.began <= press.ended < each.ended
        ]
    )
