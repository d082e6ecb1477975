"""What people look up and maintain: policies, suppressions, and the lists of calls, recordings and requests."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from ccari.errors import StoreError
from ccari.policy import chain
from ccari.policy.chain import Entry
from ccari.policy.declaration import Policy, PolicyError, read
from ccari.policy.suppression import Reason
from ccari.ports import Digests
from ccari.store.database import Database
from ccari.store.queries import SQL


@dataclass(frozen=True, slots=True)
class Revision:
    """One applied policy; it never changes."""

    number: int
    policy: Policy
    document: str


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as it is shown: its row, its journal, its recordings, and the first fault of the journal if it has one."""

    call: dict[str, Any]
    events: list[dict[str, Any]]
    recordings: list[dict[str, Any]]
    fault: str | None


class Registers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest_policy(self) -> Revision | None:
        """The policy in force.

        Raises
        ------
        StoreError
            If this ccari refuses what an older one accepted.
        """
        found = await self._rows("newest_policy")
        if not found:
            return None
        number, document = found[0]["revision"], found[0]["document"]
        try:
            return Revision(number, read(document), document)
        except PolicyError as error:
            raise StoreError(
                f"policy revision {number} is not sound for this ccari ({str(error).splitlines()[0]}): "
                "ccari policy apply FILE"
            ) from None

    async def apply_policy(self, document: str, applied_by: str) -> int:
        """Store a validated policy as the newest revision and give its number; the same text again is no new one."""
        found = await self._rows("newest_policy")
        if found and found[0]["document"] == document:
            return int(found[0]["revision"])
        async with self._database.connection() as connection:
            number = await connection.fetchval(
                SQL["add_policy"], applied_by, sha256(document.encode()).digest(), document
            )
        return int(number)

    async def suppress(
        self, controller: str, digests: Digests, reason: Reason, origin: str, proof: str
    ) -> bool:
        """Bar a number; False if it was barred for this reason already."""
        async with self._database.connection() as connection:
            added = await connection.fetchval(
                SQL["add_suppression"],
                controller,
                digests.newest,
                digests.key_version,
                reason,
                origin,
                proof,
                None,
            )
        return added is not None

    async def suppressions_of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        return await self._rows("check_suppression", controller, list(digests.all))

    async def list_suppressions(self, controller: str | None, limit: int) -> list[dict[str, Any]]:
        return await self._rows("list_suppressions", controller, limit)

    async def list_requests(self, controller: str | None, limit: int) -> list[dict[str, Any]]:
        return await self._rows("list_requests", controller, limit)

    async def list_recordings(self, controller: str | None, limit: int) -> list[dict[str, Any]]:
        return await self._rows("list_recordings", controller, limit)

    async def list_calls(self, limit: int) -> list[dict[str, Any]]:
        return await self._rows("list_calls", limit)

    async def show_call(self, call_id: UUID) -> CallRecord:
        """One call whole, its journal checked.

        Raises
        ------
        StoreError
            If there is no such call.
        """
        found = await self._rows("show_call", call_id)
        if not found:
            raise StoreError(f"there is no call {call_id}")
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
        async with self._database.connection() as connection:
            rows: Sequence[Any] = await connection.fetch(SQL[query], *arguments)
        return [dict(row) for row in rows]
