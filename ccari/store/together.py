"""Batches concurrent questions to the database into one round trip."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from ccari.errors import StoreError

_Q = TypeVar("_Q")
_A = TypeVar("_A")

#: Questions per round trip: as many as dialler gates run at a time (``ccari/web/endpoint.py``).
MOST_TOGETHER = 32
#: Sent to the first waiter in place of an answer: its task now asks for all who wait.
_YOUR_TURN = object()


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class Together(Generic[_Q, _A]):
    """``await together.ask(question)``: one round trip runs at a time; questions that come meanwhile share the next.

    A question that comes while none runs is asked at once. ``ask`` gets at most ``most`` questions and returns their answers in order;
    its exception is raised to all who asked. A round trip runs in the task of one of the callers, so no separate task can be left behind.
    """

    def __init__(
        self, ask: Callable[[Sequence[_Q]], Awaitable[Sequence[_A]]], most: int = MOST_TOGETHER
    ) -> None:
        self._ask = ask
        self._most = most
        self._under_way = False
        self._waiting = deque[tuple[_Q, asyncio.Future[object]]]()

    async def ask(self, question: _Q) -> _A:
        """The answer. Raises what the round trip raises."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._under_way:
            try:
                outcome = await answer
            except asyncio.CancelledError:
                if not answer.cancelled() and answer.result() is _YOUR_TURN:
                    self._waiting.popleft()
                    self._pass_on()
                raise
            if isinstance(outcome, _Failed):
                raise outcome.error
            if outcome is not _YOUR_TURN:
                return cast("_A", outcome)
        self._under_way = True
        try:
            return await self._ask_for_all()
        finally:
            self._pass_on()

    async def _ask_for_all(self) -> _A:
        """Ask for the first waiter and those behind it. Returns the first one's answer; the others get theirs through their futures."""
        asked = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))]
        others = [answer for _, answer in asked[1:]]
        try:
            answers = await self._answers([question for question, _ in asked])
        except asyncio.CancelledError:
            # only this caller was cancelled: the others return to the head of the queue
            self._waiting.extendleft(reversed(asked[1:]))
            raise
        except Exception as error:
            _resolve(others, [_Failed(error)] * len(others))
            raise
        _resolve(others, answers[1:])
        return answers[0]

    async def _answers(self, questions: Sequence[_Q]) -> Sequence[_A]:
        answers = await self._ask(questions)
        if len(answers) != len(questions):
            raise StoreError(f"the database gave {len(answers)} answers to {len(questions)} questions")
        return answers

    def _pass_on(self) -> None:
        while self._waiting and self._waiting[0][1].cancelled():
            self._waiting.popleft()
        if self._waiting:
            self._waiting[0][1].set_result(_YOUR_TURN)
        else:
            self._under_way = False


def _resolve(waiting: Sequence[asyncio.Future[object]], outcomes: Sequence[object]) -> None:
    for future, outcome in zip(waiting, outcomes, strict=True):
        if not future.cancelled():
            future.set_result(outcome)
