"""Checks all seals, and all journals.

No seal may be missing, each must be signed, and every journal must contain the link that was sealed. Each journal is also
followed entry by entry: a seal covers its last link only, and that covers the entries before it by the chain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ccari.errors import EvidenceError
from ccari.policy import merkle
from ccari.policy.seal import FIRST, Kind
from ccari.ports.evidence import SealRecords
from ccari.recordings.evidence.keys import VerifyingKey

#: How many journals are checked between two reports of progress.
_PROGRESS_EVERY = 100


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a check. ``seals``: how many there are, all valid; ``journals``: how many journals those sealed, each time counted.
    ``newest``: the hash of the last seal, which the log has too. ``walked``: how many journals were followed entry by entry.
    ``unfit``: what is wrong with journals, in words.
    """

    seals: int
    journals: int
    newest: bytes
    walked: int
    unfit: Sequence[str]


async def check(
    records: SealRecords, keys: Sequence[VerifyingKey], progress: Callable[[int], None] = lambda _walked: None
) -> Found:
    """Check all seals, the oldest first, and then all journals. ``progress`` is called with the number of journals so far.

    Raises
    ------
    EvidenceError
        If a seal is wrong, naming the first: those after it prove nothing.
    StoreError
        If the database fails.
    """
    seals, journals, newest = await _seals(records, keys)
    unfit = [
        f"{_named(kind, of)} no longer matches its seal of {at:%Y-%m-%d %H:%M:%S} UTC"
        async for kind, of, at in records.broken()
    ]
    walked = 0
    async for kind, of, fault in records.journals():
        walked += 1
        if fault is not None:
            unfit.append(f"{_named(kind, of)} is damaged or was altered: {fault}")
        if walked % _PROGRESS_EVERY == 0:
            progress(walked)
    return Found(seals, journals, newest, walked, unfit)


async def _seals(records: SealRecords, keys: Sequence[VerifyingKey]) -> tuple[int, int, bytes]:
    by_fingerprint = {each.fingerprint: each for each in keys}
    before, seals, journals = FIRST, 0, 0
    async for seal, leaves in records.all():
        statement, seals = seal.statement, seals + 1
        which = f"seal {seals}, of {statement.sealed_at:%Y-%m-%d %H:%M:%S} UTC,"
        if statement.before != before:
            raise EvidenceError(f"{which} does not follow the seal before it: a seal was removed or inserted")
        key = by_fingerprint.get(statement.key)
        if key is None:
            raise EvidenceError(f"{which} is signed with the key {statement.key}, which is not in [keys] dir")
        if not key.verifies(seal.signature, statement.canonical):
            raise EvidenceError(f"{which} has an invalid signature")
        if (
            len(leaves) != statement.leaves
            or merkle.root([each.canonical for each in leaves]) != statement.root
        ):
            raise EvidenceError(f"{which} does not match the journals that are stored with it")
        before, journals = statement.digest, journals + len(leaves)
    return seals, journals, before


def _named(kind: Kind, of: str) -> str:
    return "the record of accesses" if kind is Kind.ACCESSES else f"{kind} {of}"
