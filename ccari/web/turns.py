"""Limits how many requests there are, and how many run at a time, so that calls always get database connections."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from weakref import WeakValueDictionary

from ccari.web.problems import Refusal

#: How long to wait for a turn. After that the client is told to try again.
TURN_SECONDS = 5.0


class Turns:
    """``async with turns``: at most ``at_once`` run at a time. Raises Refusal (503) if the wait is too long."""

    def __init__(self, at_once: int) -> None:
        self._working = asyncio.Semaphore(at_once)

    async def __aenter__(self) -> None:
        if not self._working.locked():
            await self._working.acquire()
            return
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._working.acquire()
        except TimeoutError:
            raise _busy() from None

    async def __aexit__(self, *_: object) -> None:
        self._working.release()


class SharedTurns:
    """``async with turns.of(whose)``: like :class:`Turns`, and at most ``of_one`` of the same run at a time."""

    def __init__(self, at_once: int, of_one: int) -> None:
        self._all = Turns(at_once)
        self._of_one = of_one
        #: By whose they are, for as long as somebody has one or waits for one.
        self._own: WeakValueDictionary[str, Turns] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def of(self, whose: str) -> AsyncIterator[None]:
        own = self._own.get(whose)
        if own is None:
            own = self._own[whose] = Turns(self._of_one)
        async with own, self._all:
            yield


class Room:
    """``with room``: at most ``most`` at a time. Raises Refusal (503) at once if it is full."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0

    def __enter__(self) -> None:
        if self._inside >= self._most:
            raise _busy()
        self._inside += 1

    def __exit__(self, *_: object) -> None:
        self._inside -= 1


class Shares:
    """``with shares.of(whose)``: at most ``most`` at a time, and at most ``of_one`` of the same. Raises Refusal (503) at once if there
    are too many.
    """

    def __init__(self, most: int, of_one: int) -> None:
        self._all = Room(most)
        self._of_one = of_one
        self._inside: Counter[bytes | str] = Counter()

    @contextlib.contextmanager
    def of(self, whose: bytes | str) -> Iterator[None]:
        if self._inside.get(whose, 0) >= self._of_one:
            raise _busy()
        with self._all:
            self._inside[whose] += 1
            try:
                yield
            finally:
                self._inside[whose] -= 1
                if not self._inside[whose]:
                    del self._inside[whose]


def _busy() -> Refusal:
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "there are too many requests at present: try again",
        headers={"retry-after": "1"},
    )
