"""Two million bars by ``ccari suppress import``: how fast, in how much memory, and what the gate and a key press feel of it.

    make bench-suppressions            (or: python -m tests.bench.suppressions --rows 100000)

Ends with status 1 if the importing process took more memory than it may, or a line was lost.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles
from uuid import uuid4

from ccari.keyring.secrets import SecretStore
from ccari.policy.numbers import Number
from ccari.policy.suppression import Reason
from ccari.store.embedded import embedded_postgres
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from tests.bench.home import ccari, home
from tests.lab import ending
from tests.unit.store.made import POLICY, call, question

MOST_MEGABYTES = 200
LOOKS = 2000
#: A pause between look-ups while the import runs: as many as a busy centre's calls, not a flood.
BETWEEN_SECONDS = 0.02
#: Mobile prefixes of Poland; each has a million numbers.
PREFIXES = ("+48601", "+48602", "+48603", "+48605", "+48607", "+48691", "+48693", "+48695")


def number(index: int) -> str:
    """The index-th of the list: all different, and distributed over the prefixes."""
    return f"{PREFIXES[index % len(PREFIXES)]}{index // len(PREFIXES):06}"


@dataclass
class Bench:
    store: Store
    secrets: SecretStore
    rows: int
    times: dict[str, list[float]] = field(default_factory=dict)

    async def gate(self, when: str) -> None:
        """One look-up by the gate; every second number is on the list, or will be."""
        wanted = Number(number(random.randrange(2 * self.rows)))
        asked = replace(call(), id=uuid4(), keyed=self.secrets.digests("acme", wanted))
        await self._timed(f"gate, {when}", self.store.calls.open(asked, question(asked)))

    async def press(self, when: str) -> None:
        """A bar of the kind that a key press enters, for a number on the list."""
        digests = self.secrets.digests("acme", Number(number(random.randrange(self.rows))))
        await self._timed(
            f"bar, {when}", self.store.suppressions.add("acme", digests, Reason.DO_NOT_CALL, "bench", "")
        )

    async def _timed(self, what: str, work: Awaitable[object]) -> None:
        began = time.perf_counter()
        await work
        self.times.setdefault(what, []).append(time.perf_counter() - began)


async def bench(home: Path, rows: int) -> int:
    environment = {**os.environ, "CCARI_DATA_DIR": str(home / "data"), "CCARI_KEYS__DIR": str(home / "keys")}
    (home / "policy.toml").write_text(POLICY)
    async with embedded_postgres(home / "data") as dsn, open_database(dsn) as database:
        for command in (["policy", "apply", str(home / "policy.toml")], ["keys", "init"]):
            await ccari(environment, *command)
        measured = Bench(Store(dsn, database), SecretStore(home / "keys"), rows)
        for _ in range(LOOKS):
            await measured.gate("before")
        with (home / "list.csv").open("w") as file:
            file.writelines(f"{number(index)}\n" for index in range(rows))
        began = time.perf_counter()
        async with _meanwhile(lambda: measured.gate("meanwhile"), lambda: measured.press("meanwhile")):
            report, megabytes = await ccari(
                environment, "suppress", "import", str(home / "list.csv"), "--json"
            )
        took = time.perf_counter() - began
        for _ in range(LOOKS):
            await measured.gate("after")
        kept, table, indexes = (
            await database.rows(
                "SELECT count(*), pg_table_size('suppressions'), pg_indexes_size('suppressions') FROM suppressions"
            )
        )[0].values()
    told = json.loads(report)
    print(
        f"{rows} lines in {took:.1f} s: {rows / took:.0f} rows/s; {told['accepted']} accepted, {told['invalid']} invalid"
    )
    print(f"peak memory of the importing process: {megabytes:.0f} MB")
    print(f"table {table / 1e6:.0f} MB, indexes {indexes / 1e6:.0f} MB")
    for what, times in measured.times.items():
        cuts = quantiles(times, n=100)
        print(
            f"{what}: p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms, most {max(times) * 1e3:.0f} ms of {len(times)}"
        )
    return 0 if kept == rows and not told["invalid"] and megabytes < MOST_MEGABYTES else 1


@contextlib.asynccontextmanager
async def _meanwhile(*steps: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    async def go_on() -> None:
        while True:
            for step in steps:
                await step()
            await asyncio.sleep(BETWEEN_SECONDS)

    going = asyncio.create_task(go_on())
    try:
        yield
    finally:
        going.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await going


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=2_000_000)
    with home() as where:
        sys.exit(ending.run(bench(where, options.parse_args().rows)))
