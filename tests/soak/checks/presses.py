"""Invariant 5, from the far end: a right whose key world sent while the service could hear it is a request, or the
callee or agent was told that it could not be registered.
"""

from collections.abc import Iterator

from tests.soak.absences import is_heard
from tests.soak.account import Account, CallRow, Press
from tests.soak.campaigns import CAMPAIGNS, RIGHTS
from tests.soak.checks.matching import heard_in
from tests.soak.checks.violation import Violation
from tests.soak.plan import Fault

#: Events that say that a pressed right could not be registered, and that the callee or agent was told.
REFUSED = frozenset({"right_failed", "right_unregistrable"})


def rights_pressed(account: Account) -> Iterator[tuple[Press, CallRow, str]]:
    """The rights that callees have pressed, with their calls."""
    by_channel = {told.channel: call for told, call in heard_in(account)}
    for press in account.presses:
        call = by_channel.get(press.channel)
        right = CAMPAIGNS[call.campaign].keys.get(press.keys) if call is not None else None
        if call is not None and right in RIGHTS:
            yield press, call, right


def codes_entered(account: Account) -> Iterator[tuple[Press, CallRow, str]]:
    """The codes that agents who dialled have entered, with their calls and meanings."""
    by_id = account.by_id
    for press in account.presses:
        call = by_id.get(account.of_agent_call.get(press.agent_call, ""))
        does = CAMPAIGNS[call.campaign].codes.get(press.keys) if call and call.campaign in CAMPAIGNS else None
        if call is not None and does is not None:
            yield press, call, does


def refused_rights(call: CallRow) -> frozenset[str]:
    return frozenset(each.fields.get("right", "") for each in call.journal if each.event in REFUSED)


def _said_no(account: Account) -> Iterator[tuple[str, str]]:
    """Read from the log too: the end of a journal is lost if the service ends while PostgreSQL is down."""
    for call in account.calls:
        yield from ((call.id, right) for right in refused_rights(call))
    for line in account.lines:
        if line.told.get("event") in REFUSED:
            yield str(line.told.get("call_id")), str(line.told.get("right"))


def press_lost(account: Account) -> Iterator[Violation]:
    if not account.calm:
        return
    known = {(each.call_id, each.right) for each in account.requests} | set(_said_no(account))
    for press, call, right in rights_pressed(account):
        if (call.id, right) not in known and is_heard(account, press, call):
            yield Violation(
                5,
                "a key was sent, and nobody knows of it",
                call.id,
                f"{press.keys}, {right}, at {press.ended:.1f}",
            )
    yield from _code_lost(account)


def _code_lost(account: Account) -> Iterator[Violation]:
    """Only for talks that ended because the agent hung up: codes work only in the talk."""
    pressed_in = {call.id for _, call, _ in rights_pressed(account)}
    for press, call, _ in codes_entered(account):
        bridged = call.first("call_bridged")
        if (
            bridged is None
            or call.id in pressed_in
            or (call.outcome, call.reason)
            not in {("bridged", ""), ("bridged", "recording_refused"), ("bridged", "access")}
            or call.first("transfer_asked") is not None
            or account.broken(call.opened_at, call.ended_at or press.ended, Fault.STEP_CLOCK)
            or press.began < bridged.at + 1.0
        ):
            continue
        known = any(each.fields.get("code") == press.keys for each in call.all("agent_code_entered"))
        if not known and is_heard(account, press, call):
            yield Violation(
                5,
                "an agent's code was sent, and nobody knows of it",
                call.id,
                f"{press.keys} at {press.ended:.1f}",
            )
