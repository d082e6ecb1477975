"""A service that ends without being told to, or does not end when told to: systemd would hide both."""

from collections.abc import Iterator

from tests.soak.account import Account, Exit
from tests.soak.checks.violation import Violation
from tests.soak.house import DRAIN_SECONDS
from tests.soak.plan import Fault

#: From SIGTERM to the exit: talks may go on, other calls are ended, and files are closed.
END_SECONDS = DRAIN_SECONDS + 15.0 + 20.0
#: From the start of a process until it handles signals itself.
IMPORT_SECONDS = 20.0
_KILLED, _TERMINATED = -9, -15
_ENDS = frozenset({Fault.END_CCARI, Fault.END_CCARI_AT_ONCE})
#: Faults that prevent the service from starting, so that it exits with a message and is restarted.
_DATABASE = (Fault.KILL_POSTGRES, Fault.STOP_POSTGRES, Fault.CUT_POSTGRES, Fault.STALL_POSTGRES)
_RIGHT_AFTER_SECONDS = 10.0


def ended_by_itself(account: Account) -> Iterator[Violation]:
    for each in account.exits:
        if not _is_asked_for(account, each):
            lived = each.at - each.began
            when = "while it served" if each.served else "before it served"
            yield Violation(
                0,
                "the service ended, and nobody had told it to",
                "",
                f"status {each.status}, after {lived:.1f} s, {when}",
            )


def _is_asked_for(account: Account, end: Exit) -> bool:
    def told(*kinds: Fault, within: float) -> bool:
        return any(
            # the next one was not told to end
            each.kind in kinds and end.began <= each.began <= end.at <= each.ended + within
            for each in account.windows
        )

    match end.status:
        case 0:
            return told(*_ENDS, within=END_SECONDS)
        case status if status == _KILLED:
            return told(Fault.KILL_CCARI, within=1.0)
        case status if status == _TERMINATED:
            # it had no time yet to handle the signal
            return not end.served and end.at - end.began < IMPORT_SECONDS and told(*_ENDS, within=1.0)
        case _:
            return not end.served and account.broken(end.began - _RIGHT_AFTER_SECONDS, end.at, *_DATABASE)


def goes_on_though_told_to_end(account: Account) -> Iterator[Violation]:
    """Unless it was suspended meanwhile, or was not running to be told."""
    for window in account.windows:
        until = window.began + END_SECONDS
        if window.kind not in _ENDS or account.broken(window.began, until, Fault.STOP_CCARI):
            continue
        there = any(
            each.event == "service_started" and each.at < window.began - 1.0
            and not any(each.at < end.at < window.began for end in account.exits)
            for each in account.signs
        )  # fmt: skip
        if there and account.calm and not any(window.began < each.at <= until for each in account.exits):
            yield Violation(0, "the service was told to end, and went on", "", f"for {END_SECONDS:.0f} s")
