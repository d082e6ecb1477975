"""How many recorded calls there can be at once, by Asterisk's dialplan and by ccari: ``make bench-crowd``.

Agents dial, callees answer, hear the notice, are recorded and connected, and all of them talk on. A step at a time there are more of
them, three new ones a second; each step is held, and measured while nothing begins or ends. A way goes on until a step is not held:

- a call that was placed is not up, or
- of more than one call in twenty a side lacks more than 1 % of its sound: packets that did not come, or so late that a phone
  which has 60 ms in hand was silent.

Something else on the machine may fall into a step: one that is not held is looked at twice more.
Both ways record a call from the notice to its end; at the end all hang up, and recordings are counted.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from statistics import linear_regression

from tests.bench.calls import chart, late
from tests.bench.calls.chart import Panel, Points
from tests.bench.calls.dialplan import Dialplan
from tests.bench.calls.ear import Ear
from tests.bench.calls.exchange import Exchange, exchange
from tests.bench.calls.figures import as_table, quantile
from tests.bench.calls.held import Memory, files, memory, memory_alone, threads
from tests.bench.calls.late import Buckets
from tests.bench.calls.media import in_time, listen
from tests.bench.calls.place import Place, place
from tests.bench.calls.service import Ccari, WithCcari
from tests.bench.calls.traffic import Groups
from tests.bench.calls.way import Controller, NotHereError, Way
from tests.bench.home import home
from tests.lab import ending
from tests.lab.calls import AgentCall
from tests.lab.errors import LabError
from tests.lab.waiting import until

WAYS: dict[str, type[Way]] = {each.name: each for each in (Dialplan, WithCcari)}
#: Nobody hangs up before they are told to.
CALLEE_SECONDS = 4 * 60 * 60.0
#: New calls a second.
RATE = 3.0
#: From the last call of a step to its talk: the notice of a second, and time for slow calls.
CONNECT_SECONDS = 20.0
SETTLE_SECONDS = 3.0
HANG_UP_RATE = 20.0
#: Time for the last recording to be stored.
KEPT_SECONDS = 120.0
#: How often a step is measured, at most, until it is held.
LOOKS = 3
WHOLE_PART, HELD_PART = 0.99, 0.95


@dataclass(frozen=True)
class Lateness:
    """The bounds, in seconds, of the buckets that hold p50 and p99."""

    p50: tuple[float, float]
    p99: tuple[float, float]


@dataclass(frozen=True)
class Step:
    """What was measured while that many calls were ``wanted``.

    ``whole``: calls that lack nothing at either end; ``in_time``: the share of due packets that was in time, at the
    ends and where the pbx hears the telephones. ``cpu``: processors used, by group. Memory of the controller in KiB.
    ``late``: how late its event loop was while the step was held, ``late_growing`` while its new calls began, and
    ``idle`` a process that only slept, by p99. ``load``: of the machine, including anything else that ran on it.
    """

    way: str
    wanted: int
    up: int
    whole: int
    in_time: float
    in_time_before: float
    dropped: int
    cpu: Mapping[str, float]
    asterisk: Memory
    controller: Memory
    files: int
    threads: int
    late: Lateness | None
    late_growing: Lateness | None
    idle: float
    load: float

    @property
    def held(self) -> bool:
        return self.up == self.wanted and self.whole >= HELD_PART * self.wanted


@dataclass(frozen=True)
class Found:
    """``kept``: recordings of ``calls``. ``late_ending``: how late the loop was while they hung up."""

    way: str
    steps: Sequence[Step]
    calls: int
    kept: int
    late_ending: Lateness | None

    @property
    def most(self) -> int:
        """The most calls it holds at once: those of the last step before the first that was not held."""
        return max(
            (each.wanted for each in itertools.takewhile(lambda step: step.held, self.steps)), default=0
        )


class Crowd:
    """The calls of one way; each has a number of its own, and none ends by itself."""

    def __init__(
        self,
        place: Place,
        exchange: Exchange,
        controller: Controller,
        ear: Ear,
        idle: Sequence[float],
        way: str,
    ) -> None:
        self._exchange = exchange
        self._controller = controller
        self._groups = Groups(place, exchange, controller)
        self._ear = ear
        self._idle = idle
        self._way = way
        self._numbers = (f"+48600{serial:06}" for serial in itertools.count())
        self.calls: list[AgentCall] = []

    async def grow(self, calls: int) -> Lateness | None:
        """Place calls until there are that many, and wait until they talk, or should; returns how late the loop was
        meanwhile.
        """
        first = await self._late()
        clock = asyncio.get_running_loop().time
        began = clock()
        for index in range(calls - len(self.calls)):
            await asyncio.sleep(began + index / RATE - clock())
            try:
                self.calls.append(await self._exchange.world.dial(next(self._numbers)))
            except LabError as error:
                print(f"not dialled: {error}", file=sys.stderr)
        with contextlib.suppress(TimeoutError):
            await until(lambda: self._up() >= calls, within=CONNECT_SECONDS)
        grown = _lateness(first, await self._late())
        await asyncio.sleep(SETTLE_SECONDS)
        return grown

    async def hold(self, wanted: int, seconds: float, growing: Lateness | None) -> Step:
        pid = next(iter(self._controller.pids), None)
        # reading a process's memory may delay it: so before and after the measurement, not during it
        first = await self._late()
        before, slept = self._groups.used_ms(), len(self._idle)
        packets = await listen(self._exchange.ports, seconds, max(wanted, 1))
        after = self._groups.used_ms()
        last = await self._late()
        if packets.dropped:
            print(f"not heard for want of room: {packets.dropped} packets", file=sys.stderr)
        heard = in_time(packets, packets.target, seconds)
        # telephones send from the port at which they receive
        said = in_time(packets, packets.source, seconds)
        ends = [self._ends(each, heard) for each in self.calls]
        return Step(
            self._way,
            wanted,
            self._up(),
            sum(min(each) >= WHOLE_PART for each in ends),
            _mean(itertools.chain.from_iterable(ends)),
            _mean(itertools.chain.from_iterable(self._ends(each, said) for each in self.calls)),
            packets.dropped,
            {name: (after[name] - before[name]) / 1000 / seconds for name in after},
            memory(self._exchange.pbx.pid),
            Memory() if pid is None else memory_alone(pid),
            0 if pid is None else files(pid),
            0 if pid is None else threads(pid),
            _lateness(first, last),
            growing,
            quantile(self._idle[slept:], 0.99),
            os.getloadavg()[0],
        )

    async def end(self) -> Lateness | None:
        """All hang up; returns how late the loop was until their recordings were stored."""
        first = await self._late()
        for call in self.calls:
            await self._exchange.world.hang_up(call)
            await asyncio.sleep(1 / HANG_UP_RATE)
        with contextlib.suppress(TimeoutError):
            await until(lambda: self._controller.kept() >= len(self.calls), within=KEPT_SECONDS)
        return _lateness(first, await self._late())

    def _up(self) -> int:
        """How many calls have two answered legs and are not over."""
        return sum(
            call.answered_at is not None and call.ended_at is None and _digits(call) in self._ear.calls
            for call in self.calls
        )

    def _ends(self, call: AgentCall, share: Mapping[int, float]) -> tuple[float, float]:
        """The agent's share and the callee's."""
        callee = self._ear.calls.get(_digits(call))
        agent = self._ear.agents.get(_digits(call))
        return share.get(agent or 0, 0.0), share.get(callee.port, 0.0) if callee else 0.0

    async def _late(self) -> Buckets | None:
        return await late.scrape(self._controller.listens) if isinstance(self._controller, Ccari) else None


def _digits(call: AgentCall) -> str:
    return call.number.removeprefix("+")


def _lateness(first: Buckets | None, last: Buckets | None) -> Lateness | None:
    if first is None or last is None:
        return None
    between = last - first
    middle, most = between.within(0.5), between.within(0.99)
    return Lateness(middle, most) if middle and most else None


def _mean(parts: Iterable[float]) -> float:
    known = list(parts)
    return sum(known) / len(known) if known else 0.0


def per_call(steps: Sequence[Step]) -> tuple[float, float]:
    """KiB for each additional call, of the controller (USS) and of Asterisk (PSS), from a line fitted to the steps that
    were held.
    """
    held = list(itertools.takewhile(lambda step: step.held, steps))
    if len(held) < 2:
        return 0.0, 0.0
    calls = [each.wanted for each in held]
    return (
        linear_regression(calls, [each.controller.uss for each in held]).slope,
        linear_regression(calls, [each.asterisk.pss for each in held]).slope,
    )


def table(found: Sequence[Found]) -> str:
    head = (
        *("way", "at once", "up", "whole", "in time, %", "from telephones, %"),
        *("asterisk", "controller", "postgresql", "world", "asterisk, MB", "ccari, MB", "files", "threads"),
        *("loop late, ms: p50", "p99", "p99 as it grew", "who only sleeps, p99", "load"),
    )
    return as_table(head, [_row(step) for each in found for step in each.steps])


def _row(step: Step) -> tuple[str, ...]:
    return (
        step.way, str(step.wanted), str(step.up), str(step.whole), f"{step.in_time * 100:.1f}", f"{step.in_time_before * 100:.1f}",
        *(f"{step.cpu[name]:.2f}" for name in ("asterisk", "controller", "postgresql", "world")),
        f"{step.asterisk.pss / 1024:.0f}", f"{step.controller.uss / 1024:.1f}" if step.controller.uss else "",
        str(step.files or ""), str(step.threads or ""),
        _p50(step.late), _p99(step.late),
        _p99(step.late_growing), f"{step.idle * 1000:.1f}", f"{step.load:.1f}",
    )  # fmt: skip


def _p50(lateness: Lateness | None) -> str:
    return "" if lateness is None else _bounds(*lateness.p50)


def _p99(lateness: Lateness | None) -> str:
    return "" if lateness is None else _bounds(*lateness.p99)


def _bounds(least: float, most: float) -> str:
    return f"{least * 1000:g} to {most * 1000:g}"


def _late_ms(step: Step) -> float | None:
    """None if it is later than the metric's largest bucket: a chart cannot show that."""
    return step.late.p99[1] * 1000 if step.late and isfinite(step.late.p99[1]) else None


