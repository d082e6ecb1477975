"""The append-only journal of a call or a request: each entry is chained to the one before it.

The chain links commitments to what entries tell, not what they tell: it can be erased (Article 17) and the chain still
proves that there was an entry, when, and in which place. The salt keeps anybody from guessing what was erased.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from ccari.policy.canonical import canonical

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened, which has no place in a chain yet.

    ``at`` is aware, and kept to the microsecond as PostgreSQL keeps it. ``event`` stays for good; ``fields`` can be erased.
    ``salt``: :data:`SALT_BYTES` random bytes of this entry's own, by which it is known when it comes a second time.
    """

    at: datetime
    event: str
    fields: Mapping[str, str]
    salt: bytes

    @property
    def commitment(self) -> bytes:
        """32 bytes that tell nothing of the fields, and that no other fields fit."""
        return commitment(self.salt, self.fields)


@dataclass(frozen=True, slots=True)
class Linked:
    """An entry in its place. ``link``: 32 bytes over it and the link before it. ``fields`` and ``salt``: None where erased;
    fields without a salt are none that anybody has committed to.
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


def as_told(found: object, salt: bytes | None) -> tuple[Mapping[str, str], bytes | None]:
    """The fields and the salt of an entry, of what stands where its fields are kept: somebody may have put anything there.

    Nobody commits to what is no object of texts: it is told in texts, or as nothing, and without the salt nothing opens it.
    """
    if not isinstance(found, dict):
        return {}, None
    if all(isinstance(each, str) for each in found.values()):
        return found, salt
    return {name: str(value) for name, value in found.items()}, None


def start(call_id: UUID) -> bytes:
    """The link before a call's first entry; it ties the chain to its call."""
    return hashlib.sha256(f"call:{call_id}".encode()).digest()


def start_of_request(reference: str) -> bytes:
    """The link before a request's first entry."""
    return hashlib.sha256(f"request:{reference}".encode()).digest()


def start_of_accesses() -> bytes:
    """The link before the first entry of the record of accesses."""
    return hashlib.sha256(b"accesses").digest()


def request_event(state: str, level: int, due: date) -> str:
    """What an entry of a request says that is never erased, such as ``refused L2 2026-12-25``."""
    return f"{state} L{level} {due.isoformat()}"


def follow(before: bytes, seq: int, entries: Iterable[Entry]) -> list[Linked]:
    """``entries`` in the places after the one that is numbered ``seq`` and whose link is ``before``."""
    linked: list[Linked] = []
    for entry in entries:
        seq, committed = seq + 1, entry.commitment
        before = _link(before, seq, entry.at, entry.event, committed)
        linked.append(Linked(seq, entry.at, entry.event, committed, before, entry.fields, entry.salt))
    return linked


def fault(begins: bytes, entries: Sequence[Linked], *, count: int, last: bytes) -> str | None:
    """The first thing that does not fit in a journal, in words; None if all of it does. What was erased is no fault.

    ``begins``: as :func:`start` gives it. ``count`` and ``last``: how many entries there are, and the last one's link.
    """
    link, seq = begins, 0
    for entry in entries:
        seq += 1
        if entry.seq != seq:
            if any(each.seq == seq for each in entries):
                return f"entry {entry.seq} ({entry.event}) stands in place {seq}"
            return f"entry {seq} is missing"
        link = _link(link, entry.seq, entry.at, entry.event, entry.commitment)
        if link != entry.link:
            return _unfit(begins, entries, entry)
        if entry.fields is not None and not _opens(entry):
            return f"the fields of entry {seq} ({entry.event}) were changed"
    if seq != count:
        return f"the journal ends at entry {seq}, but there were {count}"
    if link != last:
        return "the journal was written anew: it has another last link than there was"
    return None


def _unfit(begins: bytes, entries: Sequence[Linked], found: Linked) -> str:
    """An entry that was numbered anew still has the link of its own place; one that was edited has that of none."""
    for before in (begins, *(each.link for each in entries)):
        for seq in range(1, len(entries) + 2):
            if seq != found.seq and found.link == _link(before, seq, found.at, found.event, found.commitment):
                return f"entry {seq} ({found.event}) stands in place {found.seq}"
    return f"entry {found.seq} ({found.event}) was changed"


def _opens(entry: Linked) -> bool:
    if entry.fields is None or entry.salt is None:
        return False
    try:
        return commitment(entry.salt, entry.fields) == entry.commitment
    except ValueError:
        # nobody has committed to what cannot be written as RFC 8785 has it
        return False


def _link(before: bytes, seq: int, at: datetime, event: str, committed: bytes) -> bytes:
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(before + canonical([seq, moment, event, committed.hex()])).digest()
