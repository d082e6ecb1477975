"""What becomes of a right pressed in the keys menu, by a person with or without a known number."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar

import structlog

from ccari.agi.desk import Desk
from ccari.errors import CcariError, StoreError
from ccari.gating.gatekeeper import Gatekeeper
from ccari.gating.journal import Journal
from ccari.gating.means import RequestedCall
from ccari.gating.registering import register
from ccari.gating.terms import Terms
from ccari.policy import confirmations, notices
from ccari.policy.call import Outcome
from ccari.policy.rights import Right

_log = structlog.get_logger()

#: Time-out for writing the row of a call without a number, which its journal needs.
ROW_SECONDS = 3.0
#: Stands for a reference if there is none.
NONE = "none"


@dataclass(frozen=True, slots=True)
class Answer:
    """``reference``: what the dialplan gets with the right; None: it gets neither. ``words``: prompts for the person."""

    reference: str | None
    words: tuple[str, ...]


class Exercising(ABC):
    """One person's rights during one visit to the menu. ``_otherwise``: the reason the call ends with if no
    right was exercised.
    """

    _otherwise: ClassVar[str]

    def __init__(self, desk: Desk, journal: Journal) -> None:
        self._desk = desk
        self._call = journal.call_id
        self._journal = journal
        self._done: list[Right] = []

    @abstractmethod
    async def exercise(self, right: Right, key: str, /) -> Answer:
        """Do what can be done about the right. Raises nothing: if the right cannot be made durable, the answer says so."""

    async def close(self, *, patient: bool) -> None:
        """End the call's row, if it has one. ``patient``: wait for a database that is away; if not, the next
        service ends it.
        """
        if not self._journal.is_open:
            return
        outcome = (Outcome.RIGHT_EXERCISED if self._done else Outcome.FAILED).value
        reason = ",".join(self._done) or self._otherwise
        self._journal.note("call_ended", {"outcome": outcome, "reason": reason})
        store = self._desk.store
        write = self._journal.persistently if patient else self._journal.durably
        with contextlib.suppress(StoreError):
            await write(lambda entries: store.close(self._call, outcome, reason, entries))


class Registering(Exercising):
    """For a person whose number is known: every right is registered under it."""

    _otherwise = "right_failed"

    def __init__(self, desk: Desk, terms: Terms, journal: Journal) -> None:
        super().__init__(desk, journal)
        self._terms = terms

    async def exercise(self, right: Right, key: str, /) -> Answer:
        """Make the right durable, then confirm it. A refusal of recording goes to the dialplan even if that fails."""
        refuses = right is Right.REFUSE_RECORDING
        try:
            reference, due = await self._make_durable(right, key)
        except CcariError as error:
            self._journal.note("right_failed", {"right": right.value})
            _log.error("right_not_registered", call_id=str(self._call), reason=str(error))
            return Answer(NONE if refuses else None, (notices.RIGHT_FAILED,))
        self._done.append(right)
        if reference is None:
            self._journal.note("right_spooled", {"right": right.value})
        else:
            self._journal.note("right_registered", {"right": right.value, "reference": reference})
        words = confirmations.confirmation(right, recorded=False, reference=reference or "", due=due)
        return Answer(reference or NONE, () if refuses else words)

    async def _make_durable(self, right: Right, key: str) -> tuple[str | None, date]:
        """Register the right, with a row for its call. Gives its reference (None: not yet) and the last day to answer."""
        # the dialplan records here, not ccari
        exercise = replace(self._terms.exercise(right, key), recorded_elsewhere=True)
        reference = await register(self._desk.store, self._journal, self._terms.opened, exercise)
        return reference, exercise.due


class Unregistrable(Exercising):
    """For a person without a number: they can refuse recording, but not exercise a right that needs an answer.

    This is as in a call over Stasis, except that the call's row is written only when the first right is pressed.
    """

    _otherwise = "number_withheld"

    def __init__(self, desk: Desk, asked: RequestedCall, journal: Journal) -> None:
        super().__init__(desk, journal)
        self._gatekeeper = Gatekeeper(asked, desk, journal)

    async def exercise(self, right: Right, _key: str, /) -> Answer:
        await self._open()
        self._journal.note("right_unregistrable", {"right": right.value})
        if right is not Right.REFUSE_RECORDING:
            return Answer(None, (notices.NUMBER_WITHHELD,))
        self._done.append(right)
        return Answer(NONE, ())

    async def _open(self) -> None:
        """Write a row for the call. A failure is only logged: a refusal takes effect anyway."""
        if self._journal.is_open:
            return
        try:
            async with asyncio.timeout(ROW_SECONDS):
                await self._gatekeeper.admit()
        except (CcariError, TimeoutError) as error:
            _log.error("call_not_opened", call_id=str(self._call), reason=str(error) or "timeout")
