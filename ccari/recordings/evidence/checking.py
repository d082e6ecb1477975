"""Checking all seals that there are: that none is missing, each is signed, and every journal goes through its own. And all
journals, entry by entry: a seal holds the last one only, and that holds those before it for who follows them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ccari.errors import EvidenceError
from ccari.policy import merkle
from ccari.policy.seal import FIRST, Kind
from ccari.ports.evidence import SealRecords
from ccari.recordings.evidence.keys import VerifyingKey

#: Journals from one sign of progress to the next.
_SIGN = 100


@dataclass(frozen=True, slots=True)
class Found:
    """How many seals fit, over how many journals; ``newest``: the hash of the last one, as the log had it. ``walked``: how many
    journals were looked at, entry by entry; ``unfit``: what of them does not fit, in words.
    """

    seals: int
    journals: int
    newest: bytes
    walked: int
    unfit: Sequence[str]


async def check(
    records: SealRecords, keys: Sequence[VerifyingKey], progress: Callable[[int], None] = lambda _walked: None
) -> Found:
    """Go through all seals, the oldest first, and through all journals; ``progress`` is told of how many of these.

    Raises
    ------
    EvidenceError
        Naming the first seal that does not fit: no journal is proven by those behind it.
    StoreError
        If the database fails.
    """
    seals, journals, newest = await _seals(records, keys)
    unfit = [
        f"{_named(kind, of)} is not as it was sealed at {at:%Y-%m-%d %H:%M:%S} UTC"
        async for kind, of, at in records.broken()
    ]
    walked = 0
    async for kind, of, fault in records.journals():
        walked += 1
        if fault is not None:
            unfit.append(f"{_named(kind, of)} is not sound: {fault}")
        if walked % _SIGN == 0:
            progress(walked)
    return Found(seals, journals, newest, walked, unfit)


async def _seals(records: SealRecords, keys: Sequence[VerifyingKey]) -> tuple[int, int, bytes]:
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
    return seals, journals, before


def _named(kind: Kind, of: str) -> str:
    return "the record of accesses" if kind is Kind.ACCESSES else f"{kind} {of}"
