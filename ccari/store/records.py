"""Records of past calls: lists of calls and recordings, and one call with its journal."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from ccari.errors import UnknownError
from ccari.policy import chain, seal
from ccari.policy.seal import Kind
from ccari.ports.keying import Digests
from ccari.ports.recordings import WantedRecordings
from ccari.ports.records import CallRecord, WantedCalls
from ccari.store import journals
from ccari.store.database import Database
from ccari.store.queries import SQL, by_controller
from ccari.store.seals import sealed


class Records:
    """:class:`ccari.ports.records.CallRecords` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page_of_recordings(self, limit: int, wanted: WantedRecordings) -> list[dict[str, Any]]:
        """The recordings that match, the newest first."""
        return await self._rows(
            "page_of_recordings", limit, wanted.controllers, wanted.campaign, wanted.state, wanted.legal_basis, wanted.call,
            *(wanted.after or (None, None)), wanted.recording,
        )  # fmt: skip

    async def list_calls(self, limit: int, wanted: WantedCalls | None = None) -> list[dict[str, Any]]:
        wanted = wanted or WantedCalls()
        return await self._rows(
            "list_calls", limit, wanted.campaign, wanted.outcome, wanted.since, wanted.controllers,
            *(wanted.after or (None, None)),
        )  # fmt: skip

    async def of(self, known_as: Mapping[str, Digests], limit: int) -> list[dict[str, Any]]:
        return await self._rows("calls_of_number", *by_controller(known_as), limit)

    async def show_call(self, call_id: UUID) -> CallRecord:
        async with self._database.snapshot() as connection:
            row = await connection.fetchrow(SQL["show_call"], call_id)
            if row is None:
                raise UnknownError(f"there is no call {call_id}")
            call = dict(row)
            rows = await connection.fetch(SQL["call_journal"], call_id)
            leaves = await sealed(connection, Kind.CALL, str(call_id))
            recordings = await connection.fetch(SQL["recordings_of_call"], call_id)
        journal = [journals.linked(dict(row)) for row in rows]
        fault = chain.fault(
            chain.start(call_id), journal, count=call.pop("events"), last=bytes(call.pop("last_link"))
        )
        fault = fault or seal.fault(journal, leaves) or chain.fault_of_call(journal, call)
        del call["digest"], call["key_version"]
        events = [
            {"seq": each.seq, "at": each.at, "event": each.event, "fields": _shown(each.fields)}
            for each in journal
        ]
        return CallRecord(call, events, [dict(row) for row in recordings], fault)

    async def _rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        # finding a rare outcome may mean reading millions of rows
        return await self._database.rows(SQL[query], *arguments, outside_pool=True)


def _shown(fields: Mapping[str, str] | None) -> dict[str, str] | None:
    """The fields of an entry, without the number's keyed digest: by it, a reader of masked numbers could tell which calls are one person's."""
    if fields is None:
        return None
    return {name: value for name, value in fields.items() if name not in chain.OF_NUMBER}
