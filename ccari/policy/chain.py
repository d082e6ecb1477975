"""The append-only journal of a call or a request: each entry is chained to the one before it.

The chain links commitments to the entries' fields, not the fields themselves. So the fields can be erased (Article 17), and the
chain still proves that there was an entry, when, and in which place. The salt keeps anybody from guessing what was erased.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from ccari.policy.canonical import canonical

SALT_BYTES = 16
#: The entries that say what a call was made under: it has one of the two, or none if the gate was never asked.
GATED = frozenset({"call_gated", "call_blocked"})
#: What a call's row says that it was made under, and they too.
OF_CALL = ("legal_basis", "controller", "campaign", "revision")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened, and has no place in a chain yet.

    ``at`` is aware, to the microsecond as in PostgreSQL. ``event`` stays for good; ``fields`` can be erased. ``salt``:
    :data:`SALT_BYTES` random bytes of this entry's own; they also tell that an entry is written a second time.
    """

    at: datetime
    event: str
    fields: Mapping[str, str]
    salt: bytes

    @property
    def commitment(self) -> bytes:
        """32 bytes that reveal nothing of the fields, and that fit no other fields."""
        return commitment(self.salt, self.fields)


@dataclass(frozen=True, slots=True)
class Linked:
    """An entry in its place. ``link``: 32 bytes, a hash of the entry and of the link before it. ``fields`` and ``salt``: None if
    erased. Fields without a salt are not those that the entry was written with.
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
    """The fields and the salt of an entry, from what the database has for its fields: somebody may have put anything there.

    ccari writes an object of texts. Anything else is shown as texts, or as nothing, and without the salt, so that it never
    matches the commitment.
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


def fault_of_request(journal: Sequence[Linked], state: str, level: int, due: date) -> str | None:
    """The first thing in which a request's row and the last entry of its journal differ, in words; None if they agree.

    The journal is sealed and the row is not: whoever can write to the database could have it say that the request was answered,
    or has more time. The journal's chain was checked before (:func:`fault`).
    """
    if not journal:
        return None
    last_state, last_level, last_due = journal[-1].event.replace("_", " ").rsplit(" ", 2)
    its_state, its_level, its_due = request_event(state, level, due).replace("_", " ").rsplit(" ", 2)
    if its_state != last_state:
        return f"the state of the request is {its_state}, but {last_state} in the journal"
    if its_level != last_level:
        return f"the level of the request is {its_level}, but {last_level} in the journal"
    if its_due != last_due:
        return f"the request is due on {its_due}, but on {last_due} in the journal"
    return None


def fault_of_call(journal: Sequence[Linked], call: Mapping[str, Any]) -> str | None:
    """The first thing in which a call's row and its journal differ, in words; None if they agree. What was erased from the journal, or
    never was in it, cannot be compared, and counts as agreeing. The journal's chain was checked before (:func:`fault`).

    ``call``: its columns :data:`OF_CALL`, ``heard_at`` and ``notice_version``, as the database or as JSON has them.
    """
    for entry in journal:
        fields = entry.fields or {}
        for name in OF_CALL if entry.event in GATED else ():
            its = str(call.get(name))
            if name in fields and its != fields[name]:
                return f"the {name} of the call is {its}, but {fields[name]} in the journal"
    heard = [each for each in journal if each.event == "notice_heard"]
    version = call.get("notice_version")
    if call.get("heard_at") is None:
        # the entry alone is no fault: if heard_at could not be made durable, the call was ended, and the entry written with its end
        if heard and any(each.event == "call_bridged" for each in journal):
            return "the journal says that the notice was heard, but the record of the call does not"
        return None
    if not heard:
        return "the record of the call says that the notice was heard, but the journal does not"
    if was_not_heard(version, heard):
        return f"the notice of the call is {version}, but the journal has a different one"
    return None


def was_not_heard(version: str | None, heard: Sequence[Linked]) -> bool:
    """True if none of the entries ``heard`` is of that version of the notice. An erased one may have been of any version."""
    return all(each.fields is not None and each.fields.get("notice_version") != version for each in heard)


def fault_of_policy(journal: Iterable[Linked], sha256: str | None) -> str | None:
    """That the policy which a call was made under has another hash now than ``sha256`` (in hex; None: there is none), in words; None if
    it does not, as far as the journal says.
    """
    told = policy_of_call(journal)
    if told is None or told[1] == sha256:
        return None
    return f"revision {told[0]} of the policy is not the one that the call was made under: its hash differs"


def policy_of_call(journal: Iterable[Linked]) -> tuple[str, str] | None:
    """The revision of the policy that a call was made under, and the hash of its file (in hex), as its journal says; None if it does not,
    since it was erased, or the call is of a version that did not write it down.

    The journal is sealed and the policy is not: whoever can write to the database could make it another.
    """
    for entry in journal:
        fields = entry.fields or {}
        if entry.event in GATED and "policy_sha256" in fields:
            return fields.get("revision", ""), fields["policy_sha256"]
    return None


def follow(before: bytes, seq: int, entries: Iterable[Entry]) -> list[Linked]:
    """Chain ``entries`` to the one that has the number ``seq`` and the link ``before``."""
    linked: list[Linked] = []
    for entry in entries:
        seq, committed = seq + 1, entry.commitment
        before = next_link(before, seq, entry.at, entry.event, committed)
        linked.append(Linked(seq, entry.at, entry.event, committed, before, entry.fields, entry.salt))
    return linked


def fault(begins: bytes, entries: Sequence[Linked], *, count: int, last: bytes) -> str | None:
    """The first fault of a journal, in words; None if it is whole. Erased fields are not a fault.

    ``begins``: as :func:`start` gives it. ``count`` and ``last``: how many entries there should be, and the last one's link.
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
    """An entry that was moved still has the link of its own place; the link of one that was edited fits no place."""
    for before in (begins, *(each.link for each in entries)):
        for seq in range(1, len(entries) + 2):
            if seq != entry.seq and entry.link == next_link(
                before, seq, entry.at, entry.event, entry.commitment
            ):
                return f"entry {seq} ({entry.event}) is in place {entry.seq}"
    return f"entry {entry.seq} ({entry.event}) was changed"


def fits_commitment(entry: Linked) -> bool:
    """Whether the entry's fields are those that it was written with. Erased ones are not."""
    if entry.fields is None or entry.salt is None:
        return False
    try:
        return commitment(entry.salt, entry.fields) == entry.commitment
    except ValueError:
        # the fields cannot be written in RFC 8785's form, so they are not those that were committed to
        return False


def next_link(before: bytes, seq: int, at: datetime, event: str, committed: bytes) -> bytes:
    """The link of the entry ``seq``, from the link before it. It needs no fields, which may have been erased."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(before + canonical([seq, moment, event, committed.hex()])).digest()
