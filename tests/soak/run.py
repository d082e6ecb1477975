"""One soak: build, drive, check now and then, let it calm down, check everything."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from ccari.errors import CcariError
from tests.integration.service import Service
from tests.lab import LabError
from tests.soak.account import Account
from tests.soak.checks import violations
from tests.soak.checks.violation import Violation
from tests.soak.driver import Driver
from tests.soak.faults import Breaker
from tests.soak.gather import gather, is_quiet
from tests.soak.house import House, open_house
from tests.soak.plan import Plan
from tests.soak.progress import Progress
from tests.soak.supervisor import Supervisor
from tests.soak.watch import Watch

CHECK_SECONDS = 150.0
#: Time for calls to end, and for files in the spool to be stored: the spool's caretaker looks once a minute.
CALM_SECONDS = 180.0
#: It must stay quiet for this long: a service that has just started takes stock first.
QUIET_SECONDS = 5.0
LOOK_SECONDS = 1.0
START_SECONDS = 30.0
#: Errors that a check during the run may meet.
_AWAY = (
    LabError,
    CcariError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    aiohttp.ClientError,
    OSError,
    TimeoutError,
)


@dataclass(frozen=True)
class Result:
    """``found``: each violation once, including those that only a check during the run has seen."""

    plan: Plan
    account: Account
    found: list[Violation]
    driver: Driver
    breaker: Breaker
    supervisor: Supervisor


async def soak(plan: Plan, progress: Progress, keep: Path) -> Result:
    """Carry out the plan. ``keep``: a folder for all logs and what was heard, without which a violation cannot be
    explained.
    """
    async with open_house() as house:
        try:
            return await _soak(plan, progress, house)
        finally:
            await _end(house.service)
            await asyncio.to_thread(_keep, house, keep)


async def _soak(plan: Plan, progress: Progress, house: House) -> Result:
    watch = Watch(house.lab.pbx.spool, house.service.log)
    supervisor = Supervisor(house, watch)
    breaker = Breaker(house, supervisor, watch)
    driver = Driver(house, breaker)
    found: dict[Violation, None] = {}
    numbers = {each.number for each in plan.calls} | {each.number for each in plan.bars}
    await driver.bar_before(plan)
    async with _beside(watch.run()), _beside(supervisor.run()):
        await house.service.logged("asterisk_connected", within=START_SECONDS)
        progress.begin(plan, driver, breaker, watch, found)
        async with _beside(progress.run()):
            async with _beside(_check_now_and_then(house, watch, supervisor, numbers, found)):
                await driver.run(plan)
            progress.phase = "calming down"
            calm = await _calm(house)
            progress.phase = "checking"
            account = await gather(house, watch, supervisor, numbers, calm=True)
            found |= dict.fromkeys(violations(account))
            if not calm:
                found |= {Violation(0, "it did not calm down", "", f"within {CALM_SECONDS:.0f} s"): None}
    return Result(plan, account, list(found), driver, breaker, supervisor)


async def _end(service: Service) -> None:
    """In order if possible; it may be suspended, if the run was ended in the middle of a fault."""
    process = service.process
    if process is None or process.returncode is not None:
        return
    try:
        await service.stop()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _check_now_and_then(
    house: House,
    watch: Watch,
    supervisor: Supervisor,
    numbers: set[str],
    found: dict[Violation, None],
) -> None:
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        with contextlib.suppress(*_AWAY):
            account = await gather(house, watch, supervisor, numbers, calm=False)
            found |= dict.fromkeys(violations(account))


async def _calm(house: House) -> bool:
    """Wait until nothing happens any more, and stays so."""
    until, since = time.monotonic() + CALM_SECONDS, time.monotonic()
    while time.monotonic() < until:
        quiet = False
        with contextlib.suppress(*_AWAY):
            quiet = await is_quiet(house)
        if not quiet:
            since = time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS:
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the work while the context lasts; if it fails, the context fails at its end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _keep(house: House, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for each in (*house.logs, house.lab.pbx.log, house.lab.world.log):
        if each.exists():
            shutil.copy(each, folder / (f"world-{each.name}" if each == house.lab.world.log else each.name))
    shutil.copytree(house.lab.world.heard, folder / "heard", dirs_exist_ok=True)
