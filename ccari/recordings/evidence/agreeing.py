"""Checks that the rows of a call's recordings and consents agree with its journal, and a request's row with its own journal.

The journal is sealed and the rows are not: anyone who can write to the database could change them. Fields erased from the journal cannot
be compared, and count as agreeing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ccari.policy import chain
from ccari.policy.chain import CLOCKS_DIFFER, Linked
from ccari.policy.recording import RecordingState
from ccari.ports.recordings import InPlace

Row = Mapping[str, Any]

_TAGGED = {"legal_basis": "recording_basis", "mode": "mode", "delete_at": "delete_at"}
_STORED = ("file", "format", "duration_ms", "sha256", "file_sha256")
#: The journal entry that each recording in these states must have; the empty set means every state.
_ENTRY_FOR = {
    frozenset[RecordingState](): "recording_tagged",
    frozenset({RecordingState.STORED, RecordingState.DELETED}): "recording_stored",
    frozenset({RecordingState.DELETED}): "recording_deleted",
}


class _Entries:
    """A journal's entries of one kind. ``fields``: by the recording that they are about. ``some_erased``: the fields of some entry were
    erased, so it may be about any recording.
    """

    def __init__(self, journal: Sequence[Linked], event: str) -> None:
        self.fields: defaultdict[str, list[Mapping[str, str]]] = defaultdict(list)
        self.some_erased = False
        for entry in journal:
            if entry.event == event and (name := _recording(entry)) and entry.fields is not None:
                self.fields[name].append(entry.fields)
            elif entry.event == event:
                self.some_erased = True

    def excludes(self, recording: str) -> bool:
        """True if no entry can be about this recording."""
        return recording not in self.fields and not self.some_erased


def fault_of_recordings(recordings: Sequence[Row], journal: Sequence[Linked]) -> str | None:
    """The first difference between a call's recordings (rows as in JSON) and its journal, in words; None if they agree."""
    stored, deleted = _Entries(journal, "recording_stored"), _Entries(journal, "recording_deleted")
    lost, tagged = _Entries(journal, "recording_lost"), _Entries(journal, "recording_tagged")
    for row in recordings:
        fault = (
            _fault_of_tag(row, tagged, journal)
            or _fault_of_file(row, stored)
            or _fault_of_state(row, stored, lost, deleted)
        )
        if fault:
            return fault
    # an entry keeps its event when its fields are erased, so entries can always be counted
    for states, event in _ENTRY_FOR.items():
        rows = sum(each["state"] in states or not states for each in recordings)
        if rows > (entries := sum(each.event == event for each in journal)):
            return f"of the entries {event}, the recordings need {rows}, but the journal has {entries}"
    started, rows_of = _started(journal), {each["id"] for each in recordings}
    for name in [*stored.fields, *deleted.fields, *lost.fields, *filter(None, started)]:
        if name not in rows_of:
            return f"recording {name} is in the journal, but missing from the list of recordings"
    if len(recordings) < len(started):
        return f"of the recordings, the journal has {len(started)}, but the list of recordings has {len(recordings)}"
    return None


def uncompared(recordings: Sequence[Row], journal: Sequence[Linked]) -> tuple[str, ...]:
    """The ids of recordings whose tag or file cannot be compared, because the journal's entry was erased."""
    tagged, stored = _Entries(journal, "recording_tagged"), _Entries(journal, "recording_stored")
    return tuple(
        each["id"]
        for each in recordings
        if each["id"] not in tagged.fields or (_was_stored(each) and each["id"] not in stored.fields)
    )


def faults_of_stored(recording: InPlace) -> Iterator[str]:
    """What is wrong with a stored recording's row, in words, according to the journal of its call. Check the journal itself separately
    (``ccari evidence check``).

    While the recording is stored, nothing in the journal is erased.
    """
    tag, row = recording.tag, recording.kept.journal_fields
    row |= {"legal_basis": tag.legal_basis, "mode": tag.mode, "delete_at": tag.delete_at.isoformat()}
    tagged, stored = (recording.told.get(each, ()) for each in ("recording_tagged", "recording_stored"))
    if not tagged or not stored:
        yield "the journal of its call does not say that it was tagged and stored"
    if other := _other_tag(row, tagged):
        column, its, told = other
        yield f"its {column} is {its}, but {told} in the journal of its call"
    if changed := _other_file(row, stored):
        yield f"it is not the one that the journal of its call says was stored: its {changed} differs"


