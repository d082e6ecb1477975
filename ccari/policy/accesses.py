"""How long the record of accesses tells who looked at what, Article 5(1)(e), and how it proves that no access was erased too early.

The record is personal data twice over: of those who looked, and of those who were looked at. Its entries are chained and sealed
(:mod:`ccari.policy.chain`). Erasing an entry's fields leaves its link, so the chain alone cannot tell a due erasure from one that hides
an access. So the record itself states, in an entry of its own, up to when its entries may be erased.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from ccari.policy.declared import Count

#: Three years, with a leap day: the most that the CNIL recommends for the record of who looked at what (délibération 2021-122). A claim
#: for damages lapses three years after the person learnt of the access (PL: KC Art 442¹ §1; DE: BGB §195, §199), which may be later.
DEFAULT_DAYS = 1096
#: A year: a person who asks once a year who looked at their data (Art 15; CJEU C-579/21) learns of every access.
LEAST_DAYS = 365
Days = Annotated[Count, Field(ge=LEAST_DAYS, le=3660)]
#: The first moment that can be shown in every time zone.
_FIRST = datetime(1, 1, 2, tzinfo=UTC)

#: The event of the entry that says up to when entries may be erased. Its fields are those of :func:`declaration`.
EXPIRED = "accesses_expired"


def declaration(before: datetime, days: int, who: str) -> dict[str, str]:
    """The fields of an entry :data:`EXPIRED`: entries older than ``before`` (aware) have expired by a limit of ``days``."""
    return {"before": before.astimezone(UTC).isoformat(), "accesses_days": str(days), "who": who, "why": ""}


def expired_before(at: datetime, fields: Mapping[str, str]) -> datetime | None:
    """The moment stated by an entry :data:`EXPIRED`: all older entries may be erased. ``at``: when the entry was made, or now if it is
    about to be made.

    None if the entry states no moment, or one less than :data:`LEAST_DAYS` before ``at``.
    """
    try:
        before = datetime.fromisoformat(fields.get("before", ""))
        return before if _FIRST <= before <= at - timedelta(days=LEAST_DAYS) else None
    except (ValueError, TypeError, OverflowError):
        # not a moment, one without a time zone, or too close to the year 1
        return None


def fault_of_erased(seq: int, at: datetime, before: datetime | None) -> str | None:
    """What is wrong with an erased entry dated ``at``, in words; None if entries older than ``before`` may be erased."""
    if before is not None and at < before:
        return None
    return f"the fields of entry {seq} were erased before their time"
