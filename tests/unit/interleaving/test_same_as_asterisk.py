"""What the simulated Asterisk does: the same as a real one (``tests/integration/test_same_as_simulated.py``), whatever times it takes."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from ccari.calls.ari import Ari
from ccari.calls.transport import Credentials, Transport
from tests.unit.interleaving.asterisk import STAYS, Asterisk, Channel, Operations
from tests.unit.interleaving.contract import (
    APP,
    HANDED_OVER,
    LENGTHS,
    STORIES,
    Far,
    Story,
    a_lost_connection_loses_events_and_nothing_else,
    play,
)
from tests.unit.interleaving.loop import SimulatedLoop
from tests.unit.interleaving.plan import Plan

#: In how many other times each story is played.
SEEDS = 20
_CAUSES = {Far.BUSY: 17, Far.DECLINES: 21, Far.UNKNOWN: 1}


class _Telephones(Asterisk):
    """With telephones that do what their number says."""

    def ring(self, channel: Channel) -> None:
        far = Far(channel.made_as.partition("@")[2])
        match far:
            case Far.BUSY | Far.DECLINES | Far.UNKNOWN:
                self.hang_up(channel, _CAUSES[far])
            case Far.RINGS:
                super().ring(channel)
            case Far.RINGS_AND_ANSWERS:
                super().ring(channel)
                self._later(0.5, self.up, channel)
            case Far.ANSWERS:
                self.up(channel)
            case Far.HOLDS:
                self.up(channel)
                for seconds in (0.5, 1.5):
                    self._later(seconds, self.hold, channel)

    def up(self, channel: Channel) -> None:
        super().up(channel)
        if channel.made_as == "PJSIP/anna" and channel.variables.get("transfers"):
            self._later(1.0, self.refer, channel, "1002")


class _Caller:
    def __init__(self, asterisk: Asterisk, channel: Channel) -> None:
        self._asterisk = asterisk
        self._channel = channel

    async def hang_up(self) -> None:
        self._asterisk.hang_up(self._channel)

    async def press(self, key: str) -> None:
        self._asterisk.press(self._channel, key)

    async def refused(self) -> bool:
        while self._channel.id in self._asterisk.channels:  # noqa: ASYNC110 - it takes no time
            await asyncio.sleep(0.1)
        return self._channel.state != "Up"


class _World:
    context = STAYS

    def __init__(self, asterisk: Asterisk) -> None:
        self._asterisk = asterisk
        self._called = 0

    def endpoint(self, far: Far) -> str:
        self._called += 1
        return f"PJSIP/{self._called}@{far}"

    def _there(self, endpoint: str) -> Channel:
        return next(each for each in self._asterisk.channels.values() if each.made_as == endpoint)

    async def hang_up(self, endpoint: str) -> None:
        self._asterisk.hang_up(self._there(endpoint))

    async def press(self, endpoint: str, key: str, _: str) -> None:
        self._asterisk.press(self._there(endpoint), key)

    async def call_in(self, campaign: str, *, transfers: bool = False) -> _Caller:
        self._called += 1
        name = f"phone-{self._called}"
        self._asterisk.dial_in(name, ["inbound", campaign], {"transfers": "yes"} if transfers else {})
        return _Caller(self._asterisk, self._asterisk.channels[name])

    def media(self, prompt: str) -> str:
        return f"sound:{prompt}"

    @contextlib.asynccontextmanager
    async def connected(
        self, app: str, on_event: Callable[[dict[str, Any]], None]
    ) -> AsyncIterator[tuple[Ari, Transport]]:
        # it knows one application only
        line = self._asterisk.connect()
        reading = asyncio.create_task(line.read(on_event))
        try:
            yield Ari(Operations(line), line, Credentials("http://pbx", "ccari", "secret", APP)), line
        finally:
            self._asterisk.lose()
            await reading

    async def rest(self) -> None:
        await asyncio.sleep(1.0)


def _play(story: Callable[[_World], Coroutine[Any, Any, None]], seed: int | None) -> None:
    jitter = None if seed is None else random.Random(f"times {seed}")
    loop = SimulatedLoop()

    async def run() -> None:
        asterisk = _Telephones(loop, Plan(), lambda *_: None, lambda _: None, jitter)
        asterisk.lengths = dict(LENGTHS)
        try:
            await story(_World(asterisk))
        finally:
            await asterisk.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("story", [*STORIES, *HANDED_OVER], ids=lambda each: each.__name__)
def test_the_simulated_asterisk_does_something_else(story: Story) -> None:
    for seed in (None, *range(SEEDS)):
        _play(partial(play, story), seed)


def test_the_simulated_asterisk_loses_something_else_with_its_connection() -> None:
    for seed in (None, *range(SEEDS)):
        _play(a_lost_connection_loses_events_and_nothing_else, seed)
