"""Seals: what is signed of many journals at once, so that none of them can be written anew afterwards.

A seal names the one before it; who would change a journal that was sealed must make that seal anew, and all after it,
with a key that he does not have.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import rfc8785

from ccari.policy import merkle
from ccari.policy.chain import Linked

#: In place of the hash of the seal before the first.
FIRST = bytes(32)


class Kind(StrEnum):
    """Whose journal."""

    CALL = "call"
    REQUEST = "request"
    #: The record of accesses, of which there is one.
    ACCESSES = "accesses"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One journal as it was when it was sealed: how many entries it had, and the last one's link, 32 bytes."""

    kind: Kind
    id: str
    events: int
    link: bytes

    @property
    def canonical(self) -> bytes:
        """What is hashed into the tree (RFC 8785)."""
        told = {"kind": self.kind.value, "id": self.id, "events": self.events, "link": self.link.hex()}
        return rfc8785.dumps(told)


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed: how many ``leaves`` hash to ``root``, after the seal whose :attr:`digest` is ``before``, by which key."""

    sealed_at: datetime
    leaves: int
    root: bytes
    before: bytes
    key: str

    @property
    def canonical(self) -> bytes:
        """The very bytes that are signed (RFC 8785)."""
        return rfc8785.dumps(
            {
                "statement": "ccari seal 1",
                "sealed_at": self.sealed_at.astimezone(UTC).isoformat(timespec="microseconds"),
                "leaves": self.leaves, "root": self.root.hex(), "before": self.before.hex(), "key": self.key,
            }
        )  # fmt: skip

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.canonical).digest()


#: A journal as it was sealed, and when.
Sealed = tuple[Leaf, datetime]


def fault(journal: Sequence[Linked], sealed: Iterable[Sealed]) -> str | None:
    """What of a journal, itself without a fault, is no longer as it was sealed at some moment, in words."""
    for leaf, at in sealed:
        if len(journal) < leaf.events or journal[leaf.events - 1].link != leaf.link:
            return unlike(leaf.events, at)
    return None


def unlike(events: int, at: datetime) -> str:
    """That a journal's first so many entries are not those that were sealed then, in words."""
    return f"the first {events} entries are not those that were sealed at {at:%Y-%m-%d %H:%M:%S} UTC"


def statement(leaves: Sequence[Leaf], before: Statement | None, key: str, at: datetime) -> Statement:
    """A seal over ``leaves`` at the aware moment ``at``, to be signed by the key of the fingerprint ``key``."""
    root = merkle.root([each.canonical for each in leaves])
    return Statement(at, len(leaves), root, before.digest if before else FIRST, key)
