"""A call's rows: the gate's facts, what must be durable before the call's next step, and its journal.

A method that changes a call also writes the ``journal`` entries that led to the change, in the same transaction.
"""

import contextlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg

from ccari.errors import NoCallError, StoreError
from ccari.gating.journal import entry
from ccari.policy import chain
from ccari.policy.call import HANDED_BACK, Outcome
from ccari.policy.call.events import RightOnRecord
from ccari.policy.chain import Entry
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.pacing import Lately
from ccari.policy.rights import Right
from ccari.ports.access import Bearer
from ccari.ports.calls import OVER_FASTAGI, LeftTalk, OpenedCall, RefusedCall
from ccari.ports.cards import Asked, Past
from ccari.ports.keying import Sought
from ccari.ports.lists import Judge
from ccari.ports.pressed import Pressed
from ccari.ports.requests import Exercise
from ccari.store import journals, requests
from ccari.store.database import Connection, Database, in_transaction
from ccari.store.facts import Look, facts, gate_arguments, rows_of_each
from ccari.store.journals import Journals, JournalTransaction
from ccari.store.queries import SQL, spell_out_arrays
from ccari.store.together import Together
from ccari.store.tokens import bearer_of

#: Maximum number of calls whose gate facts are remembered: more than one Asterisk ever has between gate and dial. About 500 bytes each.
MOST_SEEN = 2_000
#: Arguments of ``spend_token`` when there are no facts to compare: they were just read under the number's lock.
_NO_COMPARISON = (None,) * 12
#: How many of a number's requests an agent is shown, the newest first.
_ASKED_BEFORE = 10


@dataclass(frozen=True, slots=True)
class FactsSeen:
    """The facts that the gate was given about a call's number. ``text``: all of them as PostgreSQL prints them, for a later comparison."""

    facts: Facts
    text: str
    consent_id: int | None


