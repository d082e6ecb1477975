"""Registering what was pressed while the database was away, exactly once, before another call is let through."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from ccari.errors import ConfigError, RefusedError, StoreError, why
from ccari.policy.chain import Entry
from ccari.policy.gate import Block, Facts, Question
from ccari.ports.access import Bearer
from ccari.ports.calls import LeftTalk, OpenedCall
from ccari.ports.keying import Digests
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.ports.pressed import LocalJournal, Pressed, Standing
from ccari.ports.requests import Exercise
from ccari.store.calls import CallRows, Judge, PostgresCallStore
from ccari.store.database import Database
from ccari.store.journals import Journals
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.pressed import AnotherKeyError, UnreadableError

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
_WAITING = "rights that were pressed wait to be registered, and may bar whoever would be called"
_ASIDE = "rights that were pressed lie aside, and may bar whoever would be called: ccari requests spooled"


@dataclass(frozen=True, slots=True)
class Replayed:
    """Of one round. ``reference`` is None for what was put aside."""

    name: str
    reference: str | None


class SpoolingCallStore(CallRows):
    """The calls of a node that has a local journal: a right goes there when the database does not take it, and while one is
    there nobody is called, for somebody may have barred themselves (invariants 1 and 5).
    """

    def __init__(
        self, database: Database, journal: LocalJournal, kept: asyncio.Event, journals: Journals | None = None
    ) -> None:
        journals = journals or Journals(database)
        super().__init__(database, journals)
        self._calls = PostgresCallStore(database, journals)
        self._journal = journal
        self._kept = kept

    async def open(self, call: OpenedCall, question: Question) -> tuple[Facts, int | None]:
        """As without a local journal; but a call to somebody is refused with StoreError while rights wait."""
        if call.direction != _INBOUND:
            await self._heed()
        return await super().open(call, question)

    async def facts(
        self, question: Question, digests: Digests, listed_as: Sequence[tuple[str, bytes]]
    ) -> tuple[Facts, int | None]:
        await self._heed()
        return await super().facts(question, digests, listed_as)

    async def facts_and_bearer(
        self, question: Question, digests: Digests, listed_as: Sequence[tuple[str, bytes]], sha256: bytes
    ) -> tuple[Facts, int | None, Bearer | None]:
        await self._heed()
        return await super().facts_and_bearer(question, digests, listed_as, sha256)

    async def spend_token(
        self, call: OpenedCall, question: Question, judge: Judge, journal: Sequence[Entry]
    ) -> Block | None:
        await self._heed()
        return await super().spend_token(call, question, judge, journal)

    async def left_talks(self, asterisk: str) -> list[LeftTalk]:
        """As without a local journal; but refused with StoreError while rights wait: one may be a refusal to be recorded,
        and no recording that it ends may be taken up (invariant 6). While one lies aside, whose database or disk will not
        give it back, or waits for a key that is not there, which may be for days, talks are taken up as if it were theirs:
        they go on, and are not recorded any more.
        """
        found = await self._journal.unsettled()
        if found.waiting and found.waiting > await self._journal.passed_over():
            raise StoreError(_WAITING)
        left, unknown = await super().left_talks(asterisk), found.waiting or found.aside
        return [replace(each, kept={**each.kept, "refused": True}) for each in left] if unknown else left

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

    async def _heed(self) -> None:
        """What lies aside bars as well: whoever pressed may have been told that they would not be called again, and only a
        person can find out who it was.
        """
        found = await self._journal.unsettled()
        if found.waiting or found.aside:
            raise StoreError(_WAITING if found.waiting else _ASIDE)


class Replayer:
    """Registers what waits in ``journal``. ``kept`` is set when something has been kept."""

    def __init__(
        self, journal: LocalJournalFiles, calls: CallRows, kept: asyncio.Event, meter: Meter = UNMETERED
    ) -> None:
        self._meter = meter
        self._journal = journal
        self._calls = calls
        self._kept = kept
        self._told_at = 0.0
        self._left_because = ""

    async def run(self) -> None:
        """Until cancelled. What is under way then is found by the next service. What fails is logged, and tried again: until
        it is done nobody is called.
        """
        while True:
            left = await self._is_left()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS if left else LOOK_SECONDS):
                    await self._kept.wait()
            self._kept.clear()

    async def begin(self) -> None:
        """What an earlier run has left, before the first call is taken."""
        try:
            await self._journal.disk.run(self._journal.tidy)
        except (ConfigError, StoreError, OSError) as error:
            told = why(error) if isinstance(error, OSError) else str(error)
            _log.error("local_journal_untidy", reason=told)
        await self._is_left()

    async def _is_left(self) -> bool:
        try:
            await self.round()
            found = await self._journal.unsettled()
            # what was kept since the round began comes in the next
            because = self._left_because if found.waiting else _ASIDE if found.aside else ""
            if because:
                self._tell(found, because)
        except StoreError as error:
            self._meter.failed(Work.REPLAYING)
            await self._tell_why(str(error))
        except Exception:  # noqa: BLE001 - logged; nobody may be left waiting
            self._meter.failed(Work.REPLAYING)
            if self._is_to_be_told():
                _log.exception("rights_not_registered")
        else:
            self._meter.done(Work.REPLAYING)
            return bool(found.waiting)
        return True

    async def round(self) -> list[Replayed]:
        """Register all that waits, in the order in which it was pressed; what cannot ever be is put aside, and what is
        encrypted by another key passed over.

        Nothing, if another process is about it.

        Raises
        ------
        StoreError
            If the database or the disk fails: what is left waits on.
        """
        done: list[Replayed] = []
        self._left_because = ""
        if not await self._journal.disk.run(self._journal.names):
            return done
        async with self._journal.registering() as ours:
            if not ours:
                self._left_because = "another process is registering them"
                return done
            for name in await self._journal.disk.run(self._journal.names):
                try:
                    done.append(Replayed(name, await self._register(name)))
                except AnotherKeyError as error:
                    # what was pressed since then is not to wait for that key
                    self._left_because = str(error)
        return done

    async def _register(self, name: str) -> str | None:
        disk = self._journal.disk
        try:
            pressed = await disk.run(self._journal.read, name)
            reference = await self._calls.replay(pressed)
        except (UnreadableError, RefusedError) as error:
            await self._put_aside(name, str(error))
            return None
        except AnotherKeyError:
            raise
        except (OSError, ConfigError) as error:
            told = why(error) if isinstance(error, OSError) else str(error)
            raise StoreError(f"the local journal cannot be read: {told}") from None
        await disk.run(self._journal.remove, name)
        call, exercise = pressed.call, pressed.exercise
        _log.info(
            "right_registered", call_id=str(call.id), campaign=call.campaign, controller=call.controller,
            legal_basis=call.legal_basis, number=call.number_masked, right=exercise.right.value, reference=reference,
            waited_ms=round((datetime.now(UTC) - exercise.received_at).total_seconds() * 1000),
        )  # fmt: skip
        return reference

    async def _put_aside(self, name: str, reason: str) -> None:
        try:
            await self._journal.disk.run(self._journal.put_aside, name)
        except OSError as error:
            raise StoreError(f"the local journal cannot be written: {why(error)}") from None
        _log.error(
            "right_put_aside",
            record=name,
            reason=reason,
            advice="nobody is called until a person has seen to it",
        )

    async def _tell_why(self, reason: str) -> None:
        try:
            self._tell(await self._journal.unsettled(), reason)
        except StoreError as error:
            if self._is_to_be_told():
                _log.error("local_journal_unreadable", reason=str(error))

    def _tell(self, found: Standing, reason: str) -> None:
        if self._is_to_be_told():
            since = found.since.isoformat() if found.since else None
            _log.warning("rights_wait", waiting=found.waiting, aside=found.aside, since=since, reason=reason)

    def _is_to_be_told(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._told_at:
            return False
        self._told_at = now + TELL_AGAIN_SECONDS
        return True
