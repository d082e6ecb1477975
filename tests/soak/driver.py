"""Carries out a plan: places calls, bars numbers and breaks things, each at its time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import aiohttp

from ccari.errors import StoreError
from ccari.keyring.secrets import SecretStore
from ccari.policy.numbers import Number
from ccari.policy.suppression import Reason
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from tests.lab import LabError
from tests.soak.campaigns import CAMPAIGNS
from tests.soak.faults import Breaker
from tests.soak.house import House
from tests.soak.plan import Plan, PlannedBar, PlannedCall

#: A suspended database answers when it is resumed.
BAR_SECONDS = 60.0


class Driver:
    """``placed``, ``refused`` by world, and ``barred``: how much of the plan was carried out."""

    def __init__(self, house: House, breaker: Breaker) -> None:
        self._house = house
        self._breaker = breaker
        self.placed = self.refused = self.barred = 0

    async def run(self, plan: Plan) -> None:
        """Start everything at its time; return when the last fault is over."""
        began = time.monotonic()

        async def later(at: float, what: Callable[[], Awaitable[None]]) -> None:
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            await what()

        async with asyncio.TaskGroup() as group:
            for call in plan.calls:
                group.create_task(later(call.at, partial(self._place, call)))
            for bar in plan.bars:
                if bar.at:
                    group.create_task(later(bar.at, partial(self._bar, bar)))
            for fault in plan.faults:
                group.create_task(later(fault.at, partial(self._breaker.carry_out, fault)))

    async def bar_before(self, plan: Plan) -> None:
        """Enter the bars that exist from the beginning."""
        for bar in plan.bars:
            if not bar.at:
                await self._bar(bar)

    async def _place(self, call: PlannedCall) -> None:
        world = self._house.lab.world
        try:
            if CAMPAIGNS[call.campaign].inbound:
                # the called agent has a name of their own
                agent = f"{call.agent}-{self.placed}"
                await world.call_in(call.number, call.campaign, destination=agent, withheld=call.withheld)
            else:
                await world.dial(call.number, campaign=call.campaign, agent=call.agent)
            self.placed += 1
        except (LabError, aiohttp.ClientError, TimeoutError):
            self.refused += 1

    async def _bar(self, bar: PlannedBar) -> None:
        keyed = SecretStore(self._house.keys).digests(bar.controller, Number(bar.number))
        with contextlib.suppress(StoreError, OSError, TimeoutError):
            async with asyncio.timeout(BAR_SECONDS), _store(self._house.database.dsn) as store:
                await store.suppressions.add(bar.controller, keyed, Reason(bar.reason), "soak", "")
                self.barred += 1


@asynccontextmanager
async def _store(dsn: str) -> AsyncIterator[Store]:
    async with open_database(dsn) as database:
        yield Store(dsn, database)