class CallRows:
    """:class:`ccari.ports.calls.CallStore` on PostgreSQL, except registering a right that is pressed in a call."""

    def __init__(self, database: Database, written: Journals | None = None) -> None:
        self._database = database
        self._journals = written or Journals(database)
        self._seen: OrderedDict[UUID, FactsSeen] = OrderedDict()
        self._looks = Together(self._look)

    async def open(self, call: OpenedCall, question: Question) -> tuple[Facts, int | None]:
        digests = call.keyed
        async with self._database.connection() as connection:
            statement, arguments = spell_out_arrays(
                SQL["open_call"], call.id, call.asterisk, call.revision, call.controller, call.campaign,
                call.legal_basis, call.agent, digests.newest if digests else None,
                digests.key_version if digests else None, call.number_masked, call.token,
                chain.start(call.id), call.direction, list(digests.all) if digests else [],
                *gate_arguments(question, call.listed_as),
            )  # fmt: skip
            row = await connection.fetchrow(statement, *arguments)
        if row is None:
            raise StoreError("the database opened no call")
        self._journals.begin(call.id)
        found = facts(row)
        if digests is not None:
            self._seen[call.id] = FactsSeen(found, row["facts_text"], row["consent_id"])
            if len(self._seen) > MOST_SEEN:
                self._seen.popitem(last=False)
        return found, row["revision"]

    async def open_refused(self, call: RefusedCall) -> None:
        """Write the row of a call that has no terms, so that its refusal is on record too."""
        await self._database.execute(
            SQL["open_refused_call"], call.id, call.asterisk, call.campaign, call.agent, call.token,
            chain.start(call.id), call.direction, call.asked_at, call.revision, call.controller, call.legal_basis,
        )  # fmt: skip
        self._journals.begin(call.id)

    async def facts(self, question: Question, sought: Sought) -> tuple[Facts, int | None]:
        """The gate's facts about a number, outside any call, and the newest policy revision."""
        row = await self._looks.ask(Look(question, sought))
        return facts(row), row["revision"]

    async def facts_and_bearer(
        self, question: Question, sought: Sought, sha256: bytes
    ) -> tuple[Facts, int | None, Bearer | None]:
        """Like :meth:`facts`, plus the bearer of the token with that hash, in one round trip. None: there is no such token, or it was
        revoked.
        """
        row = await self._looks.ask(Look(question, sought, sha256))
        return facts(row), row["revision"], bearer_of(row) if row["name"] is not None else None

    async def _look(self, looks: Sequence[Look]) -> Sequence[asyncpg.Record]:
        async with self._database.connection() as connection:
            return await rows_of_each(connection, looks)

    async def spend_token(
        self,
        call: OpenedCall,
        question: Question,
        judge: Judge,
        journal: Sequence[Entry],
    ) -> Block | None:
        """The fast path: if the gate's facts still allow the call, one statement takes the number's lock, checks that the facts are
        unchanged and spends the token. If they have changed, they are read and judged again under the lock. If the call rests on a
        consent, the same step records its use (Art 7(1); DE: UWG §7a).
        """
        seen = self._seen.pop(call.id, None)
        if seen is not None and judge(seen.facts) is None:
            digests = call.digests
            if await self._journals.write_as_remembered(
                call.id, journal, "spend_token", call.token, seen.consent_id if question.consent else None,
                seen.text, digests.newest, question.controller, digests.all, question.campaign,
                *gate_arguments(question, call.listed_as),
            ):  # fmt: skip
                return None
        async with self._journals.transaction() as transaction:
            await transaction.connection.execute(SQL["number_lock"], call.controller, call.digests.newest)
            look = Look(question, Sought(call.digests, call.listed_as))
            (row,) = await rows_of_each(transaction.connection, [look])
            block = judge(facts(row))
            if block is None:
                consent = row["consent_id"] if question.consent else None
                if await transaction.write(
                    call.id, journal, "spend_token", call.token, consent, *_NO_COMPARISON
                ):
                    return None
                block = Block.TOKEN_SPENT
            await transaction.write(call.id, journal)
        return block

    async def commit_heard(
        self, call_id: UUID, notice_version: str, information_version: str | None, journal: Sequence[Entry]
    ) -> None:
        await self._journals.write(call_id, journal, "commit_heard", notice_version, information_version)

    async def lately(self, call: OpenedCall, of_calls: int) -> Lately:
        async with self._database.connection() as connection:
            return await _lately(connection, call, of_calls)

    async def let_through(self, call: OpenedCall, of_calls: int, may: Callable[[Lately], bool]) -> bool:
        """Also False while another call of the campaign is at this point. It does not wait: after that call there would be no room for
        this one.
        """
        async with self._database.transaction() as connection:
            if not await connection.fetchval(SQL["turn_of_campaign"], call.controller, call.campaign):
                return False
            if not may(await _lately(connection, call, of_calls)):
                return False
            await connection.execute(SQL["let_through"], call.id)
        return True

    async def past_of(self, call: OpenedCall) -> Past:
        if call.keyed is None:
            return Past()
        rows = await self._database.rows(
            SQL["past_of_number"], call.controller, list(call.digests.all), _ASKED_BEFORE
        )
        asked = [
            Asked(Right(each["right"]), each["reference"], each["state"], each["received_at"])
            for each in rows
            if each["right"] is not None
        ]
        return Past(rows[0]["source"], rows[0]["heard_at"], asked)

    async def replay(self, pressed: Pressed) -> str:
        """Register a right that was pressed while the database was away, dated when it was pressed. Returns its reference.

        Calling this again does not register it twice, even if the database took it at the press and only the reply was lost. A call
        without a row gets a closed one, since nothing else would close it.

        Raises
        ------
        RefusedError
            If the database will never take it.
        StoreError
            If the database fails.
        """
        call, exercise = pressed.call, pressed.exercise
        async with self._database.transaction() as connection:
            made = await _make_row(connection, call, exercise.received_at)
            reference = await _register(JournalTransaction(connection, {}), call, exercise, pressed.journal)
            if not await connection.fetchval(SQL["is_told_of"], call.id, reference):
                fields = {
                    "right": exercise.right.value, "reference": reference, "pressed_at": exercise.received_at.isoformat(),
                    **(call.asserted if made else {}),
                }  # fmt: skip
                await journals.append(connection, call.id, "right_registered", fields)
            if made:
                end = {"outcome": Outcome.RIGHT_EXERCISED.value, "reason": exercise.right.value}
                await journals.write(
                    connection, call.id, [entry("call_ended", end)], "close_call", *end.values()
                )
        return reference

    async def write(self, call_id: UUID, journal: Sequence[Entry]) -> None:
        if journal:
            await self._journals.write(call_id, journal)

    async def close(self, call_id: UUID, outcome: str, reason: str, journal: Sequence[Entry]) -> None:
        """A call that has already ended keeps its first end."""
        await self._journals.write(call_id, journal, "close_call", outcome, reason)
        self._journals.forget(call_id)
        self._seen.pop(call_id, None)

    async def keep_talk(
        self, call_id: UUID, kept: Mapping[str, Any] | None, journal: Sequence[Entry]
    ) -> None:
        await self._journals.write(call_id, journal, "keep_talk", None if kept is None else json.dumps(kept))

    async def left_talks(self, asterisk: str) -> list[LeftTalk]:
        return [
            LeftTalk(**{**row, "kept": json.loads(row["kept"]), "registered": _on_record(row["registered"])})
            for row in await self._database.rows(SQL["left_talks"], asterisk)
        ]

    async def clock(self) -> datetime:
        return cast("datetime", await self._database.value(SQL["clock"]))

    async def close_abandoned(
        self,
        asterisk: str,
        at: datetime,
        but: Sequence[UUID] = (),
        *,
        older_than: float = 0.0,
        opened_before: datetime | None = None,
    ) -> int:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                SQL["open_calls"], asterisk, list(but), timedelta(seconds=older_than), opened_before, OVER_FASTAGI
            )  # fmt: skip
            ended = 0
            for row in rows:
                # one by one: a tampered row must not keep the others open and the service from starting
                with contextlib.suppress(asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
                    ended += await _abandon(connection, row, at)
        return ended

    async def append(self, call_id: UUID, event: str, fields: Mapping[str, str]) -> None:
        await self._journals.write(call_id, [entry(event, fields)])


class PostgresCallStore(CallRows):
    """:class:`ccari.ports.calls.CallStore` on PostgreSQL."""

    async def register_right(
        self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry], *, opens: bool = False
    ) -> str:
        try:
            return await self._try_to_register(call, exercise, journal, opens=opens)
        except NoCallError:
            # the row existed and is gone: a standby took over before it had replicated the row
            return await self._try_to_register(call, exercise, journal, opens=True)

    async def _try_to_register(
        self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry], *, opens: bool
    ) -> str:
        async with self._journals.transaction() as transaction:
            if opens:
                await _make_row(transaction.connection, call, exercise.received_at)
            return await _register(transaction, call, exercise, journal, at_once=True)


