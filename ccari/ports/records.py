"""Access to past calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from ccari.policy.recording import RecordingState
from ccari.ports.keying import Digests


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as shown: its row, its journal, its recordings, and the journal's first fault, if it has one.

    An event's ``fields`` are None if they were erased.
    """

    call: dict[str, Any]
    events: list[dict[str, Any]]
    recordings: list[dict[str, Any]]
    fault: str | None

    @property
    def access_target(self) -> dict[str, str]:
        """The call, for the record of accesses. A call without a known campaign belongs to no controller."""
        controller = self.call["controller"]
        return {"call": str(self.call["id"]), **({} if controller is None else {"controller": controller})}

    @property
    def recorded(self) -> dict[str, Any] | None:
        """The call's stored recordings as one: the number of segments, their total length (``duration_ms``),
        and from when to when. None if none is stored.
        """
        segments = [each for each in self.recordings if each["state"] == RecordingState.STORED]
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
    """Which calls to list: each field given narrows the list. ``after``: where the last page ended: when the
    call was opened, and its id.
    """

    campaign: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    controllers: Sequence[str] | None = None
    after: tuple[datetime, UUID] | None = None


class CallRecords(Protocol):
    async def list_calls(self, limit: int, wanted: WantedCalls | None = None) -> list[dict[str, Any]]:
        """The newest calls first. Raises StoreError if the database fails."""
        ...

    async def of(self, known_as: Mapping[str, Digests], limit: int) -> list[dict[str, Any]]:
        """The calls of one number, newest first, as :meth:`list_calls` gives them. ``known_as``: its digests,
        by controller.
        """
        ...

    async def show_call(self, call_id: UUID) -> CallRecord:
        """One call, with its journal checked. Raises UnknownError if there is no such call, and StoreError."""
        ...


class CallJournal(Protocol):
    async def append(self, call_id: UUID, event: str, fields: Mapping[str, str]) -> None:
        """Add an entry to the journal of a call, which may be over. Raises StoreError."""
        ...
