"""When keys were not heard: the service was down, or had lost Asterisk. Its own clock is not used."""

from collections.abc import Iterator

from ccari.calls.transport import HEARTBEAT_SECONDS
from ccari.store.local_journal import KEEP_SECONDS
from ccari.store.replaying import PRESS_SECONDS
from tests.soak.account import Account, CallRow, Press
from tests.soak.plan import Fault

#: The time within which a dead link is detected: a heartbeat, half of one for its answer, and a busy machine's delay.
NOTICED_SECONDS = 1.5 * HEARTBEAT_SECONDS + 3.0
#: From the end of a stopping service's last call to its exit.
CLOSING_SECONDS = 2.0
#: A right that is heard but not yet durable dies with a killed service; it was not confirmed.
UNWRITTEN_SECONDS = PRESS_SECONDS + KEEP_SECONDS + 0.5
_KILLED = -9
#: A key this shortly before the end of its call, or of Asterisk, may arrive after it.
RACE_SECONDS = 1.0
#: Faults that break a link. If one only delays a message, Asterisk's time-stamp still says when it was.
_TAKES_THE_LINK = frozenset(
    {Fault.STOP_CCARI, Fault.KILL_ASTERISK, Fault.STOP_ASTERISK, Fault.CUT_ASTERISK, Fault.STALL_ASTERISK}
)


def absences(account: Account) -> Iterator[tuple[float, float]]:
    """The periods in which nobody heard: from the fault that caused a loss, or from the loss itself, to the next
    connection.
    """
    connected = sorted(each.at for each in account.signs if each.event == "asterisk_connected")

    def until(loss: float) -> float:
        return next((each for each in connected if each > loss), float("inf"))

    yield 0.0, until(0.0)
    for each in account.exits:
        before = UNWRITTEN_SECONDS if each.status == _KILLED else CLOSING_SECONDS
        # whatever was held up meanwhile is lost with it
        yield _cause(account, each.at, within=0.0) - before, until(each.at)
    for sign in account.signs:
        if sign.event == "asterisk_away":
            yield _cause(account, sign.at, within=NOTICED_SECONDS), until(sign.at)


def _cause(account: Account, loss: float, *, within: float) -> float:
    """When the first fault began that may have caused the loss, if it ended no longer than ``within`` before; else the
    loss.
    """
    began = [
        each.began
        for each in account.windows
        if each.kind in _TAKES_THE_LINK and each.began <= loss <= each.ended + within
    ]
    return min([loss, *began])


def is_heard(account: Account, press: Press, call: CallRow) -> bool:
    """Whether the service must have heard the press, in that call."""
    until = _end(account, call)
    if until is None or press.ended > until - RACE_SECONDS:
        return False
    # an Asterisk that is stopped or killed loses packets
    began, ended = press.began - RACE_SECONDS, press.ended + RACE_SECONDS
    if account.broken(began, ended, Fault.STOP_ASTERISK, Fault.KILL_ASTERISK):
        return False
    return not any(began < press.ended and ended > press.began for began, ended in absences(account))


def _end(account: Account, call: CallRow) -> float | None:
    """By PostgreSQL's clock, or else by the service's log: the row cannot be written while PostgreSQL is down."""
    said = (each.at for each in account.signs if each.event == "call_ended" and each.call == call.id)
    return None if call.ended_at is None else min([call.ended_at, *said])
