"""Whether the tables agree with the journal. It is sealed and they are not: whoever can write them could have them say
anything. What was erased from the journal cannot be compared, and is no fault.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ccari.policy.chain import Linked

Row = Mapping[str, Any]

#: Between the database's clock, which a row has, and the service's, which the journal has.
CLOCKS_DIFFER = timedelta(minutes=5)
_OF_CALL = ("legal_basis", "controller", "campaign", "revision")
_TAGGED = {"legal_basis": "recording_basis", "mode": "mode", "delete_at": "delete_at"}
_STORED = ("file", "format", "duration_ms", "sha256", "file_sha256")
#: Each recording of these states has such an entry; of any state: the first.
_ENTRY_OF = {
    frozenset[str](): "recording_tagged",
    frozenset({"stored", "deleted"}): "recording_stored",
    frozenset({"deleted"}): "recording_deleted",
}


class _Told:
    """What a journal tells of recordings in one kind of entry. ``open``: some entry does not say of which it tells."""

    def __init__(self, journal: Sequence[Linked], event: str) -> None:
        self.of: defaultdict[str, list[Mapping[str, str]]] = defaultdict(list)
        self.open = False
        for each in journal:
            if each.event == event and (of := _recording(each)) and each.fields is not None:
                self.of[of].append(each.fields)
            elif each.event == event:
                self.open = True

    def excludes(self, of: str) -> bool:
        """True if it certainly does not tell of this one."""
        return of not in self.of and not self.open


def fault_of_recordings(recordings: Sequence[Row], journal: Sequence[Linked]) -> str | None:
    """The first thing that recordings, as JSON has them, and a call's journal tell differently, in words; or None."""
    stored, deleted = _Told(journal, "recording_stored"), _Told(journal, "recording_deleted")
    lost, tagged = _Told(journal, "recording_lost"), _Told(journal, "recording_tagged")
    for row in recordings:
        fault = _tag(row, tagged, journal) or _file(row, stored) or _state(row, stored, lost, deleted)
        if fault:
            return fault
    # what an entry is of stays for good, also where it was erased what it tells
    for states, event in _ENTRY_OF.items():
        rows = sum(each["state"] in states or not states for each in recordings)
        if rows > (entries := sum(each.event == event for each in journal)):
            return f"there are {rows} recordings for which there is to be a {event}, and {entries} in the journal"
    ran, there = _ran(journal), {each["id"] for each in recordings}
    for of in [*stored.of, *deleted.of, *lost.of, *filter(None, ran)]:
        if of not in there:
            return f"recording {of}, of which the journal tells, is left out"
    if len(recordings) < len(ran):
        return f"the journal tells of {len(ran)} recordings, and there are {len(recordings)}"
    return None


def uncompared(recordings: Sequence[Row], journal: Sequence[Linked]) -> tuple[str, ...]:
    """The ids of recordings whose tag or file cannot be compared, since what the journal told of them was erased."""
    tagged, stored = _Told(journal, "recording_tagged"), _Told(journal, "recording_stored")
    return tuple(
        each["id"]
        for each in recordings
        if each["id"] not in tagged.of or (_is_kept(each) and each["id"] not in stored.of)
    )


def fault_of_call(call: Row, journal: Sequence[Linked]) -> str | None:
    """The first thing that a call's row, as JSON has it, and its journal tell differently, in words; or None."""
    for each in journal:
        fields = each.fields or {}
        for name in _OF_CALL if each.event == "call_gated" else ():
            if name in fields and _text(call, name) != fields[name]:
                return f"the {name} of the call is {_text(call, name)}, and {fields[name]} in the journal"
    heard = [each for each in journal if each.event == "notice_heard"]
    at, version = call.get("heard_at"), call.get("notice_version")
    if at is None:
        # what could not be made durable ends the call, and comes into the journal with its end
        if heard and any(each.event == "call_bridged" for each in journal):
            return "the call has no notice that was heard, and the journal tells of one"
        return None
    if not heard:
        return "the call has a notice that was heard, and the journal tells of none"
    if all(abs(datetime.fromisoformat(at) - each.at) > CLOCKS_DIFFER for each in heard):
        return f"the notice of the call was heard at {at}, and at {heard[-1].at.isoformat()} in the journal"
    return (
        f"the notice of the call is {version}, and another in the journal"
        if _unheard(version, heard)
        else None
    )


def _tag(row: Row, tagged: _Told, journal: Sequence[Linked]) -> str | None:
    of = row["id"]
    if tagged.excludes(of):
        return f"recording {of} is none that the journal tells of"
    for fields in tagged.of.get(of, ()):
        for name, named in _TAGGED.items():
            is_same = _is_same_second if name == "delete_at" else str.__eq__
            if not is_same(_text(row, name), fields[named]):
                return (
                    f"the {name} of recording {of} is {_text(row, name)}, and {fields[named]} in the journal"
                )
    version = row.get("notice_version")
    if _unheard(version, [each for each in journal if each.event == "notice_heard"]):
        return f"the notice of recording {of} is {version}, and another in the journal"
    return None


def _file(row: Row, stored: _Told) -> str | None:
    of = row["id"]
    if not _is_kept(row):
        return None
    if stored.excludes(of):
        return f"recording {of} was stored, and the journal does not tell of it"
    # more than one where the reply of the database was lost
    changed = [
        [name for name in _STORED if _text(row, name) != fields.get(name)] for fields in stored.of.get(of, ())
    ]
    if changed and all(changed):
        return f"recording {of} is another than the journal says was stored: by its {changed[-1][0]}"
    return None


def _state(row: Row, stored: _Told, lost: _Told, deleted: _Told) -> str | None:
    of, state = row["id"], row["state"]
    what = f"recording {of} is {state}, and"
    if state == "deleted":
        if deleted.excludes(of):
            return f"{what} the journal does not tell of it"
        reasons = [fields.get("why") for fields in deleted.of.get(of, ())]
        if reasons and row.get("deletion") not in reasons:
            return f"recording {of} is deleted by {row.get('deletion')}, and by {reasons[-1]} in the journal"
    elif of in deleted.of:
        return f"{what} the journal says that it was deleted"
    if not _is_kept(row) and of in stored.of and lost.excludes(of):
        return f"{what} the journal says that it was stored"
    if state == "discarded" and of in lost.of:
        return f"{what} the journal says that it was lost"
    return None


def _ran(journal: Sequence[Linked]) -> list[str | None]:
    """The recordings that ran; None where it was erased which. One that was tagged and never ran may have no row."""
    ran: dict[int, str | None] = {}
    tagged: Linked | None = None
    for each in journal:
        if each.event == "recording_tagged":
            tagged = each
        elif each.event == "recording_started" and tagged is not None:
            ran[tagged.seq] = _recording(tagged)
    return list(ran.values())


def _unheard(version: str | None, heard: Sequence[Linked]) -> bool:
    """True if no notice of these words was heard. What was erased may have been it."""
    return all(each.fields is not None and each.fields.get("notice_version") != version for each in heard)


def _recording(entry: Linked) -> str | None:
    return (entry.fields or {}).get("recording")


def _is_kept(row: Row) -> bool:
    return row["state"] in {"stored", "deleted"}


def _text(row: Row, name: str) -> str:
    return str(row.get(name))


def _is_same_second(one: str, other: str) -> bool:
    moments = [datetime.fromisoformat(each).replace(microsecond=0) for each in (one, other)]
    return moments[0] == moments[1]
