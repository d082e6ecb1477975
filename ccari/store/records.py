"""What has been: the lists of calls and recordings, and one call with its journal."""

import json
from typing import Any
from uuid import UUID

from ccari.errors import UnknownError
from ccari.policy import chain
from ccari.policy.chain import Entry
from ccari.ports.records import CallRecord, WantedCalls
from ccari.store.database import Database
from ccari.store.queries import SQL


class Records:
    """:class:`ccari.ports.CallRecords` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_recordings(self, controller: str | None, limit: int) -> list[dict[str, Any]]:
        return await self._rows("list_recordings", controller, limit)

    async def list_calls(self, limit: int, wanted: WantedCalls | None = None) -> list[dict[str, Any]]:
        """The newest first."""
        wanted = wanted or WantedCalls()
        return await self._rows(
            "list_calls", limit, wanted.campaign, wanted.outcome, wanted.since, wanted.controllers,
            *(wanted.after or (None, None)),
        )  # fmt: skip

    async def show_call(self, call_id: UUID) -> CallRecord:
        """One call whole, its journal checked.

        Raises
        ------
        UnknownError
            If there is no such call.
        """
        found = await self._rows("show_call", call_id)
        if not found:
            raise UnknownError(f"there is no call {call_id}")
        call = found[0]
        events = await self._rows("call_events", call_id)
        entries = [
            Entry(each["seq"], each["at"], each["event"], json.loads(each["fields"]), each.pop("link"))
            for each in events
        ]
        fault = chain.fault(call_id, entries, count=call.pop("events"), last=call.pop("last_link"))
        for each, entry in zip(events, entries, strict=True):
            each["fields"] = dict(entry.fields)
        return CallRecord(call, events, await self._rows("recordings_of_call", call_id), fault)

    async def _rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return await self._database.rows(SQL[query], *arguments)
