"""Seals: one signature over many journals, so that none of them can be rewritten afterwards.

Each seal includes the digest of the one before it. Changing a sealed journal would mean making its seal and all later ones again, with a
key that the attacker does not have.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise

import rfc8785

from ccari.policy import merkle
from ccari.policy.chain import Linked
from ccari.policy.sentences import in_utc

#: The first seal has this in place of a previous seal's digest.
FIRST = bytes(32)


class Kind(StrEnum):
    """What a journal is about."""

    CALL = "call"
    REQUEST = "request"
    #: The record of accesses. There is only one.
    ACCESSES = "accesses"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A journal at the time of its seal. ``events``: how many entries it had. ``link``: the last link, 32 bytes."""

    kind: Kind
    id: str
    events: int
    link: bytes

    @property
    def canonical(self) -> bytes:
        """The bytes that are hashed into the tree (RFC 8785)."""
        fields = {"kind": self.kind.value, "id": self.id, "events": self.events, "link": self.link.hex()}
        return rfc8785.dumps(fields)


@dataclass(frozen=True, slots=True)
class Statement:
    """The signed statement. ``leaves``: how many there are; ``root``: the hash of their tree; ``before``: the :attr:`digest` of the
    previous seal; ``key``: the fingerprint of the signing key.
    """

    sealed_at: datetime
    leaves: int
    root: bytes
    before: bytes
    key: str

    @property
    def canonical(self) -> bytes:
        """The bytes that are signed (RFC 8785)."""
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


#: A journal at the time of its seal, and that time.
Sealed = tuple[Leaf, datetime]


def follow(statements: Sequence[Statement]) -> bool:
    """Whether each statement names the one before it. If so, proof that the last existed at some time is proof for all of them."""
    return all(later.before == earlier.digest for earlier, later in pairwise(statements))


def fault(journal: Sequence[Linked], sealed: Iterable[Sealed]) -> str | None:
    """Where a journal differs from what was sealed, in words; None if it does not. Check its chain first (``chain.fault``)."""
    for leaf, at in sealed:
        if len(journal) < leaf.events or journal[leaf.events - 1].link != leaf.link:
            return mismatch(leaf.events, at)
    return None


def mismatch(events: int, at: datetime) -> str:
    """Says, in words, that the first ``events`` entries of a journal are not those that were sealed."""
    return f"the entries up to number {events} are not those that were sealed at {in_utc(at)}"


def statement(leaves: Sequence[Leaf], before: Statement | None, key: str, at: datetime) -> Statement:
    """A seal over ``leaves`` at ``at`` (aware), to be signed with the key whose fingerprint is ``key``."""
    root = merkle.root([leaf.canonical for leaf in leaves])
    return Statement(at, len(leaves), root, before.digest if before else FIRST, key)
