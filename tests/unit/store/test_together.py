"""Questions that come at once: each has its own answer, asked for after it came, whichever of them is given up."""

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest

from ccari.errors import StoreError
from ccari.store.together import Together

WITHIN = 10.0


class Server:
    """Answers a question with its double and the number of the round trip. ``hangs``: it waits until this is set;
    ``then``: what happens before anybody is told.
    """

    def __init__(self, most: int = 32) -> None:
        self.asked: list[list[int]] = []
        self.fails = self.forgets = False
        self.then: Callable[[], object] | None = None
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.begun = asyncio.Semaphore(0)
        self.together = Together(self._answer, most)

    async def _answer(self, questions: Sequence[int]) -> Sequence[tuple[int, int]]:
        assert questions, "nothing was asked"
        self.asked.append(list(questions))
        self.begun.release()
        trip = len(self.asked)
        await self.hangs.wait()
        await asyncio.sleep(0)
        if self.fails:
            raise ConnectionError("away")
        if self.then is not None:
            asyncio.get_running_loop().call_soon(self.then)
        return [(2 * each, trip) for each in questions[self.forgets :]]

    def asks(self, *questions: int) -> list[asyncio.Task[tuple[int, int]]]:
        return [asyncio.create_task(self.together.ask(each)) for each in questions]


async def while_one_is_under_way(server: Server, *questions: int) -> list[asyncio.Task[tuple[int, int]]]:
    """The first of them is asked and hangs, and the others wait."""
    server.hangs.clear()
    asking = server.asks(*questions)
    async with asyncio.timeout(WITHIN):
        await server.begun.acquire()
    return asking


async def told(asking: Sequence[asyncio.Task[tuple[int, int]]]) -> list[tuple[int, int] | BaseException]:
    async with asyncio.timeout(WITHIN):
        return await asyncio.gather(*asking, return_exceptions=True)


async def test_those_that_come_meanwhile_are_asked_one_by_one_or_told_anothers_answer() -> None:
    server = Server()
    asking = await while_one_is_under_way(server, 1, 2, 3, 4)
    server.hangs.set()
    assert await told(asking) == [(2, 1), (4, 2), (6, 2), (8, 2)]
    assert await told(server.asks(5)) == [(10, 3)]


async def test_a_question_is_told_what_was_found_before_it_came() -> None:
    """What has barred a number in between would not be seen."""
    server = Server()
    asking = await while_one_is_under_way(server, 1)
    server.hangs.set()
    asking += server.asks(1)
    assert await told(asking) == [(2, 1), (2, 2)]


async def test_more_are_asked_in_one_round_trip_than_may_be() -> None:
    server = Server(most=2)
    asking = await while_one_is_under_way(server, 1, 2, 3, 4, 5, 6)
    server.hangs.set()
    assert await told(asking) == [(2, 1), (4, 2), (6, 2), (8, 3), (10, 3), (12, 4)]


async def test_whoever_gives_up_that_asked_for_others_takes_their_answers_along() -> None:
    server = Server()
    asking = await while_one_is_under_way(server, 1, 2, 3)
    server.hangs.set()
    async with asyncio.timeout(WITHIN):
        await server.begun.acquire()
    server.hangs.clear()
    asking += server.asks(4)
    asking[1].cancel()
    server.hangs.set()
    first, given_up, *others = await told(asking)
    assert isinstance(given_up, asyncio.CancelledError)
    assert [first, *others] == [(2, 1), (6, 3), (8, 3)]
    assert server.asked == [[1], [2, 3], [3, 4]]


async def test_whoever_gives_up_while_it_waits_holds_up_the_others() -> None:
    server = Server()
    asking = await while_one_is_under_way(server, 1, 2, 3)
    asking[1].cancel()
    server.hangs.set()
    first, given_up, last = await told(asking)
    assert isinstance(given_up, asyncio.CancelledError)
    assert (first, last) == ((2, 1), (6, 2))


async def test_whoever_gives_up_in_the_moment_that_its_turn_comes_holds_up_the_others() -> None:
    server = Server()
    asking = await while_one_is_under_way(server, 1, 2, 3)
    server.then = asking[1].cancel
    server.hangs.set()
    first, given_up, last = await told(asking)
    assert isinstance(given_up, asyncio.CancelledError)
    assert (first, last) == ((2, 1), (6, 2))
    assert await told(server.asks(4)) == [(8, 3)]


async def test_a_failure_is_not_told_to_all_or_stays() -> None:
    server = Server()
    asking = await while_one_is_under_way(server, 1, 2, 3)
    server.fails = True
    server.hangs.set()
    assert [type(each) for each in await told(asking)] == [ConnectionError] * 3
    server.fails = False
    assert await told(server.asks(4, 5)) == [(8, 3), (10, 4)]


async def test_whoever_is_told_nothing_waits_for_ever() -> None:
    server = Server()
    asking = await while_one_is_under_way(server, 1, 2, 3)
    server.forgets = True
    server.hangs.set()
    assert [type(each) for each in await told(asking)] == [StoreError] * 3


@pytest.mark.parametrize("seed", range(30))
async def test_in_some_order_of_coming_and_giving_up_somebody_waits_for_ever(seed: int) -> None:
    chance = random.Random(seed)
    server = Server(most=3)
    asking: list[asyncio.Task[tuple[int, int]]] = []
    for question in range(60):
        asking += server.asks(question)
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        if chance.random() < 0.4:
            chance.choice(asking).cancel()
    answers = await told(asking)
    assert [each.cancelled() for each in asking] == [
        isinstance(each, asyncio.CancelledError) for each in answers
    ]
    assert all(isinstance(each, tuple) and each[0] == 2 * n for n, each in enumerate(answers)
               if not asking[n].cancelled())  # fmt: skip
    assert all(asked == sorted(asked) for asked in server.asked)
