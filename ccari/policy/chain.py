"""The append-only journal of a call or a request: each entry is chained to the one before it.

The chain links commitments to the entries' fields, not the fields themselves. So the fields can be erased (Article 17), and the chain
still proves that there was an entry, when, and in which position. The salt keeps anyone from guessing erased fields.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from ccari.policy.canonical import canonical

SALT_BYTES = 16
#: The entries that say under which policy a call was made: a call has one of the two, or none if the gate was never asked.
GATED = frozenset({"call_gated", "call_blocked"})
#: The entry of a call that says that fields before it were erased (Article 17), or expired.
ERASED = "personal_data_erased"
#: Columns of a call's row that these entries repeat: under what the call was made, and with whom. ``number``: masked.
OF_CALL = (
    "legal_basis",
    "controller",
    "campaign",
    "revision",
    "direction",
    "agent",
    "number",
    "digest",
    "key_version",
)
#: Those of them that stand for the number: shown to nobody, since they tell which calls are one person's.
OF_NUMBER = frozenset({"digest", "key_version"})
#: Columns of a call's row about its end, which its first end entry repeats: a call that has ended keeps its first end.
OF_END = ("outcome", "reason")
#: Columns of a request's row that its first entry repeats: what was asked for, of whom, by whom and when.
OF_REQUEST = ("right", "article", "controller", "campaign", "channel", "received_at", "digest", "key_version")
#: In a longer journal it is not looked for from where an entry was moved: that takes the square of its length, and anybody who alters a
#: pack, or the database, can make a journal of any length. A call has some tens of entries.
MOST_SEARCHED = 200
#: How far the database's clock, which dates rows, may differ from the service's, which dates the journal.
CLOCKS_DIFFER = timedelta(minutes=5)
#: How much later than its entry the end of a call may be recorded: while the database is away, writing it is retried.
ENDS_LATE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened, and is not in a chain yet.

    ``at`` is aware, to the microsecond as in PostgreSQL. ``event`` stays for good; ``fields`` can be erased. ``salt``: :data:`SALT_BYTES`
    random bytes of this entry's own; they also reveal that an entry is written a second time.
    """

    at: datetime
    event: str
    fields: Mapping[str, str]
    salt: bytes

    @property
    def commitment(self) -> bytes:
        """32 bytes that reveal nothing about the fields, and match no other fields."""
        return commitment(self.salt, self.fields)


@dataclass(frozen=True, slots=True)
class Linked:
    """An entry in a chain. ``link``: 32 bytes, a hash of the entry and of the link before it. ``fields`` and ``salt``: None if erased.
    Fields without a salt are not the original fields.
    """

    seq: int
    at: datetime
    event: str
    commitment: bytes
    link: bytes
    fields: Mapping[str, str] | None
    salt: bytes | None


def commitment(salt: bytes, fields: Mapping[str, str]) -> bytes:
    return hashlib.sha256(salt + canonical(dict(fields))).digest()


def entry_fields(stored: object, salt: bytes | None) -> tuple[Mapping[str, str], bytes | None]:
    """The fields and salt of an entry, from the JSON in the database, which may have been tampered with.

    ccari writes an object of texts. Anything else is shown as texts, or as nothing, and without the salt, so that it never matches the
    commitment.
    """
    if not isinstance(stored, dict):
        return {}, None
    if all(isinstance(value, str) for value in stored.values()):
        return stored, salt
    return {name: str(value) for name, value in stored.items()}, None


def start(call_id: UUID) -> bytes:
    """The link before a call's first entry. It ties the chain to its call."""
    return hashlib.sha256(f"call:{call_id}".encode()).digest()


def start_of_request(reference: str) -> bytes:
    """The link before a request's first entry."""
    return hashlib.sha256(f"request:{reference}".encode()).digest()


def start_of_accesses() -> bytes:
    """The link before the first entry of the record of accesses."""
    return hashlib.sha256(b"accesses").digest()


def request_event(state: str, level: int, due: date) -> str:
    """The event of a request's entry, which is never erased, such as ``refused L2 2026-12-25``: state, level and due date."""
    return f"{state} L{level} {due.isoformat()}"


def fault_of_request(journal: Sequence[Linked], request: Mapping[str, Any]) -> str | None:
    """The first difference between a request's row and its journal, in words; None if they agree. Compares state, level and due date with
    the last entry; and what was asked for, of whom and when with the first, unless that was erased there, or never had it.

    The journal is sealed and the row is not: anyone who can write to the database could make the row say that the request was answered,
    or has more time. Check the journal's chain first (:func:`fault`). ``request``: its row, from the database or JSON.
    """
    if not journal:
        return None
    state, level, due = request["state"], request["level"], request["due"]
    if isinstance(due, str):
        due = date.fromisoformat(due)
    last_state, last_level, last_due = journal[-1].event.replace("_", " ").rsplit(" ", 2)
    its_state, its_level, its_due = request_event(state, level, due).replace("_", " ").rsplit(" ", 2)
    if its_state != last_state:
        return f"the state of the request is {its_state}, but {last_state} in the journal"
    if its_level != last_level:
        return f"the level of the request is {its_level}, but {last_level} in the journal"
    if its_due != last_due:
        return f"the request is due on {its_due}, but on {last_due} in the journal"
    for name in OF_REQUEST:
        told, its = (journal[0].fields or {}).get(name), request.get(name)
        if told is None:
            continue
        # JSON keeps milliseconds
        is_same = (
            name == "received_at" and its and abs(_moment(its) - _moment(told)) < timedelta(milliseconds=1)
        )
        if not is_same and _value(its) != told:
            return f"the {name} of the request is {_value(its)}, but {told} in the journal"
    return None


