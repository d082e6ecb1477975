"""Restarts what was killed, as systemd does: the service, Asterisk, PostgreSQL."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from ccari.errors import StoreError
from tests.lab import LabError
from tests.soak.account import Exit
from tests.soak.house import House
from tests.soak.watch import Watch

#: systemd's RestartSec.
RESTART_SECONDS = 1.0
LOOK_SECONDS = 0.2
TRY_AGAIN_SECONDS = 0.5


class Supervisor:
    """``restarts`` counts restarts, by name; ``exits`` are the service's."""

    def __init__(self, house: House, watch: Watch) -> None:
        self._house = house
        self._watch = watch
        self._held: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self.exits: list[Exit] = []

    @contextmanager
    def away(self, name: str) -> Iterator[None]:
        """It is not restarted while the context lasts."""
        self._held[name] += 1
        try:
            yield
        finally:
            self._held[name] -= 1

    async def run(self) -> None:
        """Supervise the three until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_service())
            group.create_task(self._keep_asterisk())
            group.create_task(self._keep_database())

    async def _keep_service(self) -> None:
        while True:
            await self._may_run("ccari")
            began = time.time()
            await self._house.service.spawn()
            process = self._house.service.process
            assert process is not None
            status = await process.wait()
            self.exits.append(Exit(began, time.time(), status, served=self._watch.has_served(began)))
            self.restarts["ccari"] += 1
            await asyncio.sleep(RESTART_SECONDS)

    async def _keep_asterisk(self) -> None:
        pbx, world = self._house.lab.pbx, self._house.lab.world
        while True:
            await _until(lambda: not pbx.running)
            # the callers connected to it hear nothing more, and hang up
            with contextlib.suppress(LabError):
                await world.cli("channel request hangup all")
            await self._may_run("asterisk")
            await self._brought_back("asterisk", pbx.start)

    async def _keep_database(self) -> None:
        database = self._house.database
        while True:
            await _until(lambda: not database.running)
            await self._may_run("postgres")
            await self._brought_back("postgres", database.revive)

    async def _brought_back(self, name: str, bring: Callable[[], Awaitable[None]]) -> None:
        try:
            await bring()
            self.restarts[name] += 1
        except (LabError, StoreError, TimeoutError):
            await asyncio.sleep(TRY_AGAIN_SECONDS)

    async def _may_run(self, name: str) -> None:
        await _until(lambda: not self._held[name])


async def _until(ready: Callable[[], bool]) -> None:
    while True:
        if ready():
            return
        await asyncio.sleep(LOOK_SECONDS)
