"""Checking all seals that there are: that none is missing, each is signed, and every journal goes through its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from ccari.errors import EvidenceError
from ccari.policy import merkle
from ccari.policy.seal import FIRST, Kind
from ccari.ports.evidence import SealRecords
from ccari.recordings.evidence.keys import VerifyingKey


@dataclass(frozen=True, slots=True)
class Found:
    """How many seals fit, over how many journals; ``newest``: the hash of the last one, as the log had it."""

    seals: int
    journals: int
    newest: bytes


async def check(records: SealRecords, keys: Sequence[VerifyingKey]) -> Found:
    """Go through all seals, the oldest first.

    Raises
    ------
    EvidenceError
        Naming the first seal or journal that does not fit.
    StoreError
        If the database fails.
    """
    known = {each.fingerprint: each for each in keys}
    before, seals, journals = FIRST, 0, 0
    async for seal, leaves in records.all():
        told, seals = seal.statement, seals + 1
        which = f"seal {seals}, of {told.sealed_at:%Y-%m-%d %H:%M:%S} UTC,"
        if told.before != before:
            raise EvidenceError(f"{which} does not follow the one before it: one was taken out, or put in")
        key = known.get(told.key)
        if key is None:
            raise EvidenceError(f"{which} is signed with the key {told.key}, which is not in [keys] dir")
        if not key.verifies(seal.signature, told.canonical):
            raise EvidenceError(f"{which} has a signature that does not fit")
        if len(leaves) != told.leaves or merkle.root([each.canonical for each in leaves]) != told.root:
            raise EvidenceError(f"{which} is not of the journals that it is said to be of")
        before, journals = told.digest, journals + len(leaves)
    async for kind, of, at in records.broken():
        what = "the record of accesses" if kind is Kind.ACCESSES else f"{kind} {of}"
        raise EvidenceError(f"{what} is not as it was sealed at {at:%Y-%m-%d %H:%M:%S} UTC")
    return Found(seals, journals, before)
