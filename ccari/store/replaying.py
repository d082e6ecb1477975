"""Registers rights that were pressed while the database was away, exactly once, before another call is allowed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog

from ccari.errors import BarsLostError, ConfigError, RefusedError, StoreError, why
from ccari.policy.call import Direction
from ccari.policy.chain import Entry
from ccari.policy.gate import Block, Facts, Question
from ccari.ports.access import Bearer
from ccari.ports.calls import LeftTalk, OpenedCall
from ccari.ports.keying import Sought
from ccari.ports.lists import Judge
from ccari.ports.metering import UNMETERED, Meter, Work
from ccari.ports.pressed import LocalJournal, Pressed, Standing
from ccari.ports.requests import Exercise
from ccari.store.calls import CallRows, PostgresCallStore
from ccari.store.database import Database
from ccari.store.journals import Journals
from ccari.store.local_journal import REGISTER_SECONDS, LocalJournalFiles
from ccari.store.pressed import AnotherKeyError, UnreadableError

_log = structlog.get_logger()
_T = TypeVar("_T")

#: Seconds for the database to register a right while the person who pressed it waits. With the time that the disk may take after that,
#: the confirmation comes within five seconds.
PRESS_SECONDS = 3.0
#: Between attempts while rights wait.
AGAIN_SECONDS = 1.0
#: Between looks for rights that another process has kept.
LOOK_SECONDS = 10.0
#: Between log lines about the same thing.
LOG_AGAIN_SECONDS = 60.0
_WAITING = "rights that were pressed wait to be registered, and may bar the number to be called"
_ASIDE = (
    "rights that were pressed were put aside, and may bar the number to be called: ccari requests spooled"
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one round did with one right of the local journal. ``reference``: None if it was put aside."""

    name: str
    reference: str | None