def picture(found: Sequence[Found]) -> str:
    def lines(value: Callable[[Step], float | None], name: str = "") -> dict[str, Points]:
        drawn = {
            f"{each.way}{name}": [(step.wanted, y) for step in each.steps if (y := value(step)) is not None]
            for each in found
        }
        return {way: points for way, points in drawn.items() if points}

    def of_ccari(title: str, value: Callable[[Step], float | None]) -> list[Panel]:
        return [Panel(title, drawn, least=0)] if (drawn := lines(value)) else []

    taken = {
        **lines(lambda step: step.cpu["asterisk"], ": asterisk"),
        **lines(lambda step: step.cpu["world"], ": telephones"),
        **lines(lambda step: step.cpu["controller"] if step.controller.uss else None, ": itself"),
    }
    panels = (
        Panel("calls whole at both ends", lines(lambda step: step.whole), least=0),
        Panel("processors taken", taken, least=0),
        *of_ccari("memory of ccari, MB (USS)", lambda step: step.controller.uss / 1024 or None),
        *of_ccari("ccari's event loop, late by no more than, ms (p99)", _late_ms),
    )
    return chart.svg(panels, "calls at once")


async def _find(way: Way, where: Place, steps: Iterable[int], seconds: float) -> Found:
    wanted = await way.wanted(where)
    taken: list[Step] = []
    async with (
        exchange(wanted, where.host_folders, CALLEE_SECONDS) as running,
        way.controlling(where, running, wanted) as controller,
        late.sleeper() as idle,
    ):
        with running.ear().listening() as ear:
            crowd = Crowd(where, running, controller, ear, idle, way.name)
            for calls in steps:
                growing = await crowd.grow(calls)
                step = await crowd.hold(calls, seconds, growing)
                for _ in range(LOOKS - 1):
                    if step.held:
                        break
                    print(" ".join(_row(step)), "- again", file=sys.stderr, flush=True)
                    step = await crowd.hold(calls, seconds, growing)
                taken.append(step)
                print(" ".join(_row(taken[-1])), file=sys.stderr, flush=True)
                if not taken[-1].held:
                    break
            ending = await crowd.end()
        return Found(way.name, taken, len(crowd.calls), controller.kept(), ending)


