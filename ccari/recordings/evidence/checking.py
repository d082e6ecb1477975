"""Checks all seals and all journals.

No seal may be missing, each must be signed, and every journal must contain the link that was sealed. Each journal is also followed entry
by entry: a seal covers only its last link, and the chain covers the entries before it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ccari.errors import EvidenceError
from ccari.policy import merkle
from ccari.policy.chain import CLOCKS_DIFFER
from ccari.policy.seal import FIRST, Kind
from ccari.policy.sentences import in_utc
from ccari.ports.evidence import LateEntry, SealRecords, TimeStamp
from ccari.recordings.evidence.authority import Authority, Stamped
from ccari.recordings.evidence.keys import VerifyingKey

#: How many journals are checked between two reports of progress.
_PROGRESS_EVERY = 100


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a check. ``seals``: how many there are, all valid; ``journals``: how many journals they sealed, counting each time.
    ``newest``: the hash of the last seal, which is also in the log. ``walked``: how many journals were followed entry by entry.
    ``time_stamps``: how many were checked, all valid; ``stamped``: what the newest says, if there is one; ``waited``: the moment of the
    seal that waited longest for its time stamp, and of that time stamp: during that time, the holder of the key could have back-dated a
    seal. ``latest``: the entry that was sealed longest after its own date: it may have been back-dated. ``unchecked``: how many time
    stamps were not checked, because no authority was given. ``set_back``: the moments of a seal and of the one that it follows, where the
    former is earliest before the latter: a clock was set back, and what the seal covers may have been back-dated; None if no seal is
    more than :data:`CLOCKS_DIFFER` before the one that it follows. ``unfit``: what is wrong with journals, in words.
    """

    seals: int
    journals: int
    newest: bytes
    walked: int
    time_stamps: int
    stamped: Stamped | None
    waited: tuple[datetime, datetime] | None
    latest: LateEntry | None
    unchecked: int
    set_back: tuple[datetime, datetime] | None
    unfit: Sequence[str]


async def check(
    records: SealRecords,
    keys: Sequence[VerifyingKey],
    progress: Callable[[int], None] = lambda _journals: None,
    authority: Authority | None = None,
) -> Found:
    """Check all seals, the oldest first, their time stamps, and then all journals. ``progress`` is called with the number of journals so
    far: first of the sealed ones, counting each time, then of all. ``authority``: the issuer of the time stamps; without it they are not
    checked.

    Raises
    ------
    EvidenceError
        If a seal or a time stamp is wrong, naming the first: those after it prove nothing.
    StoreError
        If the database fails.
    """
    seals, journals, newest, set_back = await _seals(records, keys, progress)
    time_stamps, stamped, waited = 0, None, None
    async for each, since in records.time_stamps():
        time_stamps += 1
        if authority is not None:
            stamped = await asyncio.to_thread(_stamped, authority, each)
            if waited is None or stamped.at - since > waited[1] - waited[0]:
                waited = since, stamped.at
    unfit = [
        f"{_named(kind, of)} no longer matches its seal of {in_utc(at)}"
        if at is not None
        else f"{_named(kind, of)} is marked as sealed, but no seal has it"
        async for kind, of, at in records.broken()
    ]
    walked = 0
    async for kind, of, fault in records.journals():
        walked += 1
        if fault is not None:
            unfit.append(f"{_named(kind, of)} is damaged or was altered: {fault}")
        if walked % _PROGRESS_EVERY == 0:
            progress(journals + walked)
    latest = await records.latest()
    checked, unchecked = (time_stamps, 0) if authority else (0, time_stamps)
    return Found(
        seals, journals, newest, walked, checked, stamped, waited, latest, unchecked, set_back, unfit
    )


async def _seals(
    records: SealRecords, keys: Sequence[VerifyingKey], progress: Callable[[int], None]
) -> tuple[int, int, bytes, tuple[datetime, datetime] | None]:
    by_fingerprint = {each.fingerprint: each for each in keys}
    before, seals, journals = FIRST, 0, 0
    last: datetime | None = None
    set_back: tuple[datetime, datetime] | None = None
    async for seal, leaves in records.all():
        statement, seals = seal.statement, seals + 1
        which = f"seal {seals}, of {in_utc(statement.sealed_at)},"
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
        at, most = statement.sealed_at, set_back[1] - set_back[0] if set_back else CLOCKS_DIFFER
        if last is not None and last - at > most:
            set_back = at, last
        last, before, journals = at, statement.digest, journals + len(leaves)
        progress(journals)
    return seals, journals, before, set_back


def _stamped(authority: Authority, stamp: TimeStamp) -> Stamped:
    (statement,) = stamp.statements
    try:
        stamped = authority.stamped(stamp.response, statement)
    except EvidenceError as error:
        raise EvidenceError(f"the time stamp of the seal of {in_utc(statement.sealed_at)}: {error}") from None
    if stamped.at != stamp.at:
        raise EvidenceError(
            f"the time stamp of the seal of {in_utc(statement.sealed_at)} is of another moment than is stored with it"
        )
    return stamped


def _named(kind: Kind, of: str) -> str:
    return "the record of accesses" if kind is Kind.ACCESSES else f"{kind} {of}"