class SpoolingCallStore(CallRows):
    """The calls of a node with a local journal. A right goes there if the database does not take it in time (invariant 5), or may be an
    older copy.

    While rights are there nobody is called, since one of them may bar the callee (invariant 1). Nor is anybody called while
    ``refuse_older`` raises StoreError: the database may be an older copy that lacks bars.
    """

    def __init__(
        self,
        database: Database,
        journal: LocalJournal,
        kept: asyncio.Event,
        journals: Journals | None = None,
        refuse_older: Callable[[], None] = lambda: None,
    ) -> None:
        journals = journals or Journals(database)
        super().__init__(database, journals)
        self._calls = PostgresCallStore(database, journals)
        self._journal = journal
        self._kept = kept
        self._refuse_older = refuse_older

    async def open(self, call: OpenedCall, question: Question) -> tuple[Facts, int | None]:
        """As without a local journal, but an outgoing call is refused with StoreError while bars may be missing."""
        if call.direction != Direction.INBOUND:
            await self._refuse_while_bars_lack()
        return await super().open(call, question)

    async def facts(self, question: Question, sought: Sought) -> tuple[Facts, int | None]:
        await self._refuse_while_bars_lack()
        return await super().facts(question, sought)

    async def facts_and_bearer(
        self, question: Question, sought: Sought, sha256: bytes
    ) -> tuple[Facts, int | None, Bearer | None]:
        await self._refuse_while_bars_lack()
        return await super().facts_and_bearer(question, sought, sha256)

    async def spend_token(
        self, call: OpenedCall, question: Question, judge: Judge, journal: Sequence[Entry]
    ) -> Block | None:
        """As without a local journal, but nobody is called while bars may be missing, or if they went missing while the token was spent.

        Raises StoreError in the first case. In the second the token is spent and the journal written, so the answer is a block.
        """
        await self._refuse_while_bars_lack()
        block = await super().spend_token(call, question, judge, journal)
        if block is None:
            # the slow database that spent the token may have taken too long for a right, which was then kept here and confirmed
            try:
                await self._refuse_while_bars_lack()
            except StoreError:
                return Block.STORE_UNAVAILABLE
        return block

    async def left_talks(self, asterisk: str) -> list[LeftTalk]:
        """As without a local journal, but unregistered rights matter: one of them may be a refusal to be recorded, after which the
        recording must not resume (invariant 6).

        Raises StoreError while rights wait, or while it is not known whether the database is an older copy. A right may also lie aside,
        wait for a missing key, or be lost because the database is an older copy. That can last for days, so every talk is then resumed as
        if its callee had refused: it goes on, unrecorded.
        """
        found, lacks_bars = await self._journal.unsettled(), self._lacks_bars()
        # an older database gets none of them until a person has seen to it, which may take hours
        if found.waiting and not lacks_bars and found.waiting > await self._journal.passed_over():
            raise StoreError(_WAITING)
        left = await super().left_talks(asterisk)
        unknown = found.waiting or found.aside or lacks_bars
        return [replace(each, kept={**each.kept, "refused": True}) for each in left] if unknown else left

    async def register_right(
        self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry], *, opens: bool = False
    ) -> str | None:
        try:
            # there it would get a reference that somebody else has been told, and be lost with the copy: it waits, as the replayer says
            self._refuse_older()
            async with asyncio.timeout(PRESS_SECONDS):
                return await self._calls.register_right(call, exercise, journal, opens=opens)
        except RefusedError:
            raise
        except (StoreError, TimeoutError) as error:
            # each single answer may have come in time: the database is slow or far away
            reason = str(error) or f"registering a right took longer than {PRESS_SECONDS:.0f} s"
            _log.warning("database_away", call_id=str(call.id), reason=reason)
        try:
            await self._journal.keep(Pressed(call, exercise, tuple(journal)))
        except (StoreError, ConfigError) as error:
            _log.error("right_not_kept", call_id=str(call.id), right=exercise.right.value, reason=str(error))
            raise
        self._kept.set()
        return None

    def _lacks_bars(self) -> bool:
        """Whether the database lacks bars, or may. Raises StoreError while that is not known yet."""
        try:
            self._refuse_older()
        except BarsLostError:
            return True
        return False

    async def _refuse_while_bars_lack(self) -> None:
        """Raise StoreError while rights wait or lie aside, or the database has lost some. Rights aside count too: somebody may have been
        promised no more calls, and only a person can find out who.
        """
        self._refuse_older()
        found = await self._journal.unsettled()
        if found.waiting or found.aside:
            raise StoreError(_WAITING if found.waiting else _ASIDE)


async def _none_is_newer() -> None:
    """A person who registers them knows which database it is."""


