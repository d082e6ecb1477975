"""Reads what the maker of a pack may have written anything into."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from ccari.errors import EvidenceError

_T = TypeVar("_T")


def legible(reading: Callable[[], _T], fault: str) -> _T:
    """The result of ``reading``, or EvidenceError with ``fault`` if it fails: whatever can be written there."""
    try:
        return reading()
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, StopIteration, RecursionError):
        raise EvidenceError(fault) from None


def moment(text: str) -> datetime:
    """A moment in UTC. Raises ValueError or OverflowError, for :func:`legible`: some that can be written cannot be converted later."""
    return datetime.fromisoformat(text).astimezone(UTC)
