"""What keeps recordings beyond their time: legal holds and open requests."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from ccari.errors import NoRequestError, RecordingError, RequestError, UnknownError
from ccari.policy.chain import Linked
from ccari.policy.retention import HOLDING, HOLDING_ON, HoldKind
from ccari.policy.rights import EFFECTS
from ccari.policy.sentences import told
from ccari.ports.accesses import Looked
from ccari.ports.holds import Held, HoldOn
from ccari.store import accesses
from ccari.store.database import Connection, Database, in_transaction
from ccari.store.queries import SQL

#: Rights whose open requests hold recordings, paired with the legal basis of those recordings.
_RIGHTS, _BASES = zip(*[(right, basis) for right, bases in HOLDING.items() for basis in bases], strict=True)
#: Rights whose requests hold even after they are fulfilled, paired with the bar that must still stand.
ON_RIGHTS, ON_BARS = zip(*[(right, EFFECTS[right].suppress) for right in HOLDING_ON], strict=True)


class Holds:
    """:class:`ccari.ports.holds.HoldStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def place(self, on: HoldOn, reason: str, who: str) -> dict[str, Any]:
        """Waits for deletions that are being decided. Once the hold is placed, none of the recordings that it counts is deleted. The record
        of accesses has what it is on, and the next seal covers it; the reason is stored with the hold.
        """
        subject = on.subject
        async with self._database.outside_pool() as connection, in_transaction(connection):
            await connection.execute(SQL["share_deletions"])
            await _check(connection, on)
            placed = await connection.fetchval(
                SQL["place_hold"], on.recording_id, on.call_id, on.reference,
                subject.controller if subject else None, list(subject.digests.all) if subject else None, reason,
                who,
            )  # fmt: skip
            shown = await _shown(connection, placed) or {}
            # last: nobody can look at anything until this is over
            noted = await _note(connection, Looked.HOLD_PLACED, placed, who)
        accesses.log(Looked.HOLD_PLACED, who, noted)
        return shown

    async def misses_later_calls(self, hold: int) -> bool:
        """Whether it is on a request that was closed before a rotation of the secret, since when the person's calls have a digest that the
        request lacks: it does not hold them. Raises StoreError.
        """
        return bool(await self._database.value(SQL["misses_later_calls"], hold))

    async def release(self, hold: int, reason: str, who: str) -> dict[str, Any]:
        """The hold keeps who released it, when and why; the record of accesses has it too, and the next seal covers it."""
        async with self._database.transaction() as connection:
            if await connection.fetchval(SQL["release_hold"], hold, who, reason) is None:
                since = await connection.fetchval(SQL["released_hold"], hold)
                when = f"was released on {told(since.astimezone())}" if since else "does not exist"
                raise UnknownError(f"hold {hold} {when}: see ccari recordings holds --all")
            shown = await _shown(connection, hold) or {}
            noted = await _note(connection, Looked.HOLD_RELEASED, hold, who)
        accesses.log(Looked.HOLD_RELEASED, who, noted)
        return shown

    async def page(
        self, limit: int, *, released: bool, controllers: Sequence[str] | None, after: int | None = None
    ) -> list[dict[str, Any]]:
        return await self._database.rows(
            SQL["list_holds"], None, released, limit, controllers, after, outside_pool=True
        )

    async def show(self, hold: int) -> dict[str, Any] | None:
        async with self._database.outside_pool() as connection:
            return await _shown(connection, hold)


def held(row: asyncpg.Record) -> Held:
    """The hold in a row with ``kind``, ``hold``, ``reference`` and ``reason``."""
    return Held(HoldKind(row["kind"]), row["hold"], row["reference"], row["reason"])


async def explain(connection: Connection, recording_ids: Collection[UUID]) -> dict[UUID, list[Held]]:
    """The one place that tells whether a recording is held, and by what; legal holds come first."""
    rows = await connection.fetch(SQL["holds_on"], list(recording_ids), _RIGHTS, _BASES, ON_RIGHTS, ON_BARS)
    by_recording: defaultdict[UUID, list[Held]] = defaultdict(list)
    for row in rows:
        by_recording[row["id"]].append(held(row))
    return dict(by_recording)


async def _shown(connection: Connection, hold: int) -> dict[str, Any] | None:
    row = await connection.fetchrow(SQL["list_holds"], hold, True, 1, None, None)
    return None if row is None else dict(row)


async def _note(connection: Connection, done: Looked, hold: int, who: str) -> Linked:
    """Enter what was done to the hold, and what it is on, into the record of accesses."""
    row = await connection.fetchrow(SQL["target_of_hold"], hold)
    target = {name: str(value) for name, value in dict(row or {}).items() if value is not None}
    return await accesses.add(connection, done, {"hold": str(hold), **target, "who": who, "why": ""})


async def _check(connection: Connection, on: HoldOn) -> None:
    """Raise if there is nothing to hold: it does not exist, was deleted, or has expired."""
    if on.recording_id is not None:
        recording = await connection.fetchrow(SQL["recording_to_hold"], on.recording_id)
        if recording is None:
            raise UnknownError(f"there is no recording {on.recording_id}")
        if recording["deleted_at"] is not None or recording["doomed"]:
            when = (
                f"on {told(recording['deleted_at'].astimezone())}" if recording["deleted_at"] else "just now"
            )
            raise RecordingError(f"recording {on.recording_id} was deleted {when}: there is nothing to hold")
    if on.call_id is not None:
        call = await connection.fetchrow(SQL["call_to_hold"], on.call_id)
        if call is None:
            raise UnknownError(f"there is no call {on.call_id}")
        if call["expired_at"] is not None:
            raise UnknownError(
                f"call {on.call_id} expired on {told(call['expired_at'].astimezone())}: there is nothing to hold"
            )
    if on.reference is not None:
        request = await connection.fetchrow(SQL["request_to_hold"], on.reference)
        if request is None:
            raise NoRequestError(on.reference)
        if not request["is_anybodys"]:
            # by its digests alone a hold finds the person's later calls, contacts and consents
            raise RequestError(
                f"{on.reference} no longer shows whose it was (requests_days): place the hold on the number"
            )
