"""The database of a run, in memory: what ``ccari.store`` keeps of calls and recordings, with the same conditions on each write.

``test_same_as_postgres.py`` has it and PostgreSQL do the same.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from ccari.errors import NoCallError, StoreError
from ccari.gating.journal import entry
from ccari.policy import chain
from ccari.policy.bases import LegalBasis
from ccari.policy.call import Outcome
from ccari.policy.call.events import RightOnRecord
from ccari.policy.chain import Entry, Linked
from ccari.policy.gate import Block, Contact, Facts, Question
from ccari.policy.pacing import Lately
from ccari.policy.recording import RecordingMode, stops_recording
from ccari.ports.calls import LeftTalk, OpenedCall, RefusedCall
from ccari.ports.cards import Past
from ccari.ports.recordings import RecordingTag, StoredFile, Unfinished
from ccari.ports.requests import Exercise, Intake
from ccari.store.replaying import PRESS_SECONDS
from tests.unit.interleaving.plan import Fault, Place, Plan

_T = TypeVar("_T")

#: How long the database is away, and how long a slow one takes: longer than a person who presses a key is kept waiting.
AWAY_SECONDS = 20.0
SLOW_SECONDS = 4.0
REPLAY_SECONDS = 1.0


@dataclass
class Row:
    """A call's row, with its journal."""

    id: UUID
    asterisk: str
    direction: str
    agent: str
    campaign: str
    revision: int | None
    token: UUID
    opened_at: datetime
    dialled_at: datetime | None = None
    heard_at: datetime | None = None
    notice_version: str | None = None
    talk: Mapping[str, Any] | None = None
    ended_at: datetime | None = None
    outcome: str | None = None
    reason: str | None = None
    journal: list[Linked] = field(default_factory=list)

    @property
    def last(self) -> bytes:
        return self.journal[-1].link if self.journal else chain.start(self.id)

    @property
    def events(self) -> list[str]:
        return [each.event for each in self.journal]


@dataclass
class Recording:
    tag: RecordingTag
    state: str = "tagged"
    started_at: datetime | None = None
    lead_ms: int = 0
    keep_until: datetime | None = None
    ended_at: datetime | None = None


@dataclass
class Request:
    call: UUID
    exercise: Exercise
    reference: str


