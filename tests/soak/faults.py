"""Breaks things, one after the other and sometimes two at once, and restores them."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.integration.service import Process
from tests.lab import LabError
from tests.soak.house import House
from tests.soak.plan import Fault, PlannedFault
from tests.soak.supervisor import Supervisor
from tests.soak.watch import Watch

#: The remaining disk space is filled in pieces of this size.
_LEAST_BYTES = 4096


class Breaker:
    """``done`` counts the faults that happened, by kind."""

    def __init__(self, house: House, supervisor: Supervisor, watch: Watch) -> None:
        self._house = house
        self._supervisor = supervisor
        self._watch = watch
        self.done: Counter[Fault] = Counter()

    async def carry_out(self, fault: PlannedFault) -> None:
        """Break, wait, mend."""
        self.done[fault.kind] += 1
        with self._watch.fault(fault.kind), self._broken(fault):
            await asyncio.sleep(fault.seconds)

    def _broken(self, fault: PlannedFault) -> AbstractContextManager[None]:  # noqa: C901, PLR0912 - one arm a fault
        house = self._house
        match fault.kind:
            case Fault.KILL_CCARI:
                return self._killed("ccari", lambda: self._signal(signal.SIGKILL))
            case Fault.END_CCARI:
                return _between(lambda: self._signal(signal.SIGTERM), lambda: None)
            case Fault.END_CCARI_AT_ONCE:
                return self._told_twice(house.service.process)
            case Fault.STOP_CCARI:
                return self._stopped(house.service.process)
            case Fault.KILL_POSTGRES:
                return self._killed("postgres", house.database.kill)
            case Fault.STOP_POSTGRES:
                return _between(house.database.stop, house.database.go_on)
            case Fault.KILL_ASTERISK:
                return self._killed("asterisk", self._kill_asterisk)
            case Fault.STOP_ASTERISK:
                return self._stopped(house.lab.pbx._process)
            case Fault.CUT_ASTERISK:
                return _between(house.to_asterisk.cut, house.to_asterisk.mend)
            case Fault.STALL_ASTERISK:
                return _between(house.to_asterisk.stall, house.to_asterisk.mend)
            case Fault.CUT_POSTGRES:
                return _between(house.to_database.cut, house.to_database.mend)
            case Fault.STALL_POSTGRES:
                return _between(house.to_database.stall, house.to_database.mend)
            case Fault.FILL_SPOOL:
                return _filled(house.lab.pbx.spool)
            case Fault.FILL_DATA:
                return _filled(house.data)
            case Fault.STEP_CLOCK:
                return self._wrong_clock(fault.by)

    @contextmanager
    def _killed(self, name: str, kill: Callable[[], None]) -> Iterator[None]:
        with self._supervisor.away(name):
            kill()
            yield

    @contextmanager
    def _stopped(self, process: Process | None) -> Iterator[None]:
        _send(process, signal.SIGSTOP)
        try:
            yield
        finally:
            _send(process, signal.SIGCONT)

    @contextmanager
    def _told_twice(self, process: Process | None) -> Iterator[None]:
        _send(process, signal.SIGTERM)
        yield
        # if this one has ended by now, the next was not told to end
        _send(process, signal.SIGTERM)

    def _signal(self, signum: signal.Signals) -> None:
        _send(self._house.service.process, signum)

    def _kill_asterisk(self) -> None:
        _send(self._house.lab.pbx._process, signal.SIGKILL)

    @contextmanager
    def _wrong_clock(self, by: int) -> Iterator[None]:
        clock = self._house.clock
        if clock is None:
            raise LabError("there is no libfaketime here")
        _write_whole(clock, f"{by:+d}\n")
        try:
            yield
        finally:
            _write_whole(clock, "+0\n")


def _send(process: Process | None, signum: signal.Signals) -> None:
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signum)


@contextmanager
def _between(first: Callable[[], None], last: Callable[[], None]) -> Iterator[None]:
    first()
    try:
        yield
    finally:
        last()


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    """Fill all the space there is."""
    filler = folder / "filler"
    try:
        with filler.open("wb") as file, contextlib.suppress(OSError):
            size = 0
            while (left := os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize) >= _LEAST_BYTES:
                os.posix_fallocate(file.fileno(), size, left)
                size += left
        yield
    finally:
        filler.unlink(missing_ok=True)


def _write_whole(path: Path, text: str) -> None:
    """Write at once, so that nobody reads half of it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