def fault_of_erased_request(journal: Sequence[Linked], *, on_request: bool) -> str | None:
    """The first entry of a request whose words are gone though nothing says that they were erased, in words; None if there is none.

    ``on_request``: whether the person's data were erased (Article 17), of which only the journal of the request for it says so. A request
    that expires gets one more entry like its last.
    """
    expired = max((later.seq for last, later in pairwise(journal) if later.event == last.event), default=0)
    for entry in journal:
        if entry.fields is None and entry.seq >= expired and not on_request:
            return f"the words of entry {entry.seq} ({entry.event}) are gone, but nothing says that they were erased"
    return None


def unproven_of_request(journal: Sequence[Linked], request: Mapping[str, Any]) -> tuple[str, ...]:
    """Statements of a request's row that the first entry of its journal lacks: they were erased, or never there."""
    told = (journal[0].fields or {}) if journal else {}
    return tuple(name for name in OF_REQUEST if request.get(name) is not None and name not in told)


def fault_of_call(journal: Sequence[Linked], call: Mapping[str, Any]) -> str | None:
    """The first difference between a call's row and its journal, in words; None if they agree. Values that were erased from the journal,
    or never in it, cannot be compared, and count as agreeing; but the journal must say that fields were erased. Check the journal's chain
    first (:func:`fault`).

    ``call``: its row, from the database or JSON.
    """
    for name, told in _told_of_call(journal):
        if (its := _value(call.get(name))) != told:
            return f"the {name} of the call is {its or 'nothing'}, but {told or 'nothing'} in the journal"
    return _fault_of_notice(journal, call) or _fault_of_moments(journal, call) or _fault_of_erased(journal)


def _fault_of_erased(journal: Sequence[Linked]) -> str | None:
    """Anyone who can write to the database could delete an entry's fields, so that it no longer says otherwise than they do."""
    told = max((each.seq for each in journal if each.event == ERASED), default=0)
    for entry in journal:
        if entry.fields is None and entry.seq > told:
            return f"the fields of entry {entry.seq} ({entry.event}) are gone, but the journal does not say that they were erased"
    return None


def unproven_of_call(journal: Sequence[Linked], call: Mapping[str, Any]) -> tuple[str, ...]:
    """Statements in the row of an ended call that its journal lacks: the entry was erased, or never had them."""
    proven = {name for name, _ in _told_of_call(journal)}
    proven |= {name for name, events in _DATED.items() if any(each.event in events for each in journal)}
    names = (*OF_CALL, *OF_END, *_DATED)
    return tuple(name for name in names if call.get(name) is not None and name not in proven)


def _told_of_call(journal: Iterable[Linked]) -> Iterator[tuple[str, str]]:
    """The columns of the call's row that the journal states too: their names, with the values as text."""
    for entry in journal:
        # if the gate was never asked, as in the dialplan's keys menu, the entry of the call's first right has these fields
        is_told = entry.event in GATED or "digest" in (entry.fields or {})
        for name in OF_CALL if is_told else ():
            if entry.fields and name in entry.fields:
                yield name, entry.fields[name]
    ended = next((each.fields for each in journal if each.event == "call_ended"), None)
    for name in OF_END:
        if ended and name in ended:
            yield name, ended[name]


#: Timestamps of a call's row, each with the events whose first entry has the same time. An entry's event and time are never erased.
_DATED: Mapping[str, frozenset[str]] = {
    "opened_at": GATED,
    "dialled_at": frozenset({"callee_dialled"}),
    "ended_at": frozenset({"call_ended"}),
}


def _fault_of_notice(journal: Sequence[Linked], call: Mapping[str, Any]) -> str | None:
    heard = [each for each in journal if each.event == "notice_heard"]
    version, at = call.get("notice_version"), call.get("heard_at")
    if at is None:
        # the entry alone is no fault: if heard_at could not be made durable, the call was ended, and the entry written with its end
        if heard and any(each.event == "call_bridged" for each in journal):
            return "the journal says that the notice was heard, but the record of the call does not"
        return None
    if not heard:
        return "the record of the call says that the notice was heard, but the journal does not"
    if was_not_heard(version, heard):
        return f"the notice of the call is {version}, but the journal has a different one"
    if all(abs(_moment(at) - each.at) > CLOCKS_DIFFER for each in heard):
        return f"the notice of the call was heard at {_value(at)}, but at {heard[-1].at.isoformat()} in the journal"
    return None


