"""Calls placed at an even rate, and what was observed."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.bench.calls.cpu import alone_ms, used_ms
from tests.bench.calls.exchange import Exchange
from tests.bench.calls.place import Place
from tests.bench.calls.way import Controller
from tests.lab.errors import LabError
from tests.lab.waiting import until

#: Time for the last recording to be stored, and for processes to do their follow-up work.
SETTLE_SECONDS = 30.0

Told = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """One run at one rate. Milliseconds; ``cpu``: for each call, by group of processes; ``kept``: recordings of
    ``calls``.
    """

    calls: int
    good: int
    kept: int
    cpu: dict[str, float]
    notice: list[float]
    agent: list[float]
    log: list[float]


class Groups:
    """The processes of a run, by purpose; ``world`` is the load."""

    def __init__(self, place: Place, exchange: Exchange, controller: Controller) -> None:
        self.pids: Mapping[str, tuple[int, ...]] = {
            "asterisk": (exchange.pbx.pid,),
            "controller": controller.pids,
            "postgresql": (place.postmaster,),
            "world": (exchange.world.pid,),
        }

    def used_ms(self) -> dict[str, float]:
        """The processor time of each so far; ``encoders``: processes that the controller has started."""
        # first, so that what it uses between the two readings is not taken for a child's
        alone = sum(map(alone_ms, self.pids["controller"]))
        used = {name: used_ms(*pids) for name, pids in self.pids.items()}
        return {**used, "controller": alone, "encoders": used["controller"] - alone}


class Traffic:
    """The calls of one laboratory; each has a number of its own."""

    def __init__(self, place: Place, exchange: Exchange, controller: Controller) -> None:
        self._place = place
        self._exchange = exchange
        self._controller = controller
        self._groups = Groups(place, exchange, controller)
        self._numbers = (f"+48600{serial:06}" for serial in itertools.count())

    async def run(self, calls: int, rate: float, told: Told) -> Measured:
        """``rate``: new calls a second."""
        kept, logged = self._controller.kept(), len(self._controller.lags_ms())
        with self._exchange.ear().listening() as ear:
            before = self._groups.used_ms()
            over = await self._place_all(calls, rate, told)
            await self._settled(kept + calls)
            after = self._groups.used_ms()
        cpu = {name: (after[name] - before[name]) / calls for name in after}
        heard = ear.calls.values()
        seconds = self._place.notice_seconds
        notice = [at * 1000 for each in heard if (at := each.silence_before_notice()) is not None]
        agent = [at * 1000 for each in heard if (at := each.silence_before_agent(seconds)) is not None]
        return Measured(
            calls,
            min(over, len(agent)),
            self._controller.kept() - kept,
            cpu,
            notice,
            agent,
            self._controller.lags_ms()[logged:],
        )

    async def _place_all(self, calls: int, rate: float, told: Told) -> int:
        """How many were answered and ended normally."""
        done: list[bool] = []
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def one() -> None:
            try:
                call = await self._exchange.world.dial(next(self._numbers))
                await call.ended()
                done.append(call.answered_at is not None)
            except LabError:
                done.append(False)
            told(f"{len(done)} of {calls} calls")

        async with asyncio.TaskGroup() as group:
            for index in range(calls):
                await asyncio.sleep(began + index / rate - loop.time())
                group.create_task(one())
        return sum(done)

    async def _settled(self, kept: int) -> None:
        try:
            await until(lambda: self._controller.kept() >= kept, within=SETTLE_SECONDS)
        except TimeoutError:
            return
