"""Shows how a run goes: one line that is updated at a terminal, a line now and then in a log."""

import asyncio
import sys
import time

from tests.soak.checks.violation import Violation
from tests.soak.driver import Driver
from tests.soak.faults import Breaker
from tests.soak.plan import Plan
from tests.soak.watch import Watch

TERMINAL_SECONDS = 0.5
LOG_SECONDS = 30.0


class Progress:
    """``phase``: what the run is doing now."""

    def __init__(self) -> None:
        self.phase = "building"

    def begin(
        self, plan: Plan, driver: Driver, breaker: Breaker, watch: Watch, found: dict[Violation, None]
    ) -> None:
        self._plan, self._driver, self._breaker, self._watch, self._found = (
            plan,
            driver,
            breaker,
            watch,
            found,
        )
        self._began = time.monotonic()
        self.phase = "running"

    async def run(self) -> None:
        """Report until cancelled."""
        terminal = sys.stderr.isatty()
        try:
            while True:
                if terminal:
                    print(f"\r\x1b[K{self.line()}", end="", file=sys.stderr, flush=True)
                else:
                    print(self.line(), file=sys.stderr, flush=True)
                await asyncio.sleep(TERMINAL_SECONDS if terminal else LOG_SECONDS)
        finally:
            if terminal:
                print(file=sys.stderr)

    def line(self) -> str:
        seconds = int(time.monotonic() - self._began)
        whole = int(self._plan.seconds)
        now = ", ".join(self._watch.now) or "nothing broken"
        return (
            f"{seconds // 60:02}:{seconds % 60:02} of {whole // 60:02}:{whole % 60:02} · {self.phase} · "
            f"{self._driver.placed} of {len(self._plan.calls)} calls · {sum(self._breaker.done.values())} of "
            f"{len(self._plan.faults)} faults · {now} · {len(self._found)} violations"
        )