class Replayer:
    """Registers the rights that wait in ``journal``. ``kept`` is set whenever a right is added to it. ``check_newest``: raises StoreError
    or ConfigError if the database is an older copy, or may be one. There a right would get a reference that somebody else has been told,
    and be lost with the copy when the newer database comes back.
    """

    def __init__(
        self, journal: LocalJournalFiles, calls: CallRows, kept: asyncio.Event, meter: Meter = UNMETERED,
        check_newest: Callable[[], Awaitable[None]] = _none_is_newer,
    ) -> None:  # fmt: skip
        self._meter = meter
        self._check_newest = check_newest
        self._journal = journal
        self._calls = calls
        self._kept = kept
        self._log_again_at = 0.0
        self._left_because = ""

    async def run(self) -> None:
        """Register waiting rights until cancelled. A failure is logged and retried: until it succeeds, nobody is called.

        After a cancellation, the next service finds unfinished work again.
        """
        while True:
            left = await self._round_leaves_some()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS if left else LOOK_SECONDS):
                    await self._kept.wait()
            self._kept.clear()

    async def begin(self) -> None:
        """Register what an earlier run has left, before taking the first call."""
        try:
            await self._on_disk(self._journal.tidy)
        except (ConfigError, StoreError, OSError) as error:
            _log.error("local_journal_untidy", reason=_words(error))
        await self._round_leaves_some()

    async def _round_leaves_some(self) -> bool:
        """Do a round; True if rights still wait, or it failed."""
        try:
            await self.round()
            found = await self._journal.unsettled()
            # no reason: a right that waits now was kept during the round, and the next round takes it
            reason = self._left_because if found.waiting else _ASIDE if found.aside else ""
            if reason:
                self._log_waiting(found, reason)
        except StoreError as error:
            self._meter.failed(Work.REPLAYING)
            await self._log_failure(str(error))
        except Exception:  # noqa: BLE001 - logged; nobody may be left waiting
            self._meter.failed(Work.REPLAYING)
            if self._may_log():
                _log.exception("rights_not_registered")
        else:
            self._meter.done(Work.REPLAYING)
            return bool(found.waiting)
        return True

    async def round(self) -> list[Replayed]:
        """Register all waiting rights in the order of their presses. A right that can never be registered is put aside; one encrypted
        with a key that is not here is skipped. Does nothing while another process is registering.

        Raises
        ------
        StoreError
            If the database or the disk fails, or the database is an older copy: what is left waits on.
        """
        done: list[Replayed] = []
        self._left_because = ""
        if not await self._on_disk(self._journal.names):
            return done
        try:
            await self._check_newest()
        except ConfigError as error:
            raise StoreError(str(error)) from None
        async with self._journal.registering() as ours:
            if not ours:
                self._left_because = "another process is registering them"
                return done
            for name in await self._on_disk(self._journal.names):
                try:
                    done.append(Replayed(name, await self._register(name)))
                except AnotherKeyError as error:
                    # later rights must not wait for that key
                    self._left_because = str(error)
        return done

    async def _register(self, name: str) -> str | None:
        try:
            pressed = await self._on_disk(self._journal.read, name)
            reference = await self._calls.replay(pressed)
        except (UnreadableError, RefusedError) as error:
            await self._put_aside(name, str(error))
            return None
        except AnotherKeyError:
            raise
        except (OSError, ConfigError) as error:
            raise StoreError(f"the local journal cannot be read: {_words(error)}") from None
        await self._on_disk(self._journal.remove, name)
        call, exercise = pressed.call, pressed.exercise
        _log.info(
            "right_registered", call_id=str(call.id), campaign=call.campaign, controller=call.controller,
            legal_basis=call.legal_basis, number=call.number_masked, right=exercise.right.value, reference=reference,
            waited_ms=round((datetime.now(UTC) - exercise.received_at).total_seconds() * 1000),
        )  # fmt: skip
        return reference

    async def _put_aside(self, name: str, reason: str) -> None:
        try:
            await self._on_disk(self._journal.put_aside, name)
        except OSError as error:
            raise StoreError(f"the local journal cannot be written: {why(error)}") from None
        _log.error(
            "right_put_aside",
            record=name,
            reason=reason,
            advice="nobody is called until somebody has dealt with it: ccari requests spooled",
        )

    async def _on_disk(self, work: Callable[..., _T], *given: Any) -> _T:
        return await self._journal.disk.within(REGISTER_SECONDS, work, *given)

    async def _log_failure(self, reason: str) -> None:
        try:
            self._log_waiting(await self._journal.unsettled(), reason)
        except StoreError as error:
            if self._may_log():
                _log.error("local_journal_unreadable", reason=str(error))

    def _log_waiting(self, found: Standing, reason: str) -> None:
        if self._may_log():
            since = found.since.isoformat() if found.since else None
            _log.warning("rights_wait", waiting=found.waiting, aside=found.aside, since=since, reason=reason)

    def _may_log(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._log_again_at:
            return False
        self._log_again_at = now + LOG_AGAIN_SECONDS
        return True


def _words(error: Exception) -> str:
    return why(error) if isinstance(error, OSError) else str(error)