class Database:
    """What is committed, and what a node's disk has. It outlives the services that use it."""

    def __init__(
        self, now: Callable[[], datetime], plan: Plan, note: Callable[..., None], jitter: random.Random | None = None
    ) -> None:  # fmt: skip
        self.now = now
        self.note = note
        self._plan = plan
        self._jitter = jitter
        self.calls: dict[UUID, Row] = {}
        self.recordings: dict[UUID, Recording] = {}
        self.requests: list[Request] = []
        #: The local journal.
        self.spooled: list[tuple[OpenedCall, Exercise, tuple[Entry, ...]]] = []
        #: Looks at what is committed as heard.
        self.heard: Callable[[UUID], None] = lambda _: None
        self._away_until = -1.0
        self._count = itertools.count(1)

    async def commit(self, what: str, change: Callable[[], _T], *, counts: bool = True) -> _T:
        """One round trip. Nothing else happens between the lines of ``change``."""
        loop = asyncio.get_running_loop()
        fault = self._plan.at(Place.WRITE) if counts else None
        self.note("write", what, fault or "")
        if fault is Fault.AWAY:
            self._away_until = loop.time() + AWAY_SECONDS
        await asyncio.sleep(SLOW_SECONDS if fault is Fault.SLOW else self._lag())
        if loop.time() < self._away_until or fault is Fault.NOT_WRITTEN:
            raise StoreError("the database is away")
        done = change()
        await asyncio.sleep(self._lag())
        if fault is Fault.WRITTEN_UNTOLD:
            raise StoreError("the connection to the database was lost")
        return done

    def _lag(self) -> float:
        return 0.001 if self._jitter is None else self._jitter.choice((0.0001, 0.001, 0.005, 0.05, 0.5))

    def append(self, call: UUID, entries: Sequence[Entry]) -> Row | None:
        """Add the entries that are not there yet to the call's journal."""
        row = self.calls.get(call)
        if row is None:
            if entries:
                raise NoCallError(f"there is no call {call}")
            return None
        known = {each.commitment for each in row.journal}
        new = [each for each in entries if each.commitment not in known]
        row.journal += chain.follow(row.last, len(row.journal), new)
        return row

    def make(self, call: OpenedCall, at: datetime) -> bool:
        if call.id in self.calls:
            return False
        self.calls[call.id] = Row(
            call.id, call.asterisk, call.direction, call.agent, call.campaign, call.revision, call.token, at
        )
        return True

    def register(self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry]) -> str:
        self.append(call.id, journal)
        for each in self.requests:
            if each.exercise.id == exercise.id or (
                each.call == call.id and each.exercise.right is exercise.right
            ):
                return each.reference
        reference = f"ACME-2026-{next(self._count)}"
        self.requests.append(Request(call.id, exercise, reference))
        return reference

    async def replay(self) -> None:
        """Register what waits on the disk, again and again until cancelled: ``ccari.store.replaying.Replayer``."""
        while True:
            await asyncio.sleep(REPLAY_SECONDS)
            with contextlib.suppress(StoreError):
                while self.spooled:
                    await self.commit("replay", self._replay_first, counts=False)

    def _replay_first(self) -> None:
        call, exercise, journal = self.spooled[0]
        made = self.make(call, exercise.received_at)
        reference = self.register(call, exercise, journal)
        row = self.calls[call.id]
        if not any(
            each.event == "right_registered" and (each.fields or {}).get("reference") == reference
            for each in row.journal
        ):
            self.append(
                call.id, [entry("right_registered", {"right": exercise.right.value, "reference": reference})]
            )
        if made:
            self.close(call.id, Outcome.RIGHT_EXERCISED, exercise.right.value, [entry("call_ended", {})])
        del self.spooled[0]

    def close(self, call: UUID, outcome: str, reason: str, journal: Sequence[Entry]) -> None:
        row = self.append(call, journal)
        if row is not None:
            if row.ended_at is None:
                row.ended_at, row.outcome, row.reason = self.now(), outcome, reason
            row.talk = None

    def until(self, recording: Recording) -> datetime | None:
        """From when on nothing may be kept."""
        tag = recording.tag
        stops = [
            each.exercise.received_at
            for each in self.requests
            if each.call == tag.call_id
            and stops_recording(each.exercise.right, LegalBasis(tag.legal_basis), RecordingMode(tag.mode))
        ]
        known = [each for each in (recording.keep_until, *stops) if each is not None]
        return min(known, default=None)

    def unfinished(self, recording: Recording) -> Unfinished:
        tag, began = recording.tag, recording.started_at
        tag = replace(tag, started_at=began or tag.started_at)
        return Unfinished(
            tag, began is not None, self.until(recording), recording.ended_at, recording.lead_ms
        )


