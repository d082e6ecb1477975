"""Invariants 2 and 4: what may be recorded, from when, and under which tag."""

from collections.abc import Iterator

from tests.integration.studio import TONES
from tests.soak.account import Account, CallRow, RecordingRow
from tests.soak.campaigns import CAMPAIGNS
from tests.soak.checks.matching import CLOCK_SECONDS
from tests.soak.checks.violation import Violation
from tests.soak.hearing import CERTAIN_SECONDS

_NOTICE = frozenset({TONES["identity"], TONES["recording_notice"], TONES["purpose"]})
#: Where the file of a recording in this state may be.
_MAY_LIE = frozenset({"stored", "finished", "recording", "tagged"})


def recorded_too_early(account: Account) -> Iterator[Violation]:
    by_id = account.by_id
    for recording in account.recordings:
        call = by_id.get(recording.call_id)
        if call is None:
            yield Violation(4, "a recording of no call", recording.call_id, recording.id)
        elif account.calm or call.ended_at is not None:
            # the call is under way, and its row and journal were read one after the other
            yield from _too_early(account, recording, call)
    rows = {each.id: each for each in account.recordings}
    for kept in account.kept:
        notice = [each for each in kept.tones if each.hz in _NOTICE and each.seconds >= CERTAIN_SECONDS]
        if notice:
            row = rows.get(kept.recording)
            yield Violation(
                2, "the notice itself was recorded", row.call_id if row else "",
                f"{kept.recording}: {notice[0].hz:.0f} Hz at {notice[0].began:.1f} s",
            )  # fmt: skip


def _too_early(account: Account, recording: RecordingRow, call: CallRow) -> Iterator[Violation]:
    declared = CAMPAIGNS.get(call.campaign)
    tagged = call.is_of_recording("recording_tagged", recording.id)
    heard, agreed = call.first("notice_heard"), call.first("recording_agreed")
    if call.heard_at is None or call.heard_at > recording.tagged_at + CLOCK_SECONDS or heard is None:
        yield Violation(2, "recorded before the notice was heard", call.id, recording.id)
    if tagged is None:
        yield Violation(4, "a recording whose tag the journal does not know", call.id, recording.id)
    elif heard is not None and heard.seq > tagged.seq:
        yield Violation(2, "tagged before the notice was heard", call.id, recording.id)
    if recording.mode == "opt_in" and (agreed is None or (tagged is not None and agreed.seq > tagged.seq)):
        yield Violation(2, "recorded without the key that agrees", call.id, recording.id)
    if declared is not None and (declared.mode == "off" or declared.mode != recording.mode):
        yield Violation(2, "recorded in another mode than was declared", call.id, recording.mode)
    seen = next((each.seen_at for each in account.raw if each.recording == recording.id), None)
    if seen is not None and call.heard_at is not None and seen < call.heard_at - CLOCK_SECONDS:
        yield Violation(2, "a recorder ran before the notice was heard", call.id, recording.id)


def untagged_audio(account: Account) -> Iterator[Violation]:
    rows = {each.id: each for each in account.recordings}
    for raw in account.raw:
        row = rows.get(raw.recording)
        if row is None:
            yield Violation(4, "audio in the spool that no tag is of", "", raw.recording)
        elif raw.seen_at < row.tagged_at - CLOCK_SECONDS:
            yield Violation(4, "the recorder ran before its tag was committed", row.call_id, raw.recording)
    for kept in account.kept:
        row = rows.get(kept.recording)
        if row is None:
            yield Violation(4, "a kept recording that no tag is of", "", kept.file)
        elif row.state not in _MAY_LIE and account.calm:
            yield Violation(
                4, "audio was kept that was done away with", row.call_id, f"{kept.file} is {row.state}"
            )