def fault_of_consents(consents: Sequence[Row], journal: Sequence[Linked]) -> str | None:
    """What is wrong with the consents (rows as in JSON) that a call is said to rest on, in words; None if the gate knew of each.

    A missing consent is no fault: it may have been erased, or have expired.
    """
    facts = [each.fields for each in journal if each.fields is not None and "attempts" in each.fields]
    # the next entry has the facts by which the call was dialled; if the service died before writing it, no entry has them
    died = len(facts) == 1 and any((each.fields or {}).get("reason") == "service_died" for each in journal)
    if not facts or died or any(each.fields is None for each in journal):
        return None
    # the format that ccari.gating.findings writes
    known = {each.get("consent", "").removeprefix("given ").partition(" ")[0].rstrip(",") for each in facts}
    for row in consents:
        given = datetime.fromisoformat(row["given_at"]).astimezone(UTC).isoformat(timespec="seconds")
        if given not in known:
            return f"the call is said to rest on a consent given at {given}, of which the gate did not know"
    return None


def fault_of_request(request: Row, journal: Sequence[Linked]) -> str | None:
    """The first difference between a request's row (as in JSON) and its journal, in words; None if they agree."""
    fault, closed_at, state = (
        chain.fault_of_request(journal, request),
        request.get("closed_at"),
        request["state"],
    )
    if fault is not None or closed_at is None:
        return fault
    entered = next(each.at for each in journal if each.event.startswith(f"{state} "))
    if abs(datetime.fromisoformat(closed_at) - entered) > CLOCKS_DIFFER:
        return f"the request was closed at {closed_at}, but at {entered.isoformat()} in the journal"
    return None


def _fault_of_tag(row: Row, tagged: _Entries, journal: Sequence[Linked]) -> str | None:
    name = row["id"]
    if tagged.excludes(name):
        return f"recording {name} is not in the journal"
    if other := _other_tag(row, tagged.fields.get(name, ())):
        column, its, told = other
        return f"the {column} of recording {name} is {its}, but {told} in the journal"
    version = row.get("notice_version")
    if chain.was_not_heard(version, [each for each in journal if each.event == "notice_heard"]):
        return f"the notice of recording {name} is {version}, but the journal has a different one"
    return None


def _fault_of_file(row: Row, stored: _Entries) -> str | None:
    name = row["id"]
    if not _was_stored(row):
        return None
    if stored.excludes(name):
        return f"recording {name} was stored, but the journal does not say so"
    if other := _other_file(row, stored.fields.get(name, ())):
        return f"recording {name} is not the one that the journal says was stored: its {other} differs"
    return None


def _other_tag(row: Row, entries: Iterable[Mapping[str, str]]) -> tuple[str, str, str] | None:
    """The first column where a recording's row differs from the fields of ``entries`` on its tag, with both values."""
    for fields in entries:
        for column, field in _TAGGED.items():
            is_same = _is_same_second if column == "delete_at" else str.__eq__
            if not is_same(_text(row, column), told := fields.get(field, "")):
                return column, _text(row, column), told
    return None


def _other_file(row: Row, entries: Iterable[Mapping[str, str]]) -> str | None:
    """The first column where a recording's row differs from the fields of ``entries`` on its file."""
    # after a lost reply of the database a recording is stored again, with a second entry; one of them must fit
    changed = [
        [column for column in _STORED if _text(row, column) != fields.get(column)] for fields in entries
    ]
    return changed[-1][0] if changed and all(changed) else None


def _fault_of_state(row: Row, stored: _Entries, lost: _Entries, deleted: _Entries) -> str | None:
    name, state = row["id"], row["state"]
    what = f"recording {name} is {state}, but"
    if state == RecordingState.DELETED:
        if deleted.excludes(name):
            return f"{what} the journal does not say so"
        reasons = [fields.get("why") for fields in deleted.fields.get(name, ())]
        if reasons and row.get("deletion") not in reasons:
            return f"recording {name} was deleted because of {row.get('deletion')}, but because of {reasons[-1]} in the journal"
    elif name in deleted.fields:
        return f"{what} the journal says that it was deleted"
    if not _was_stored(row) and name in stored.fields and lost.excludes(name):
        return f"{what} the journal says that it was stored"
    if state == RecordingState.DISCARDED and name in lost.fields:
        return f"{what} the journal says that it was lost"
    return None


def _started(journal: Sequence[Linked]) -> list[str | None]:
    """The recordings that the journal says were started; None for one whose id was erased. A recording that was tagged but never started
    may have no row.
    """
    started: dict[int, str | None] = {}
    tagged: Linked | None = None
    for entry in journal:
        if entry.event == "recording_tagged":
            tagged = entry
        elif entry.event == "recording_started" and tagged is not None:
            started[tagged.seq] = _recording(tagged)
    return list(started.values())


def _recording(entry: Linked) -> str | None:
    return (entry.fields or {}).get("recording")


def _was_stored(row: Row) -> bool:
    return row["state"] in {RecordingState.STORED, RecordingState.DELETED}


def _text(row: Row, name: str) -> str:
    return str(row.get(name))


def _is_same_second(one: str, other: str) -> bool:
    try:
        moments = [datetime.fromisoformat(each).replace(microsecond=0) for each in (one, other)]
    except ValueError:
        # somebody edited it into something that is no moment
        return False
    return moments[0] == moments[1]
