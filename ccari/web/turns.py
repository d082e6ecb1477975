"""How many requests there may be, and how many are worked on at a time: none of them keeps a call from the database."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus

from ccari.web.problems import Refusal

#: For the requests before to be done with; after that a caller is told to come again.
TURN_SECONDS = 5.0


class Turns:
    """``async with turns``: one of so many ``at_once``. Refusal (503) if that takes too long."""

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


class Room:
    """``with room``: one of at ``most`` so many. Refusal (503) if it is full."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._here = 0

    def __enter__(self) -> None:
        if self._here >= self._most:
            raise _busy()
        self._here += 1

    def __exit__(self, *_: object) -> None:
        self._here -= 1


class Shares:
    """``with shares.of(whose)``: one of at ``most`` so many, and of at most so many ``of_one``. Refusal (503) if there are no more."""

    def __init__(self, most: int, of_one: int) -> None:
        self._all = Room(most)
        self._of_one = of_one
        self._here: Counter[str] = Counter()

    @contextlib.contextmanager
    def of(self, whose: str) -> Iterator[None]:
        if self._here.get(whose, 0) >= self._of_one:
            raise _busy()
        with self._all:
            self._here[whose] += 1
            try:
                yield
            finally:
                self._here[whose] -= 1
                if not self._here[whose]:
                    del self._here[whose]


def _busy() -> Refusal:
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "there are more requests than can be answered",
        headers={"retry-after": "1"},
    )