class MemoryCalls:
    """:class:`ccari.ports.calls.CallStore`, as ``SpoolingCallStore`` is. ``alive``: waits for ever once the service is dead."""

    def __init__(self, database: Database, alive: Callable[[], Awaitable[None]] | None = None) -> None:
        self._database = database
        self._alive = alive

    async def _commit(self, what: str, change: Callable[[], _T]) -> _T:
        return await _as_alive(self._alive, self._database.commit, what, change)

    def _refuse_while_rights_wait(self) -> None:
        if self._database.spooled:
            raise StoreError("rights that were pressed wait to be registered")

    async def open(self, call: OpenedCall, question: Question) -> tuple[Facts, int | None]:
        if call.direction != "inbound":
            self._refuse_while_rights_wait()
        await self._commit("open", lambda: self._database.make(call, self._database.now()))
        return Facts(contact=Contact()), 1

    async def open_refused(self, call: RefusedCall) -> None:
        def write() -> None:
            self._database.calls.setdefault(
                call.id,
                Row(
                    call.id,
                    call.asterisk,
                    call.direction,
                    call.agent,
                    call.campaign,
                    call.revision,
                    call.token,
                    call.asked_at,
                ),
            )

        await self._commit("open_refused", write)

    async def spend_token(
        self,
        call: OpenedCall,
        question: Question,
        judge: Callable[[Facts], Block | None],
        journal: Sequence[Entry],
    ) -> Block | None:
        self._refuse_while_rights_wait()

        def spend() -> Block | None:
            block = judge(Facts(contact=Contact()))
            row = self._database.calls[call.id]
            if block is None and (
                row.dialled_at is not None or row.ended_at is not None or row.token != call.token
            ):
                block = Block.TOKEN_SPENT
            self._database.append(call.id, journal)
            if block is None:
                row.dialled_at = self._database.now()
            return block

        return await self._commit("spend_token", spend)

    async def commit_heard(
        self, call_id: UUID, notice_version: str, information_version: str | None, journal: Sequence[Entry]
    ) -> None:
        def write() -> None:
            row = self._database.append(call_id, journal)
            if row is not None:
                row.heard_at, row.notice_version = self._database.now(), notice_version
                self._database.heard(call_id)

        await self._commit("commit_heard", write)

    async def lately(self, call: OpenedCall, of_calls: int) -> Lately:
        raise NotImplementedError

    async def let_through(self, call: OpenedCall, of_calls: int, may: Callable[[Lately], bool]) -> bool:
        raise NotImplementedError

    async def past_of(self, call: OpenedCall) -> Past:
        return await self._commit("past_of", Past)

    async def register_right(
        self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry], *, opens: bool = False
    ) -> str | None:
        def register() -> str:
            # ``opens`` or not: a row that is gone is made again
            self._database.make(call, exercise.received_at)
            return self._database.register(call, exercise, journal)

        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(PRESS_SECONDS):
                return await self._commit("register_right", register)
        await _as_alive(self._alive, asyncio.sleep, 0.002)
        self._database.spooled.append((call, exercise, tuple(journal)))
        self._database.note("spooled", exercise.right.value)
        return None

    async def keep_talk(
        self, call_id: UUID, kept: Mapping[str, Any] | None, journal: Sequence[Entry]
    ) -> None:
        def write() -> None:
            row = self._database.append(call_id, journal)
            if row is not None and row.ended_at is None:
                row.talk = kept

        await self._commit("keep_talk", write)

    async def left_talks(self, asterisk: str) -> list[LeftTalk]:
        self._refuse_while_rights_wait()
        return await self._commit("left_talks", lambda: list(self._left(asterisk)))

    def _left(self, asterisk: str) -> list[LeftTalk]:
        database = self._database
        return [
            LeftTalk(
                row.id, row.direction, row.agent, row.campaign, row.revision or 0, row.notice_version, dict(row.talk),
                sum(each.tag.call_id == row.id for each in database.recordings.values()),
                tuple(self._on_record(row)),
            )
            for row in database.calls.values()
            if row.asterisk == asterisk and row.ended_at is None and row.talk is not None and row.notice_version is not None
        ]  # fmt: skip

    def _on_record(self, row: Row) -> list[RightOnRecord]:
        noted = {
            (each.fields or {}).get("reference") for each in row.journal if each.event == "right_registered"
        }
        return [
            RightOnRecord(
                each.exercise.right, each.reference, each.exercise.due, each.exercise.intake is Intake.AGENT, each.reference in noted
            )
            for each in sorted(self._database.requests, key=lambda each: (each.exercise.received_at, each.reference))
            if each.call == row.id
        ]  # fmt: skip

    async def write(self, call_id: UUID, journal: Sequence[Entry]) -> None:
        if journal:
            await self._commit("write", lambda: self._database.append(call_id, journal))

    async def close(self, call_id: UUID, outcome: str, reason: str, journal: Sequence[Entry]) -> None:
        await self._commit("close", lambda: self._database.close(call_id, outcome, reason, journal))

    async def clock(self) -> datetime:
        return await self._commit("clock", self._database.now)

    async def close_abandoned(
        self, asterisk: str, at: datetime, but: Sequence[UUID] = (), *, older_than: float = 0.0,
        opened_before: datetime | None = None,
    ) -> int:  # fmt: skip
        database = self._database

        def close() -> int:
            left = [
                row
                for row in database.calls.values()
                if row.ended_at is None and row.id not in but and row.asterisk == asterisk
                and (database.now() - row.opened_at).total_seconds() >= older_than
                and (opened_before is None or row.opened_at < opened_before)
            ]  # fmt: skip
            for row in left:
                talked = row.talk is not None or "call_bridged" in row.events
                outcome = Outcome.BRIDGED if talked else Outcome.FAILED
                fields = {"outcome": outcome.value, "reason": "service_died"}
                database.close(row.id, outcome, "service_died", [entry("call_ended", fields, at)])
            return len(left)

        return await self._commit("close_abandoned", close)