def _on_record(registered: str | None) -> tuple[RightOnRecord, ...]:
    return tuple(
        RightOnRecord(**{**each, "right": Right(each["right"]), "due": date.fromisoformat(each["due"])})
        for each in json.loads(registered or "[]")
    )


async def _lately(connection: Connection, call: OpenedCall, of_calls: int) -> Lately:
    row = await connection.fetchrow(
        SQL["lately_of_campaign"], call.campaign, call.controller, call.id, of_calls
    )
    return Lately(**dict(row)) if row is not None else Lately()


async def _make_row(connection: Connection, call: OpenedCall, at: datetime) -> bool:
    """Insert the row of a call. False if it has one already, which stays unchanged."""
    digests = call.digests
    made = await connection.fetchval(
        SQL["make_call"], call.id, call.asterisk, call.revision, call.controller, call.campaign, call.legal_basis,
        call.agent, digests.newest, digests.key_version, call.number_masked, call.token, chain.start(call.id),
        call.direction, at,
    )  # fmt: skip
    return made is not None


async def _register(
    transaction: JournalTransaction, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry], *, at_once: bool = False
) -> str:  # fmt: skip
    """Register the right, unless this same press is registered already. Returns the request's reference."""
    connection = transaction.connection
    await transaction.write(call.id, journal)
    # if the same press is sent twice at once, the second waits here, then finds the first one's request
    if await connection.fetchval(SQL["lock_call"], call.id) is None:
        raise NoCallError("a right cannot be registered for a call that was never opened")
    known = await connection.fetchval(SQL["request_of_call"], call.id, exercise.right, exercise.id)
    if known:
        return str(known)
    return await requests.register(
        connection, call.controller, exercise, call.digests, campaign=call.campaign, call_id=call.id, at_once=at_once
    )  # fmt: skip


async def _abandon(connection: Connection, row: asyncpg.Record, at: datetime) -> bool:
    """Close an open call; False if another node closed it first: every node looks for calls older than a day."""
    outcome = HANDED_BACK if row["let_go"] else Outcome.BRIDGED if row["talked"] else Outcome.FAILED
    fields = {"outcome": outcome, "reason": "service_died"}
    async with in_transaction(connection):
        if not await connection.fetchval(SQL["lock_open_call"], row["id"]):
            return False
        ended = entry("call_ended", fields, at)
        await journals.write(connection, row["id"], [ended], "close_call", *fields.values())
    return True
