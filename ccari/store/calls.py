"""A call's rows: what the gate asks, what must be durable before the next step, and the journal of it all.

Each method that changes a call also writes the journal entries that led to it, in the same transaction.
"""

import contextlib
import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from ccari.errors import StoreError
from ccari.policy import chain
from ccari.policy.chain import Entry
from ccari.policy.gate import Block, Facts
from ccari.policy.rights import EFFECTS, RequestState
from ccari.policy.suppression import Reason
from ccari.ports import Digests, Exercise, Kept, OpenedCall, RecordingTag, RefusedCall
from ccari.store.database import Connection, Database
from ccari.store.queries import SQL


class PostgresCallStore:
    """:class:`ccari.ports.CallStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, call: OpenedCall, counts_since: datetime) -> tuple[Facts, int | None]:
        """Write the call's row and give the gate's facts with the newest policy revision, in one round trip."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                SQL["open_call"], call.id, call.asterisk, call.revision, call.controller, call.campaign,
                call.legal_basis, call.agent, call.digests.newest, call.digests.key_version, call.number_masked,
                call.token, chain.start(call.id), list(call.digests.all), counts_since,
            )  # fmt: skip
        if row is None:
            raise StoreError("the database opened no call")
        return _facts(row), row["revision"]

    async def open_refused(self, call: RefusedCall) -> None:
        """Write the row of a call that no policy covers, so that its refusal is on record too."""
        async with self._database.connection() as connection:
            await connection.execute(
                SQL["open_refused_call"], call.id, call.asterisk, call.campaign, call.agent, call.token,
                chain.start(call.id),
            )  # fmt: skip

    async def facts(self, controller: str, campaign: str, digests: Digests, counts_since: datetime) -> Facts:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                SQL["gate_facts"], controller, campaign, list(digests.all), counts_since
            )
        if row is None:
            raise StoreError("the database gave no facts")
        return _facts(row)

    async def spend_token(
        self, call: OpenedCall, barring: Sequence[Reason], journal: Sequence[Entry]
    ) -> Block | None:
        """Read the bars again and spend the token. None means: dial now; else why not."""
        async with self._database.transaction() as connection:
            await _write(connection, call.id, journal)
            if await connection.fetchval(
                SQL["spend_token"], call.id, call.token, list(call.digests.all), list(barring)
            ):
                return None
            reason = await connection.fetchval(
                SQL["bars_of"], call.controller, list(call.digests.all), list(barring)
            )
        return Block.suppressed(Reason(reason)) if reason else Block.TOKEN_SPENT

    async def commit_heard(self, call_id: UUID, notice_version: str, journal: Sequence[Entry]) -> None:
        async with self._database.transaction() as connection:
            await _write(connection, call_id, journal)
            await connection.execute(SQL["commit_heard"], call_id, notice_version)

    async def tag_recording(self, tag: RecordingTag, journal: Sequence[Entry]) -> None:
        """Commit the tag; refused by the database itself while the notice is not recorded as heard."""
        async with self._database.transaction() as connection:
            await _write(connection, tag.call_id, journal)
            if not await connection.fetchval(
                SQL["tag_recording"], tag.recording_id, tag.call_id, tag.purpose, tag.legal_basis, tag.mode,
                tag.delete_at,
            ):  # fmt: skip
                raise StoreError("a recording cannot be tagged before the notice was heard")

    async def recording_started(self, recording_id: UUID, at: datetime) -> None:
        async with self._database.connection() as connection:
            await connection.execute(SQL["recording_started"], recording_id, at)

    async def recording_stored(self, tag: RecordingTag, kept: Kept, journal: Sequence[Entry]) -> None:
        async with self._database.transaction() as connection:
            await _write(connection, tag.call_id, journal)
            await connection.execute(
                SQL["recording_stored"], tag.recording_id, kept.file, kept.duration_ms, kept.sha256
            )

    async def recording_ended(self, tag: RecordingTag, state: str, journal: Sequence[Entry]) -> None:
        async with self._database.transaction() as connection:
            await _write(connection, tag.call_id, journal)
            await connection.execute(SQL["recording_ended"], tag.recording_id, state)

    async def unfinished_recordings(self, asterisk: str) -> list[RecordingTag]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(SQL["unfinished_recordings"], asterisk)
        return [RecordingTag(**dict(row)) for row in rows]

    async def register_right(self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry]) -> str:
        """The request and its immediate effect, in one transaction; the same press twice is one request.

        Returns
        -------
        str
            The reference that people quote, such as ``ACME-2026-000123``.
        """
        effect = EFFECTS[exercise.right]
        digests = call.digests
        async with self._database.transaction() as connection:
            await _write(connection, call.id, journal)
            # the same press at the same moment waits here, and then finds the first one's request
            if await connection.fetchval(SQL["lock_call"], call.id) is None:
                raise StoreError("a right cannot be registered for a call that was never opened")
            known = await connection.fetchval(SQL["request_of_call"], call.id, exercise.right)
            if known:
                return str(known)
            number = await connection.fetchval(SQL["next_reference"], call.controller, exercise.local_year)
            reference = f"{call.controller.upper()}-{exercise.local_year}-{number:06d}"
            # what is complete with its effect needs nobody to be written to, so the number is not kept
            kept = exercise.number if effect.state is RequestState.RECEIVED else None
            await connection.execute(
                SQL["add_request"], reference, call.controller, call.campaign, call.id, exercise.right,
                effect.article, effect.state, exercise.key, exercise.notice_version, kept, digests.newest,
                digests.key_version, exercise.received_at, exercise.due,
            )  # fmt: skip
            if effect.suppress is not None:
                await connection.execute(
                    SQL["add_suppression"], call.controller, digests.newest, digests.key_version, effect.suppress,
                    "call", reference, call.id,
                )  # fmt: skip
        return reference

    async def close(self, call_id: UUID, outcome: str, reason: str, journal: Sequence[Entry]) -> None:
        async with self._database.transaction() as connection:
            await _write(connection, call_id, journal)
            await connection.execute(SQL["close_call"], call_id, outcome, reason)

    async def close_abandoned(self, asterisk: str, at: datetime) -> int:
        """End the calls that an earlier run of the service left open on this Asterisk; gives how many."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(SQL["open_calls"], asterisk)
            for row in rows:
                # each by itself: one row that was tampered with must not keep the others open, and the service away
                with contextlib.suppress(asyncpg.IntegrityConstraintViolationError):
                    await _abandon(connection, row, at)
        return len(rows)


def _facts(row: asyncpg.Record) -> Facts:
    return Facts(frozenset(Reason(each) for each in row["suppressions"]), row["attempts"])


async def _abandon(connection: Connection, row: asyncpg.Record, at: datetime) -> None:
    fields = {"outcome": "failed", "reason": "service_died"}
    entry = chain.append(bytes(row["last_link"]), row["events"] + 1, at, "call_ended", fields)
    async with connection.transaction():
        await _write(connection, row["id"], [entry])
        await connection.execute(SQL["close_call"], row["id"], *fields.values())


async def _write(connection: Connection, call_id: UUID, journal: Sequence[Entry]) -> None:
    if not journal:
        return
    await connection.execute(
        SQL["append_events"], call_id, [entry.seq for entry in journal], [entry.at for entry in journal],
        [entry.event for entry in journal], [json.dumps(dict(entry.fields)) for entry in journal],
        [entry.link for entry in journal],
    )  # fmt: skip
    if not await connection.fetchval(SQL["move_chain"], call_id, journal[-1].seq, journal[-1].link):
        raise StoreError("the journal of the call holds other entries already")