async def main(asked: argparse.Namespace) -> int:
    found = []
    with home() as folder:
        print("making the prompts and a PostgreSQL", flush=True)
        async with place(folder) as where:
            for way in (WAYS[name]() for name in asked.ways):
                try:
                    await way.fetch(where)
                except NotHereError as why:
                    print(f"{way.name}: SKIPPED, {why}", flush=True)
                    continue
                steps = range(asked.step, asked.most + 1, asked.step)
                found.append(await _find(way, where, steps, asked.seconds))
    said = "\n".join([table(found), "", *map(_told, found)])
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / "crowd.md").write_text(said + "\n")
    (asked.folder / "crowd.svg").write_text(picture(found))
    (asked.folder / "crowd.json").write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    print(f"\n{said}\n\ntable, picture and figures are in {asked.folder}")
    return int(any(each.kept < each.calls for each in found))


def _told(each: Found) -> str:
    controller, asterisk = per_call(each.steps)
    return (
        f"{each.way}: {each.most} at once; {each.kept} recordings of {each.calls} calls; "
        f"a call more takes {controller:.0f} KiB of the controller and {asterisk:.0f} of Asterisk"
        + (
            f"; while all hung up its loop was late by {_p99(each.late_ending)} ms at p99"
            if each.late_ending
            else ""
        )
    )


if __name__ == "__main__":
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--step", type=int, default=25, help="calls more in each step")
    options.add_argument("--most", type=int, default=400, help="calls at which to stop")
    options.add_argument("--seconds", type=float, default=15.0, help="how long each step is held")
    options.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options.add_argument("--folder", type=Path, default=Path("build/bench"))
    sys.exit(ending.run(main(options.parse_args())))
