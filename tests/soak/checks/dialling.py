"""Invariant 1: a suppressed number is never dialled; 7: one controller's list never acts on another."""

from collections.abc import Iterator

from tests.soak.account import Account, Bar, CallRow
from tests.soak.campaigns import BARRED_BY_RIGHT, CAMPAIGNS
from tests.soak.checks.matching import CLOCK_SECONDS, dialled_by
from tests.soak.checks.violation import Violation, masked
from tests.soak.plan import Fault

#: From the facts that the gate is given to the token that it spends, and from that to the INVITE.
IN_FLIGHT_SECONDS = 1.0
#: Faults that can delay a request, or its sender.
HOLDS_UP = (
    Fault.STOP_CCARI,
    Fault.STOP_ASTERISK,
    Fault.STALL_ASTERISK,
    Fault.STOP_POSTGRES,
    Fault.STALL_POSTGRES,
)


def suppressed_is_dialled(account: Account) -> Iterator[Violation]:
    for call in account.calls:
        if call.dialled_at is not None and not _is_held_up(account, call, call.dialled_at):
            bar = _barred(account, call, call.dialled_at)
            if bar is not None:
                seconds = call.dialled_at - bar.committed_at
                yield Violation(
                    1, "a token was spent on a suppressed number", call.id, f"{bar.reason}, {seconds:.1f} s before"
                )  # fmt: skip
    for invite, by in dialled_by(account):
        if by is None:
            evidence = (
                f"INVITE to {masked(invite.digits)} from {invite.caller or 'nobody'} at {invite.at:.3f}"
            )
            yield Violation(1, "an INVITE that no call has a token for", "", evidence)
            continue
        bar = _barred(account, by, invite.at)
        if bar is not None and not account.broken(by.dialled_at or 0, invite.at, *HOLDS_UP):
            seconds = invite.at - bar.committed_at
            yield Violation(
                1, "a suppressed number was dialled", by.id, f"{bar.reason}, {seconds:.1f} s before"
            )


def _is_held_up(account: Account, call: CallRow, at: float) -> bool:
    """Whether the facts may predate a bar that was entered during a fault."""
    return account.broken(at - IN_FLIGHT_SECONDS, at + CLOCK_SECONDS, *HOLDS_UP)


def _barred(account: Account, call: CallRow, at: float) -> Bar | None:
    barred_by = CAMPAIGNS[call.campaign].barred_by if call.campaign in CAMPAIGNS else frozenset[str]()
    return next(
        (
            each
            for each in account.bars
            if each.controller == call.controller
            and each.digest == call.digest
            and each.campaign in {"", call.campaign}
            and each.reason in barred_by
            and each.committed_at + IN_FLIGHT_SECONDS < at
            and (each.removed_at is None or each.removed_at > at)
        ),
        None,
    )


def one_controllers_own(account: Account) -> Iterator[Violation]:
    by_id = account.by_id
    for call in account.calls:
        declared = CAMPAIGNS.get(call.campaign)
        if declared is not None and call.controller not in {"", declared.controller}:
            yield Violation(7, "a call was made for another controller", call.id, call.controller)
        if call.reason.startswith("suppressed") and not _has_bar(account, call):
            yield Violation(
                7, "a number was barred that its controller has not barred", call.id,
                f"{call.controller}/{call.campaign}: {call.reason}",
            )  # fmt: skip
    for bar in account.bars:
        whose = by_id.get(bar.call_id or "")
        if whose is not None and whose.controller != bar.controller:
            yield Violation(7, "a right bars for another controller", whose.id, bar.controller)
    for request in account.requests:
        whose = by_id.get(request.call_id)
        if whose is not None and whose.controller != request.controller:
            yield Violation(7, "a right was registered for another controller", whose.id, request.controller)
        if whose is not None and request.right in BARRED_BY_RIGHT:
            yield from _bars_elsewhere(account, request.reference, whose)


def _has_bar(account: Account, call: CallRow) -> bool:
    ended = call.ended_at if call.ended_at is not None else float("inf")
    return any(
        each.controller == call.controller and each.digest == call.digest and each.earliest <= ended
        for each in account.bars
    )


def _bars_elsewhere(account: Account, reference: str, call: CallRow) -> Iterator[Violation]:
    """The same number barred under another controller by this call."""
    for bar in account.bars:
        if bar.call_id == call.id and bar.digest != call.digest:
            yield Violation(7, "a right bars another number", call.id, reference)
