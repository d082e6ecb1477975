"""Invariants 5 and 6: a right that was pressed, and its effect, are durable before it is confirmed."""

from collections import Counter
from collections.abc import Iterator

from tests.integration.studio import CONFIRMED, TONES
from tests.soak.account import Account, CallRow, RequestRow
from tests.soak.campaigns import BARRED_BY_RIGHT
from tests.soak.checks.matching import heard_in
from tests.soak.checks.presses import refused_rights
from tests.soak.checks.violation import Violation
from tests.soak.hearing import CERTAIN_SECONDS

#: Prompts that say that the callee is no longer recorded.
_REFUSED_TONES = frozenset({TONES["continues_unrecorded"], TONES["recording_stopped"]})
#: The actions of a campaign's keys that are rights.
_RIGHTS = {
    "continue_unrecorded": "refuse_recording",
    "erasure": "erasure",
    "access": "access",
    "objection_marketing": "objection_marketing",
}


def confirmed_unregistered(account: Account) -> Iterator[Violation]:
    """At the far end: the callee heard the confirmation, and the right is not on record. Certain only once everything
    is replayed.
    """
    if not account.calm:
        return
    of_call: dict[str, list[RequestRow]] = {}
    for request in account.requests:
        of_call.setdefault(request.call_id, []).append(request)
    for told, call in heard_in(account):
        rights = {each.right for each in of_call.get(call.id, [])}
        for tone in told.tones:
            if tone.seconds < CERTAIN_SECONDS:
                continue
            if tone.hz == CONFIRMED and not rights - {"refuse_recording"}:
                yield Violation(
                    5, "a right was confirmed that is not on record", call.id, f"at {tone.began:.1f} s"
                )
            if tone.hz in _REFUSED_TONES and "refuse_recording" not in rights | _without_a_name(call):
                yield Violation(
                    5, "a refusal was confirmed that is not on record", call.id, f"at {tone.began:.1f} s"
                )
    for (call_id, right), count in Counter((each.call_id, each.right) for each in account.requests).items():
        if count > 1:
            yield Violation(5, "one press is several requests", call_id, f"{count} of {right}")


def _without_a_name(call: CallRow) -> frozenset[str]:
    """A caller who withholds their number may refuse to be recorded, and is told that they are not, though no request is theirs."""
    return frozenset() if call.digest else refused_rights(call)


def right_lost(account: Account) -> Iterator[Violation]:
    """A press in a call's journal, which is written with its result, is a request, or was refused."""
    if not account.calm:
        return
    registered = {(each.call_id, each.right) for each in account.requests}
    for call in account.calls:
        if call.ended_at is None:
            continue
        answered = refused_rights(call)
        for pressed in call.all("key_pressed"):
            right = _RIGHTS.get(pressed.fields.get("action", ""))
            if right is not None and (call.id, right) not in registered | {
                (call.id, each) for each in answered
            }:
                yield Violation(5, "a right was pressed and lost", call.id, f"{right}, entry {pressed.seq}")


def effect_missing(account: Account) -> Iterator[Violation]:
    by_id = account.by_id
    bars = {(each.controller, each.digest, each.reason) for each in account.bars}
    for request in account.requests:
        call, reason = by_id.get(request.call_id), BARRED_BY_RIGHT.get(request.right)
        if call is not None and reason is not None and (call.controller, call.digest, reason) not in bars:
            yield Violation(6, "a right without its bar", call.id, f"{request.reference}: {request.right}")
