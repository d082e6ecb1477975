"""``/readyz``: open to all, and so not to be a way to take the database's connections from the calls."""

import asyncio
from http import HTTPStatus

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from ccari.web.health import ANSWER_SECONDS, Readiness

SECONDS = 30.0


class Probe:
    """A check that is counted, and that answers ``well`` once it may: at once, or when allowed to."""

    def __init__(self, *, held: bool = False) -> None:
        self.well = True
        self.asked = 0
        self.may = asyncio.Event()
        self.now = 1000.0
        if not held:
            self.may.set()
        self.readiness = Readiness({"database": self._check}, lambda: self.now)

    async def _check(self) -> bool:
        self.asked += 1
        await self.may.wait()
        return self.well

    async def answer(self) -> tuple[int, object]:
        async with asyncio.timeout(SECONDS):
            told = await self.readiness.answer(make_mocked_request("GET", "/readyz"))
        assert isinstance(told.body, bytes)
        return told.status, orjson.loads(told.body)


async def some_steps() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_as_many_ask_at_a_time_each_takes_a_connection() -> None:
    probe = Probe(held=True)
    asking = [asyncio.create_task(probe.answer()) for _ in range(20)]
    await some_steps()
    # however long it takes: it is still the same check that is under way
    probe.now += 10 * ANSWER_SECONDS
    asking.append(asyncio.create_task(probe.answer()))
    await some_steps()
    probe.may.set()
    assert await asyncio.gather(*asking) == [(HTTPStatus.OK, {"database": "ok"})] * 21
    assert probe.asked == 1


async def test_an_answer_is_sought_anew_each_time_or_stands_for_ever() -> None:
    probe = Probe()
    assert (await probe.answer())[0] == HTTPStatus.OK
    probe.well = False
    probe.now += 0.9 * ANSWER_SECONDS
    assert (await probe.answer())[0] == HTTPStatus.OK
    probe.now += 0.2 * ANSWER_SECONDS
    assert await probe.answer() == (HTTPStatus.SERVICE_UNAVAILABLE, {"database": "away"})
    assert probe.asked == 2


async def test_who_leaves_takes_the_answer_from_those_who_wait() -> None:
    probe = Probe(held=True)
    first, second = (asyncio.create_task(probe.answer()) for _ in range(2))
    await some_steps()
    first.cancel()
    await some_steps()
    probe.may.set()
    assert await second == (HTTPStatus.OK, {"database": "ok"})
    assert (first.cancelled(), probe.asked) == (True, 1)


async def test_a_check_outlives_the_service() -> None:
    probe = Probe(held=True)
    asking = asyncio.create_task(probe.answer())
    await some_steps()
    async with asyncio.timeout(SECONDS):
        await probe.readiness.close(web.Application())
        with pytest.raises(asyncio.CancelledError):
            await asking
