"""Calls as they are looked at afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as it is shown: its row, its journal, its recordings, and the first fault of the journal if it has one.

    An event's ``fields`` are None where they were erased.
    """

    call: dict[str, Any]
    events: list[dict[str, Any]]
    recordings: list[dict[str, Any]]
    fault: str | None

    @property
    def at_what(self) -> dict[str, str]:
        """Which call somebody looks at, for the record of accesses. One of no known campaign is no controller's."""
        whose = self.call["controller"]
        return {"call": str(self.call["id"]), **({} if whose is None else {"controller": whose})}

    @property
    def recorded(self) -> dict[str, Any] | None:
        """The call's recordings as the one that they are to who listens: how many segments there are to hear, how long
        they last together, and from when to when. None if there is nothing to hear.
        """
        segments = [each for each in self.recordings if each["state"] == "stored"]
        if not segments:
            return None
        return {
            "segments": len(segments),
            "duration_ms": sum(each["duration_ms"] for each in segments),
            "started_at": min(each["started_at"] for each in segments),
            "ended_at": max(
                each["started_at"] + timedelta(milliseconds=each["duration_ms"]) for each in segments
            ),
        }


@dataclass(frozen=True, slots=True)
class WantedCalls:
    """Which calls: each field that is given narrows the list. ``after``: older than the one opened then, of that id."""

    campaign: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    controllers: Sequence[str] | None = None
    after: tuple[datetime, UUID] | None = None


class CallRecords(Protocol):
    async def list_calls(self, limit: int, wanted: WantedCalls | None = None) -> list[dict[str, Any]]:
        """The newest first. Raises StoreError if the database fails."""
        ...

    async def show_call(self, call_id: UUID) -> CallRecord:
        """One call whole, its journal checked. Raises UnknownError if there is no such call, and StoreError."""
        ...


class CallJournal(Protocol):
    async def append(self, call_id: UUID, event: str, fields: Mapping[str, str]) -> None:
        """Go on with the journal of a call, be it open or over. Raises StoreError."""
        ...
