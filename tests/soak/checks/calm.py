"""What must be closed and complete once all is calm again: rows closed, nothing orphaned, files in their place."""

from collections.abc import Iterator

from tests.soak.account import Account, Line, RecordingRow
from tests.soak.checks.violation import Violation

_OPEN = frozenset({"tagged", "recording"})
#: The service's log events for an unexpected error.
_BUGS = frozenset({"call_failed", "call_not_closed"})


def is_over_and_whole(account: Account) -> Iterator[Violation]:
    if not account.calm:
        return
    for call in account.calls:
        if call.ended_at is None:
            yield Violation(0, "a call's row was never closed", call.id, f"opened {call.opened_at:.0f}")
    for what in account.left:
        yield Violation(0, "left behind", "", what)
    for where in account.at_work:
        yield Violation(0, "plain audio left beside the recordings", "", where)
    files = {each.recording for each in account.kept}
    raw = {each.recording for each in account.raw if each.left}
    for recording in account.recordings:
        yield from _whole(account, recording, raw=recording.id in raw, kept=recording.id in files)


def _whole(account: Account, recording: RecordingRow, *, raw: bool, kept: bool) -> Iterator[Violation]:
    if recording.state in _OPEN:
        yield Violation(
            0, "a recording was never closed", recording.call_id, f"{recording.id} is {recording.state}"
        )
    elif raw and (recording.state != "finished" or not _is_delayed(account, recording)):
        yield Violation(
            0, "a raw file was left in the spool without a reason", recording.call_id,
            f"{recording.id} is {recording.state}",
        )  # fmt: skip
    if recording.state == "stored" and not kept:
        yield Violation(0, "a stored recording has no file", recording.call_id, f"{recording.file}")
    if recording.state == "finished" and not raw:
        yield Violation(0, "a finished recording is nowhere", recording.call_id, recording.id)


def _is_delayed(account: Account, recording: RecordingRow) -> bool:
    return any(
        line.told.get("event") == "recording_delayed" and line.told.get("call_id") == recording.call_id
        for line in account.lines
    )


def nothing_failed_inside(account: Account) -> Iterator[Violation]:
    """An exception that ends a call, a task or the service is a bug, whatever caused it."""
    for line in account.lines:
        call = str(line.told.get("call_id", ""))
        if line.told.get("event") == "library_message":
            if _is_a_failure(line):
                said = str(line.told.get("message", "")).partition("\n")[0]
                yield Violation(0, "a library tells of an error of ours", call, f"{line.source}: {said[:80]}")
        elif line.told.get("event") in _BUGS or "Traceback" in line.text:
            yield Violation(0, "an error that nobody had thought of", call, line.source)


def _is_a_failure(line: Line) -> bool:
    """Asyncio logs what it cannot raise: a task's exception that nobody retrieved, a callback that failed. Other
    libraries warn of what they retry.
    """
    return line.told.get("logger") == "asyncio" or line.told.get("level") in {"error", "critical"}
