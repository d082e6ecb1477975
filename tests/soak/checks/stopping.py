"""Invariant 6: nothing is kept that was said after a refusal or in a pause, by the time at which world sent the key."""

from collections.abc import Iterator

from tests.soak.absences import is_heard
from tests.soak.account import Account, CallRow, Press, RecordingRow
from tests.soak.campaigns import PAUSE, RESUME, STOPS_RECORDING
from tests.soak.checks.presses import codes_entered, rights_pressed
from tests.soak.checks.violation import Violation
from tests.soak.plan import Fault

#: From a key that stops the recording to the last moment that may be kept: until Asterisk has obeyed.
STOPPING_SECONDS = 1.0
_FOR_EVER = float("inf")


def goes_on_after_refusal(account: Account) -> Iterator[Violation]:
    """A press counts by world's time. If world does not know it, or knows only an earlier one that was lost, it counts
    by the time at which the service heard it.
    """
    refused: dict[str, float] = {}
    for press, call, right in [*rights_pressed(account), *_obeyed_codes(account)]:
        if right in STOPS_RECORDING and is_heard(account, press, call):
            refused[call.id] = min(refused.get(call.id, _FOR_EVER), press.ended)
    for request in account.requests:
        call_of_it = account.by_id.get(request.call_id)
        if request.right in STOPS_RECORDING and call_of_it and not _clock_was_stepped(account, call_of_it):
            refused.setdefault(request.call_id, request.received_at)
    for recording in account.recordings:
        at = refused.get(recording.call_id)
        ends = _end(account, recording)
        if at is not None and ends is not None and ends > at + STOPPING_SECONDS:
            yield Violation(
                6, "recorded on after a refusal", recording.call_id, f"{recording.id}: {ends - at:.1f} s"
            )


def goes_on_after_pause(account: Account) -> Iterator[Violation]:
    for press, call, does in _obeyed_codes(account):
        if does != PAUSE or not is_heard(account, press, call):
            continue
        began = press.ended + STOPPING_SECONDS
        resumed = (
            each.began for each, of, then in _obeyed_codes(account)
            if then == RESUME and of.id == call.id and each.began > press.ended
        )  # fmt: skip
        ended = min(resumed, default=_FOR_EVER)
        for recording in account.recordings:
            ends = _end(account, recording)
            if (
                recording.call_id == call.id
                and ends is not None
                and _began(account, recording) < ended
                and ends > began
            ):
                yield Violation(
                    6,
                    "recorded in a pause",
                    call.id,
                    f"{recording.id}: until {ends - began + STOPPING_SECONDS:.1f} s after",
                )


def _obeyed_codes(account: Account) -> Iterator[tuple[Press, CallRow, str]]:
    """Outside a talk they have no effect, and are not in the journal."""
    for press, call, does in codes_entered(account):
        if any(each.fields.get("code") == press.keys for each in call.all("agent_code_entered")):
            yield press, call, does


def _began(account: Account, recording: RecordingRow) -> float:
    """When its file was first seen: the service's own time is as late, and as wrong, as its clock."""
    seen = next((each.seen_at for each in account.raw if each.recording == recording.id), None)
    return seen or recording.started_at or recording.tagged_at


def _end(account: Account, recording: RecordingRow) -> float | None:
    """The end of the part that is kept."""
    if recording.state != "stored":
        return None
    return _began(account, recording) + (recording.duration_ms or 0) / 1000


def _clock_was_stepped(account: Account, call: CallRow) -> bool:
    """Whether a wrong clock gave the time of the press."""
    ended = call.ended_at if call.ended_at is not None else _FOR_EVER
    return account.broken(call.opened_at, ended, Fault.STEP_CLOCK)