class MemoryRecordings:
    """:class:`ccari.ports.recordings.RecordingStore`."""

    def __init__(self, database: Database, alive: Callable[[], Awaitable[None]] | None = None) -> None:
        self._database = database
        self._alive = alive

    async def _commit(self, what: str, change: Callable[[], _T]) -> _T:
        return await _as_alive(self._alive, self._database.commit, what, change)

    async def tag(self, tag: RecordingTag, journal: Sequence[Entry]) -> None:
        database = self._database

        def write() -> bool:
            row = database.calls.get(tag.call_id)
            agreed = row is not None and "recording_agreed" in (
                *row.events,
                *(each.event for each in journal),
            )
            if row is None or row.heard_at is None or not (agreed or tag.mode != "opt_in"):
                return False
            database.append(tag.call_id, journal)
            database.recordings[tag.recording_id] = Recording(replace(tag, started_at=database.now()))
            return True

        if not await self._commit("tag", write):
            raise StoreError("a recording cannot be tagged before the notice was heard")

    async def _change(
        self, what: str, recording_id: UUID, change: Callable[[Recording], None], *states: str
    ) -> None:
        def write() -> None:
            found = self._database.recordings.get(recording_id)
            if found is not None and found.state in states:
                change(found)

        await self._commit(what, write)

    async def started(self, recording_id: UUID, at: datetime, lead_ms: int = 0) -> None:
        def begin(found: Recording) -> None:
            found.state, found.started_at, found.lead_ms = "recording", at, lead_ms

        await self._change("started", recording_id, begin, "tagged")

    async def keep_until(self, recording_id: UUID, at: datetime) -> None:
        def cut(found: Recording) -> None:
            found.keep_until = min(at, found.keep_until or at)

        await self._change("keep_until", recording_id, cut, "tagged", "recording")

    async def kept_until(self, recording_id: UUID) -> datetime | None:
        def read() -> datetime | None:
            found = self._database.recordings.get(recording_id)
            going_on = found is not None and found.state in {"tagged", "recording", "finished"}
            return self._database.until(found) if found is not None and going_on else None

        return await self._commit("kept_until", read)

    async def end_seen(self, recording_id: UUID, at: datetime) -> None:
        def end(found: Recording) -> None:
            found.ended_at = at

        await self._change("end_seen", recording_id, end, "tagged", "recording")

    async def finished(self, tag: RecordingTag, until: datetime | None, journal: Sequence[Entry]) -> None:
        def finish(found: Recording) -> None:
            found.state = "finished"
            if until is not None:
                found.keep_until = min(until, found.keep_until or until)

        await self._end("finished", tag, journal, finish, "tagged", "recording")

    async def stored(self, tag: RecordingTag, kept: StoredFile, journal: Sequence[Entry]) -> None:
        def store(found: Recording) -> None:
            found.state = "stored"
            found.started_at = found.started_at or tag.started_at

        await self._end("stored", tag, journal, store, "tagged", "recording", "finished", "failed")

    async def ended(self, tag: RecordingTag, state: str, journal: Sequence[Entry]) -> None:
        def end(found: Recording) -> None:
            found.state = state

        await self._end("ended", tag, journal, end, "tagged", "recording", "finished")

    async def given_up(self, tag: RecordingTag, state: str, journal: Sequence[Entry]) -> bool:
        found = self._database.recordings[tag.recording_id]
        if found.state not in {"tagged", "recording", "finished"}:
            return False
        await self.ended(tag, state, journal)
        return True

    async def _end(
        self,
        what: str,
        tag: RecordingTag,
        journal: Sequence[Entry],
        change: Callable[[Recording], None],
        *states: str,
    ) -> None:
        def write() -> None:
            self._database.append(tag.call_id, journal)
            found = self._database.recordings.get(tag.recording_id)
            if found is not None and found.state in states:
                change(found)

        await self._commit(what, write)

    async def unfinished(self, asterisk: str) -> list[Unfinished]:
        return await self._commit("unfinished", lambda: self._in_state(asterisk, "tagged", "recording"))

    async def waiting_on(self, asterisk: str) -> list[Unfinished]:
        return await self._commit("waiting_on", lambda: self._in_state(asterisk, "finished"))

    def _in_state(self, asterisk: str, *states: str) -> list[Unfinished]:
        database = self._database
        return [
            database.unfinished(each)
            for each in database.recordings.values()
            if each.state in states and database.calls[each.tag.call_id].asterisk == asterisk
        ]


async def _as_alive(
    alive: Callable[[], Awaitable[None]] | None, work: Callable[..., Awaitable[_T]], *given: Any
) -> _T:
    if alive is not None:
        await alive()
    done = await work(*given)
    if alive is not None:
        await alive()
    return done


@contextlib.asynccontextmanager
async def replaying(database: Database) -> AsyncIterator[None]:
    """Replay while the context lasts."""
    task = asyncio.create_task(database.replay())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
