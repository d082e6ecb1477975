"""Calls at an even rate for a long time, and whether anything grows with them: ``make bench-endurance``.

Of each ten callees five talk on, one presses a key after which nothing more is recorded, three exercise a right, and one is barred,
so that the gate refuses the call. Every ten seconds it is written down what ccari, PostgreSQL and Asterisk hold. The last two thirds
count: before that caches and pools fill. Ends with status 1 if what ccari has allocated grows, if nothing can be told, or if a call
did not end as it should.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg

from tests.bench.calls import chart
from tests.bench.calls.chart import Panel
from tests.bench.calls.exchange import Exchange, exchange
from tests.bench.calls.held import Memory, files, memory, memory_alone, threads
from tests.bench.calls.place import Place, place
from tests.bench.calls.service import Ccari, WithCcari
from tests.bench.calls.traffic import Groups
from tests.bench.calls.trend import Trend, trend
from tests.bench.home import home
from tests.lab import ending
from tests.lab.errors import LabError
from tests.lab.waiting import until

BETWEEN_SECONDS = 10.0
#: Long enough for the notice, a key, its confirmation, and some talk that is recorded.
CALLEE_SECONDS = 3.0
#: How much of the beginning is left out.
WARMING_PART = 1 / 3
#: KiB a call; slower growth is ignored, because some caches fill slowly. A leaked call takes twenty times as much.
LEAST_GROWTH = 1.0
#: Time for the last calls to be closed, and their recordings stored.
SETTLE_SECONDS = 30.0
BARRED = "+48609999999"
#: What each of ten callees presses, by the digit after +48 60: 0 nothing, 2 no recording, 5, 7 and 8 rights; None is barred.
PRESSED = (0, 2, 0, 5, 0, 8, 0, 7, 0, None)


@dataclass(frozen=True)
class Sample:
    """What was held after ``calls`` calls. ``database``: the bytes of its files."""

    seconds: float
    calls: int
    ccari: Memory
    postgresql: Memory
    asterisk: Memory
    files: int
    threads: int
    database: int


class Endurance:
    def __init__(
        self, place: Place, exchange: Exchange, controller: Ccari, database: str, written: Path
    ) -> None:
        self._exchange = exchange
        self._controller = controller
        self._pids = Groups(place, exchange, controller).pids
        self._database = database
        self._written = written
        self._began = time.monotonic()
        self.placed = 0
        self.over: Counter[str] = Counter()
        self.samples: list[Sample] = []

    async def run(self, seconds: float, rate: float) -> None:
        """``rate``: new calls a second."""
        looking = asyncio.create_task(self._look())
        try:
            async with asyncio.TaskGroup() as calls:
                for index, number in enumerate(_numbers(round(seconds * rate))):
                    await asyncio.sleep(self._began + index / rate - time.monotonic())
                    calls.create_task(self._one(number))
                    self.placed += 1
        finally:
            looking.cancel()
            await asyncio.wait([looking])
        if not looking.cancelled():
            looking.result()

    async def _one(self, number: str) -> None:
        try:
            call = await self._exchange.world.dial(number)
            await call.ended()
        except LabError:
            self.over["lost"] += 1
            return
        self.over["answered" if call.answered_at else "not answered"] += 1

    async def _look(self) -> None:
        connection = await asyncpg.connect(self._database)
        try:
            for index in itertools.count(1):
                await asyncio.sleep(self._began + index * BETWEEN_SECONDS - time.monotonic())
                size = await connection.fetchval("SELECT pg_database_size(current_database())")
                self.samples.append(self._sample(size))
                # each time, so that a run that is stopped after half an hour has a result
                self._written.write_text(json.dumps([asdict(each) for each in self.samples]) + "\n")
                if sys.stderr.isatty():
                    print(f"\r\x1b[K{_line(self.samples[-1])}", end="", file=sys.stderr, flush=True)
        finally:
            await connection.close()

    def _sample(self, database: int) -> Sample:
        (pid,) = self._controller.pids
        return Sample(
            time.monotonic() - self._began,
            self.over.total(),
            # the encoders that it starts come and go
            memory_alone(pid),
            memory(*self._pids["postgresql"]),
            memory(*self._pids["asterisk"]),
            files(pid),
            threads(pid),
            database,
        )


def _numbers(calls: int) -> Iterator[str]:
    for index, pressed in enumerate(itertools.islice(itertools.cycle(PRESSED), calls)):
        yield BARRED if pressed is None else f"+4860{pressed}{index:06}"


def _line(sample: Sample) -> str:
    return (
        f"{sample.seconds / 60:.1f} min, {sample.calls} calls: ccari {sample.ccari.own / 1024:.1f} MB of its own, "
        f"{sample.files} files, {sample.threads} threads"
    )


@dataclass(frozen=True)
class Judged:
    """Growth over the last two thirds, in KiB a call. ``database``: of its files."""

    ccari: Trend
    postgresql: Trend
    asterisk: Trend
    database: Trend
    files: Trend

    @property
    def grows(self) -> bool:
        return self.ccari.least > LEAST_GROWTH

    @property
    def unsure(self) -> bool:
        return not self.grows and self.ccari.most > LEAST_GROWTH

    @property
    def verdict(self) -> str:
        between = f"{self.ccari.least:+.2f} to {self.ccari.most:+.2f} KiB a call"
        if self.grows:
            return f"GROWS: {between}, where {LEAST_GROWTH} is too much"
        return f"CANNOT TELL: {between}; a longer run may" if self.unsure else f"does not grow: {between}"

    def told(self) -> str:
        rows = {
            "ccari, allocated, KiB": self.ccari, "ccari, files and sockets": self.files,
            "postgresql, allocated, KiB": self.postgresql, "asterisk, allocated, KiB": self.asterisk,
            "database on disk, KiB": self.database,
        }  # fmt: skip
        lines = (
            f"| {name} | {each.slope:+.4f} | {each.least:+.4f} | {each.most:+.4f} |"
            for name, each in rows.items()
        )
        return "\n".join(("| | a call, by the line | at least | at most |", "|---|---|---|---|", *lines))


def judged(samples: Sequence[Sample]) -> Judged:
    """Raises ValueError if there are too few."""
    late = steady(samples)
    calls = [float(each.calls) for each in late]
    return Judged(
        trend(calls, [each.ccari.own for each in late]),
        trend(calls, [each.postgresql.own for each in late]),
        trend(calls, [each.asterisk.own for each in late]),
        trend(calls, [each.database / 1024 for each in late]),
        trend(calls, [each.files for each in late]),
    )


def steady(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples that count, without those from the time in which caches and pools filled."""
    since = samples[-1].seconds * WARMING_PART
    return [each for each in samples if each.seconds >= since]


