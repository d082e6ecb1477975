"""Registering what was pressed while the database was away, exactly once, before another call is let through."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from ccari.errors import ConfigError, RefusedError, StoreError, why
from ccari.policy.chain import Entry
from ccari.policy.gate import Block, Facts, Question
from ccari.ports.calls import LeftTalk, OpenedCall
from ccari.ports.keying import Digests
from ccari.ports.pressed import LocalJournal, Pressed
from ccari.ports.requests import Exercise
from ccari.store.calls import CallRows, Judge, PostgresCallStore
from ccari.store.database import Database
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.pressed import UnreadableError

_log = structlog.get_logger()

#: For the database to take a right that was pressed; whoever pressed it waits. With the time that the disk may take it is
#: less than five seconds to the confirmation.
PRESS_SECONDS = 3.0
#: Between tries while something waits.
AGAIN_SECONDS = 1.0
#: Between looks at what another process has kept.
LOOK_SECONDS = 10.0
#: Between lines of the log about the same thing.
TELL_AGAIN_SECONDS = 60.0
_INBOUND = "inbound"


@dataclass(frozen=True, slots=True)
class Replayed:
    """Of one round. ``reference`` is None for what was put aside."""

    name: str
    reference: str | None


class SpoolingCallStore(CallRows):
    """The calls of a node that has a local journal: a right goes there when the database does not take it, and while one is
    there nobody is called, for somebody may have barred themselves (invariants 1 and 5).
    """

    def __init__(self, database: Database, journal: LocalJournal, kept: asyncio.Event) -> None:
        super().__init__(database)
        self._calls = PostgresCallStore(database)
        self._journal = journal
        self._kept = kept

    async def open(self, call: OpenedCall, question: Question) -> tuple[Facts, int | None]:
        """As without a local journal; but a call to somebody is refused with StoreError while rights wait."""
        if call.direction != _INBOUND:
            self._heed()
        return await super().open(call, question)

    async def facts(
        self, question: Question, digests: Digests, listed_as: Sequence[tuple[str, bytes]]
    ) -> Facts:
        self._heed()
        return await super().facts(question, digests, listed_as)

    async def spend_token(
        self, call: OpenedCall, question: Question, judge: Judge, journal: Sequence[Entry]
    ) -> Block | None:
        self._heed()
        return await super().spend_token(call, question, judge, journal)

    async def left_talks(self, asterisk: str) -> list[LeftTalk]:
        """As without a local journal; but refused with StoreError while rights wait: one may be a refusal to be recorded,
        and no recording that it ends may be taken up (invariant 6).
        """
        self._heed()
        return await super().left_talks(asterisk)

    async def register_right(
        self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry], *, opens: bool = False
    ) -> str | None:
        """The request and its immediate effect; or None: it is in the local journal, and registered when it can be.

        Raises
        ------
        StoreError
            If the database refuses it for good, or the local journal cannot take it either.
        """
        try:
            async with asyncio.timeout(PRESS_SECONDS):
                return await self._calls.register_right(call, exercise, journal, opens=opens)
        except RefusedError:
            raise
        except (StoreError, TimeoutError) as error:
            _log.warning("database_away", call_id=str(call.id), reason=str(error) or "timeout")
        try:
            await self._journal.keep(Pressed(call, exercise, tuple(journal)))
        except (StoreError, ConfigError) as error:
            _log.error("right_not_kept", call_id=str(call.id), right=exercise.right.value, reason=str(error))
            raise
        self._kept.set()
        return None

    def _heed(self) -> None:
        if self._journal.waits():
            raise StoreError(
                "rights that were pressed wait to be registered, and may bar whoever would be called"
            )


class Replayer:
    """Registers what waits in ``journal``. ``kept`` is set when something has been kept."""

    def __init__(self, journal: LocalJournalFiles, calls: CallRows, kept: asyncio.Event) -> None:
        self._journal = journal
        self._calls = calls
        self._kept = kept
        self._told_at = 0.0

    async def run(self) -> None:
        """Until cancelled. What is under way then is found by the next service."""
        while True:
            left = await self._is_left()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS if left else LOOK_SECONDS):
                    await self._kept.wait()
            self._kept.clear()

    async def begin(self) -> None:
        """What an earlier run has left, before the first call is taken."""
        try:
            await asyncio.to_thread(self._journal.tidy)
        except (ConfigError, OSError) as error:
            _log.error("local_journal_untidy", reason=str(error))
        await self._is_left()

    async def _is_left(self) -> bool:
        try:
            await self.round()
            return self._journal.waits()
        except StoreError as error:
            self._tell(error)
            return True

    async def round(self) -> list[Replayed]:
        """Register all that waits, in the order in which it was pressed; what cannot ever be is put aside.

        Nothing, if another process is about it.

        Raises
        ------
        StoreError
            If the database fails: what is left waits on.
        """
        done: list[Replayed] = []
        if not self._journal.names():
            return done
        with self._journal.registering() as ours:
            for name in self._journal.names() if ours else ():
                done.append(Replayed(name, await self._register(name)))  # noqa: PERF401 - one that fails leaves those before it done
        return done

    async def _register(self, name: str) -> str | None:
        try:
            pressed = await asyncio.to_thread(self._journal.read, name)
            reference = await self._calls.replay(pressed)
        except (UnreadableError, RefusedError) as error:
            await self._put_aside(name, str(error))
            return None
        except (OSError, ConfigError) as error:
            told = why(error) if isinstance(error, OSError) else str(error)
            raise StoreError(f"the local journal cannot be read: {told}") from None
        await asyncio.to_thread(self._journal.remove, name)
        call, exercise = pressed.call, pressed.exercise
        _log.info(
            "right_registered", call_id=str(call.id), campaign=call.campaign, controller=call.controller,
            legal_basis=call.legal_basis, number=call.number_masked, right=exercise.right.value, reference=reference,
            waited_ms=round((datetime.now(UTC) - exercise.received_at).total_seconds() * 1000),
        )  # fmt: skip
        return reference

    async def _put_aside(self, name: str, reason: str) -> None:
        try:
            await asyncio.to_thread(self._journal.put_aside, name)
        except OSError as error:
            raise StoreError(f"the local journal cannot be written: {why(error)}") from None
        _log.error("right_put_aside", record=name, reason=reason, advice="see: ccari requests spooled")

    def _tell(self, error: StoreError) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._told_at:
            return
        self._told_at = now + TELL_AGAIN_SECONDS
        with contextlib.suppress(StoreError):
            found = self._journal.standing()
            since = found.since.isoformat() if found.since else None
            _log.warning("rights_wait", waiting=found.waiting, since=since, reason=str(error))
