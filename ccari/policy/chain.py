"""The append-only journal of a call: each entry is chained to the one before it.

An entry that was edited, left out or moved no longer fits its link; entries cut off at the end no longer fit the
call's own count and last link.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a call. ``at`` is aware; ``link`` is 32 bytes over this entry and the link before it."""

    seq: int
    at: datetime
    event: str
    fields: Mapping[str, str]
    link: bytes


def start(call_id: UUID) -> bytes:
    """The link before a call's first entry; it ties the chain to its call."""
    return hashlib.sha256(call_id.bytes).digest()


def append(before: bytes, seq: int, at: datetime, event: str, fields: Mapping[str, str]) -> Entry:
    """The entry that follows the link ``before``, its time kept to the microsecond as PostgreSQL keeps it."""
    return Entry(seq, at, event, fields, _link(before, seq, at, event, fields))


def fault(call_id: UUID, entries: Iterable[Entry], *, count: int, last: bytes) -> str | None:
    """The first thing that does not fit in a call's journal, in words; None if all of it does."""
    link, seq = start(call_id), 0
    for entry in entries:
        seq += 1
        if entry.seq != seq:
            return f"entry {seq} is missing"
        link = _link(link, entry.seq, entry.at, entry.event, entry.fields)
        if link != entry.link:
            return f"entry {seq} ({entry.event}) was changed"
    if seq != count or link != last:
        return f"the journal ends at entry {seq}, but the call counts {count}"
    return None


def _link(before: bytes, seq: int, at: datetime, event: str, fields: Mapping[str, str]) -> bytes:
    told = [seq, at.astimezone(UTC).isoformat(timespec="microseconds"), event, dict(fields)]
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(before + text.encode()).digest()