def _fault_of_moments(journal: Sequence[Linked], call: Mapping[str, Any]) -> str | None:
    for name, events in _DATED.items():
        entry, at = next((each for each in journal if each.event in events), None), call.get(name)
        if entry is None:
            continue
        if at is None:
            return f"the {name} of the call is nothing, but {entry.at.isoformat()} in the journal"
        # the row of a call for which the gate had no answer has no controller. Earlier versions dated it by when the database took it
        is_late = name == "ended_at" or (entry.event == "call_blocked" and call.get("controller") is None)
        late = ENDS_LATE if is_late else CLOCKS_DIFFER
        if not -CLOCKS_DIFFER <= _moment(at) - entry.at <= late:
            return f"the {name} of the call is {_value(at)}, but {entry.at.isoformat()} in the journal"
    return None


def _value(kept: object) -> str:
    """A row's value in the journal's format."""
    match kept:
        case bytes():
            return kept.hex()
        case datetime():
            return kept.isoformat()
        case _:
            return str(kept)


def _moment(at: datetime | str) -> datetime:
    """A timestamp of a row. Raises ValueError if it was edited into something else, which is possible only in JSON."""
    moment = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment


def was_not_heard(version: str | None, heard: Sequence[Linked]) -> bool:
    """True if none of the entries ``heard`` tells of that version of the notice. An erased entry may have told of any."""
    return all(each.fields is not None and each.fields.get("notice_version") != version for each in heard)


def fault_of_policy(journal: Iterable[Linked], sha256: str | None) -> str | None:
    """Says, in words, that the policy under which a call was made, according to its journal, has a hash other than ``sha256`` (in hex;
    None: there is no such policy). None if the hash matches, or the journal does not tell.
    """
    told = policy_of_call(journal)
    if told is None or told[1] == sha256:
        return None
    return f"revision {told[0]} of the policy is not the one that the call was made under: its hash differs"


def policy_of_call(journal: Iterable[Linked]) -> tuple[str, str] | None:
    """The policy revision under which a call was made, and the hash of its file (in hex), from its journal. None if that was erased, or
    an earlier version of ccari did not write it.

    The journal is sealed and the policy is not: anyone who can write to the database could change the policy.
    """
    for entry in journal:
        fields = entry.fields or {}
        if entry.event in GATED and "policy_sha256" in fields:
            return fields.get("revision", ""), fields["policy_sha256"]
    return None


def follow(before: bytes, seq: int, entries: Iterable[Entry]) -> list[Linked]:
    """Chain ``entries`` to the entry with the number ``seq`` and the link ``before``."""
    linked: list[Linked] = []
    for entry in entries:
        seq, committed = seq + 1, entry.commitment
        before = next_link(before, seq, entry.at, entry.event, committed)
        linked.append(Linked(seq, entry.at, entry.event, committed, before, entry.fields, entry.salt))
    return linked


def fault(begins: bytes, entries: Sequence[Linked], *, count: int, last: bytes) -> str | None:
    """The first fault of a journal, in words; None if it is intact. Erased fields are not a fault.

    ``begins``: from :func:`start`. ``count`` and ``last``: how many entries there should be, and the last link.
    """
    link, seq = begins, 0
    for entry in entries:
        seq += 1
        if entry.seq != seq:
            if any(each.seq == seq for each in entries):
                return f"entry {entry.seq} ({entry.event}) is in place {seq}"
            return f"entry {seq} is missing"
        link = next_link(link, entry.seq, entry.at, entry.event, entry.commitment)
        if link != entry.link:
            return _why_link_differs(begins, entries, entry)
        if entry.fields is not None and not fits_commitment(entry):
            return f"the fields of entry {seq} ({entry.event}) were changed"
    if seq != count:
        return f"the journal ends at entry {seq}, but there were {count}"
    if link != last:
        return "the journal was rewritten: its last link is not the one that was kept"
    return None


def _why_link_differs(begins: bytes, entries: Sequence[Linked], entry: Linked) -> str:
    """A moved entry still has the link of its own position; the link of an edited entry fits no position."""
    befores = (begins, *(each.link for each in entries)) if len(entries) <= MOST_SEARCHED else ()
    for before in befores:
        for seq in range(1, len(entries) + 2):
            if seq != entry.seq and entry.link == next_link(
                before, seq, entry.at, entry.event, entry.commitment
            ):
                return f"entry {seq} ({entry.event}) is in place {entry.seq}"
    return f"entry {entry.seq} ({entry.event}) was changed"


def fits_commitment(entry: Linked) -> bool:
    """Whether the entry's fields are the original ones, by its commitment. False if they are erased."""
    if entry.fields is None or entry.salt is None:
        return False
    try:
        return commitment(entry.salt, entry.fields) == entry.commitment
    except ValueError:
        # the fields have no RFC 8785 form, so they are not those that were committed to
        return False


def next_link(before: bytes, seq: int, at: datetime, event: str, committed: bytes) -> bytes:
    """The link of the entry ``seq``, from the link before it. Needs no fields, which may be erased."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(before + canonical([seq, moment, event, committed.hex()])).digest()