def picture(samples: Sequence[Sample], found: Judged) -> str:
    def over_time(*values: float) -> list[tuple[float, float]]:
        return [(each.seconds / 60, value) for each, value in zip(samples, values, strict=True)]

    late = steady(samples)
    line = [(each.seconds / 60, found.ccari.at(each.calls) / 1024) for each in (late[0], late[-1])]
    panels = (
        Panel(
            "ccari, MB",
            {
                "allocated": over_time(*(each.ccari.own / 1024 for each in samples)),
                "unshared (USS)": over_time(*(each.ccari.uss / 1024 for each in samples)),
                "proportional (PSS)": over_time(*(each.ccari.pss / 1024 for each in samples)),
            },
            {f"{found.ccari.slope:+.2f} KiB a call": line},
        ),
        Panel(
            "ccari",
            {
                "files and sockets": over_time(*(each.files for each in samples)),
                "threads": over_time(*(each.threads for each in samples)),
            },
            least=0,
        ),
        Panel(
            "others, MB (PSS)",
            {
                "PostgreSQL": over_time(*(each.postgresql.pss / 1024 for each in samples)),
                "Asterisk": over_time(*(each.asterisk.pss / 1024 for each in samples)),
            },
            least=0,
        ),
        Panel(
            "PostgreSQL on disk, MB", {"database": over_time(*(each.database / 2**20 for each in samples))}
        ),
    )
    return chart.svg(panels, "minutes")


async def main(asked: argparse.Namespace) -> int:
    asked.folder.mkdir(parents=True, exist_ok=True)
    way = WithCcari()
    with home() as folder:
        print("making the prompts and a PostgreSQL", flush=True)
        async with place(folder) as where:
            wanted = await way.wanted(where)
            async with (
                exchange(wanted, where.host_folders, CALLEE_SECONDS) as running,
                way.controlling(where, running, wanted) as controller,
            ):
                barred = await controller.service.ccari("suppress", "add", BARRED)
                if barred.code:
                    raise RuntimeError(f"ccari suppress add: {barred.err}")
                run = Endurance(where, running, controller, wanted.database, asked.folder / "endurance.json")
                await run.run(asked.minutes * 60, asked.rate)
                with suppress(TimeoutError):
                    await until(
                        lambda: _noted(controller, "call_ended", "outcome").total() >= run.placed,
                        within=SETTLE_SECONDS,
                    )
                outcomes, rights = (
                    _noted(controller, "call_ended", "outcome"),
                    _noted(controller, "right_registered", "right"),
                )
                kept = controller.kept()
    found = judged(run.samples)
    said = (
        f"{run.placed} calls, {asked.rate:g}/s: {_counted(run.over)}; by ccari's log {_counted(outcomes)}; rights: {_counted(rights)}; "
        f"{kept} recordings in their place\n\n"
        f"{_line(run.samples[-1])}\n\n{found.told()}\n\n{found.verdict}"
    )
    (asked.folder / "endurance.md").write_text(said + "\n")
    (asked.folder / "endurance.svg").write_text(picture(run.samples, found))
    print(f"\n{said}\n\ntable, picture and figures are in {asked.folder}")
    return int(found.grows or found.unsure or bool(run.over["lost"]) or outcomes.total() < run.placed)


def _noted(controller: Ccari, event: str, by: str) -> Counter[str]:
    """How often an event happened, according to the log."""
    return Counter(line[by] for line in controller.service.lines() if line["event"] == event)


def _counted(what: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(what.items())) or "none"


if __name__ == "__main__":
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--minutes", type=float, default=30.0, help="2 at least")
    options.add_argument("--rate", type=float, default=2.0, help="new calls a second")
    options.add_argument("--folder", type=Path, default=Path("build/bench"))
    sys.exit(ending.run(main(options.parse_args())))
