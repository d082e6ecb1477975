"""All data kept of one person by one controller, for disclosure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg

from ccari.policy import chain
from ccari.policy.retention import HoldKind
from ccari.policy.rights import Level
from ccari.ports.holds import Held, Subject
from ccari.ports.subjects import Holdings, Mandate
from ccari.store import holds, mandates
from ccari.store.accesses import newest_expiry
from ccari.store.database import Database
from ccari.store.erasures import holds_on_number
from ccari.store.journals import entry_fields
from ccari.store.queries import SQL, columns

#: Fields of a journal that are about employees rather than the person (Art 15(4)), or stand for the number, which is given out itself.
_NOT_DISCLOSED = frozenset({"agent", "by", "who", "colleague"}) | chain.OF_NUMBER


class Subjects:
    """:class:`ccari.ports.subjects.Subjects` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mandate(self, reference: str) -> Mandate:
        async with self._database.connection() as connection:
            return await mandates.read(connection, reference)

    async def holdings(self, subject: Subject, listed_as: Sequence[tuple[str, bytes]]) -> Holdings:
        person = (subject.controller, list(subject.digests.all))
        async with self._database.snapshot(outside_pool=True) as connection:

            async def rows(query: str, *arguments: Any) -> list[dict[str, Any]]:
                return [dict(row) for row in await connection.fetch(SQL[query], *arguments)]

            calls, consents = await rows("disclosed_calls", *person), await rows("consents_of", *person)
            requests = await rows("disclosed_requests", *person)
            events = await _rows_by(connection, "disclosed_events", "call_id", [each["id"] for each in calls])
            uses = await _rows_by(
                connection, "uses_of_consents", "consent_id", [each["id"] for each in consents]
            )
            references = [each["reference"] for each in requests]
            recordings = await rows("disclosed_recordings", *person)
            held = await holds.explain(connection, [each["id"] for each in recordings])
            looked_at = [str(each["id"]) for each in (*calls, *recordings)] + references
            steps = await _rows_by(connection, "disclosed_steps", "reference", references)
            return Holdings(
                calls=[{**each, "events": [_event(one) for one in events[each["id"]]]} for each in calls],
                heard=await rows("disclosed_heard", *person),
                contacts=await rows("contacts_of", *person),
                consents=[_consent(each, uses[each["id"]]) for each in consents],
                suppressions=await rows("disclosed_suppressions", *person),
                listings=await rows("disclosed_listings", *columns(listed_as)),
                requests=[_request(each, steps[each["reference"]]) for each in requests],
                recordings=[_recording(each, held.get(each["id"], ())) for each in recordings],
                forwards=await rows("disclosed_forwards", references),
                kept_for_claims=_legal(await holds_on_number(connection, subject))
                or bool(await rows("holds_on_calls", [each["id"] for each in calls])),
                accesses=await rows(
                    "disclosed_accesses", subject.controller, [each.hex() for each in subject.digests.all], looked_at
                ),
                accesses_expired_before=await newest_expiry(connection),
            )  # fmt: skip

    async def note(self, mandate: Mandate, who: str, words: str) -> None:
        async with self._database.transaction() as connection:
            # also the level: nothing is given out once a colleague doubts who asks
            await mandates.lock(connection, mandate)
            await mandates.note(connection, mandate, who, words)


def _legal(held: Iterable[Held]) -> bool:
    """Whether a legal hold is among them."""
    return any(each.kind is HoldKind.LEGAL for each in held)


async def _rows_by(
    connection: asyncpg.Connection, query: str, key: str, ids: list[Any]
) -> dict[Any, list[dict[str, Any]]]:
    """The rows of the query for ``ids``, grouped by the column ``key``, which is removed from each row."""
    grouped: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in await connection.fetch(SQL[query], ids):
        grouped[row.get(key)].append({name: value for name, value in row.items() if name != key})
    return grouped


def _consent(row: Mapping[str, Any], uses: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {**row, "used_in_calls": [each["call_id"] for each in uses]}


def _request(row: Mapping[str, Any], steps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        **row,
        "level": Level(row["level"]).name,
        "steps": [{**each, "level": Level(each["level"]).name} for each in steps],
    }


def _recording(row: Mapping[str, Any], held: Sequence[Held]) -> dict[str, Any]:
    return {
        **row,
        "kept_for_claims": _legal(held),
        "kept_for_requests": any(each.kind is HoldKind.REQUEST for each in held),
    }


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["fields"] is None:
        return {"at": row["at"], "event": row["event"], "fields": None}
    fields, _ = entry_fields(row["fields"], b"")
    disclosed = {name: value for name, value in fields.items() if name not in _NOT_DISCLOSED}
    return {"at": row["at"], "event": row["event"], "fields": disclosed}
