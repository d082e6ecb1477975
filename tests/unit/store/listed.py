"""Lists to load into a store, in batches as a file gives them."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from ccari.policy.bases import LegalBasis
from ccari.policy.consent import Channel
from ccari.policy.numbers import Number
from ccari.ports.keying import Digests, Sought
from ccari.ports.lists import Agreed, LineFault, Sourced
from tests.unit.store import made

_T = TypeVar("_T")

OBTAINED = date(2026, 1, 31)
DAY = timedelta(days=1)
#: By the wall clock: the database dates its bars by its own.
NOW = datetime.now(UTC)


def number(n: int) -> Number:
    return Number(f"+4860010{n:04}")


def digests(of: Number, version: int = 1) -> Digests:
    """As for a controller whose secret has had that many versions."""
    all_ = tuple(
        made.digests("acme" if each == 1 else f"acme-{each}", of).newest for each in range(1, version + 1)
    )
    return Digests(all_[-1], version, all_)


def contact(
    of: Number = made.NUMBER, source: str = "fair", *, obtained: date = OBTAINED, proof: str = "",
    until: datetime | None = None, version: int = 1, listed_as: tuple[tuple[str, bytes], ...] = (),
) -> tuple[Sourced, Sought]:  # fmt: skip
    sourced = Sourced(of, source, obtained, LegalBasis.CONTRACT, proof, until)
    return sourced, Sought(digests(of, version), listed_as)


def agreed(
    of: Number = made.NUMBER, *, given: datetime = NOW - 30 * DAY, withdrawn: datetime | None = None,
    until: datetime | None = None, purpose: str = "marketing", channel: Channel = Channel.PHONE, proof: str = "form 12",
    version: int = 1,
) -> tuple[Agreed, Digests]:  # fmt: skip
    return Agreed(of, purpose, channel, given, withdrawn, until, proof), digests(of, version)


async def batches(*lines: _T | LineFault, size: int = 3) -> AsyncIterator[list[_T | LineFault]]:
    for start in range(0, len(lines), size):
        yield list(lines[start : start + size])


async def whole(lines: Iterable[_T]) -> AsyncIterator[list[_T | LineFault]]:
    yield list(lines)
