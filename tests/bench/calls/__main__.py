"""The same call made in several ways, side by side: what it costs, and how soon people are heard.

    make bench                      (or: python -m tests.bench.calls --calls 20 --runs 1 --ways dialplan ccari)

An agent dials; the callee answers, hears a notice of a second, is recorded, is connected, talks four seconds with media both
ways, and hangs up. The ways take turns, each run with two fresh Asterisks; first slowly, then at about half of what the
machine can carry. Figures are medians over the runs. They are written to a folder, too, as a table and as a picture.
"""

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.calls.dialplan import Dialplan
from tests.bench.calls.exchange import exchange
from tests.bench.calls.figures import GROUPS, figures, table
from tests.bench.calls.messages import Messages, Requests
from tests.bench.calls.node import Node
from tests.bench.calls.place import Place, place
from tests.bench.calls.plot import svg
from tests.bench.calls.service import WithCcari
from tests.bench.calls.shipped import Shipped
from tests.bench.calls.traffic import Measured, Told, Traffic
from tests.bench.calls.way import NotHereError, Way
from tests.bench.home import home
from tests.lab import ending

WAYS: dict[str, type[Way]] = {
    each.name: each for each in (Dialplan, Requests, Messages, Node, Shipped, WithCcari)
}
LOW_RATE = 2.0
#: Uncounted calls at the beginning, while pools fill, files are read and code is compiled.
WARMING, WARMING_RATE = 10, 5.0


class Bench:
    def __init__(self, where: Place, calls: int, runs: int) -> None:
        self._place = where
        self._calls = calls
        self._runs = runs
        self.found: dict[tuple[str, float], list[Measured]] = defaultdict(list)

    async def ways(self, names: Sequence[str]) -> list[Way]:
        """The ways that this machine has; reports why it lacks the others."""
        had = []
        for way in (WAYS[name]() for name in names):
            try:
                await way.fetch(self._place)
            except NotHereError as why:
                print(f"{way.name}: SKIPPED, {why}", flush=True)
            else:
                print(f"{way.name}: {way.does}", flush=True)
                had.append(way)
        return had

    async def run(self, ways: Sequence[Way], half: float | None) -> None:
        """``half``: the higher rate; None to find it in the first run."""
        for number in range(self._runs):
            # not always the same one first
            for way in (*ways[number % len(ways) :], *ways[: number % len(ways)]):
                half = await self._one(f"run {number + 1} of {self._runs}, {way.name}", way, half)

    async def _one(self, name: str, way: Way, half: float | None) -> float:
        wanted = await way.wanted(self._place)
        async with (
            exchange(wanted, self._place.host_folders) as running,
            way.controlling(self._place, running, wanted) as controller,
        ):
            traffic = Traffic(self._place, running, controller)
            await traffic.run(WARMING, WARMING_RATE, _telling(f"{name}, warming up"))
            slowly = await traffic.run(self._calls, LOW_RATE, _telling(f"{name}, {LOW_RATE:g}/s"))
            half = half or _half(slowly)
            fast = await traffic.run(self._calls, half, _telling(f"{name}, {half:g}/s"))
        for rate, measured in ((LOW_RATE, slowly), (half, fast)):
            self.found[way.name, rate].append(measured)
            _tell(
                f"{name}, {rate:g}/s: {measured.good} of {measured.calls} calls whole, {measured.kept} recorded, "
                + ", ".join(f"{group} {measured.cpu[group]:.1f}" for group in GROUPS)
                + " ms a call"
            )
        return half


def _half(slowly: Measured) -> float:
    """Half the calls a second at which the calls and their callers kept all processors busy."""
    return max(1.0, round((os.cpu_count() or 1) * 1000 / sum(slowly.cpu.values()) / 2))


def _telling(name: str) -> Told:
    """A line that is updated at a terminal, otherwise nothing."""

    def tell(done: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{name}: {done}", end="", file=sys.stderr, flush=True)

    return tell


def _tell(line: str) -> None:
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{start}{line}", file=sys.stderr, flush=True)


async def main(asked: argparse.Namespace) -> int:
    with home() as folder:
        print("making the prompts and a PostgreSQL", flush=True)
        async with place(folder) as where:
            bench = Bench(where, asked.calls, asked.runs)
            await bench.run(await bench.ways(asked.ways), asked.rate)
    found = [figures(*key, bench.found[key]) for key in sorted(bench.found, key=lambda key: key[1])]
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / "calls.md").write_text(table(found) + "\n")
    (asked.folder / "calls.svg").write_text(svg(found))
    (asked.folder / "calls.json").write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    print(f"\nmedians of {asked.runs} runs; processor in ms a call; p50 / p99 in ms\n\n{table(found)}\n")
    print(f"table, picture and figures are in {asked.folder}")
    return int(any(each.good < each.calls or each.kept < each.calls for each in found))


if __name__ == "__main__":
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--calls", type=int, default=100, help="of each way at each rate in each run")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument(
        "--rate", type=float, help="the higher rate in calls/s, instead of half of what is possible"
    )
    options.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options.add_argument("--folder", type=Path, default=Path("build/bench"))
    sys.exit(ending.run(main(options.parse_args())))
