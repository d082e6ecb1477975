"""What a call costs where two pairs of Asterisk and ccari share one PostgreSQL, beside one pair.

    make bench-fleet                (or: python -m tests.bench.fleet --calls 20 --runs 1)

The call is that of ``tests/bench/calls``. One pair, one with twice the calls, two with the same calls between them, and two
with as many each take turns, each run on a fresh database and fresh Asterisks. One with twice the calls has as much to do on
the machine as two with as many each: the difference between them is what sharing costs. Of each: the processor by group of
processes, and what PostgreSQL counts: transactions, log (WAL), rows and bytes on disk. In the first run nobody calls for a
while at its end: what a node takes by being there.
"""

import argparse
import asyncio
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from statistics import median

import asyncpg

from tests.bench.calls.cpu import alone_ms, used_ms
from tests.bench.calls.exchange import BenchPbx, BenchWorld, Wanted
from tests.bench.calls.place import POLICY, Place, place
from tests.bench.home import home
from tests.integration.service import Service
from tests.lab import ending
from tests.lab.errors import LabError
from tests.lab.laboratory import temporary_folder
from tests.lab.pbx import Pbx
from tests.lab.ports import free_port
from tests.lab.root import ensure_root
from tests.lab.waiting import until

#: The number and the rate of the uncounted calls at the beginning.
WARMING, WARMING_RATE = 10, 5.0
SETTLE_SECONDS = 60.0
#: On a machine that others use too.
START_SECONDS = 120.0
#: The sealer, the sweep and the webhooks run once a minute.
IDLE_SECONDS = 65.0
#: How many pairs, and the factor for the rate and the calls.
CASES = {"one": (1, 1), "one-twice": (1, 2), "two-same": (2, 1), "two-each": (2, 2)}
GROUPS = ("asterisk", "controller", "encoders", "postgresql")
_COUNTED = """
    SELECT (SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()) AS transactions,
           pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') / 1024 AS wal_kib,
           (SELECT sum(n_tup_ins) FROM pg_stat_user_tables) AS rows_inserted,
           (SELECT sum(n_tup_upd) FROM pg_stat_user_tables) AS rows_updated,
           (SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables) / 1024 AS disk_kib
"""
_CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True)
class Fleet:
    """``kept``: the folder of all nodes' recordings."""

    place: Place
    database: str
    world: BenchWorld
    pbxs: Sequence[Pbx]
    services: Sequence[Service]
    kept: Path

    def stored(self) -> int:
        return sum(1 for _ in self.kept.glob("acme/*/*.flac.age"))

    def used(self) -> dict[str, float]:
        """Milliseconds of processor time so far, by group."""
        pids = [each.process.pid for each in self.services if each.process is not None]
        # first, so that what it uses between the two readings is not taken for a child's
        alone = sum(map(alone_ms, pids))
        whole = used_ms(*pids)
        return {
            "asterisk": used_ms(*(each.pid for each in self.pbxs)),
            "controller": alone,
            "encoders": whole - alone,
            "postgresql": used_ms(self.place.postmaster),
        }

    async def counted(self) -> dict[str, float]:
        connection = await asyncpg.connect(self.database)
        try:
            # the backends' counters are not published at once
            await asyncio.sleep(1.5)
            (row,) = await connection.fetch(_COUNTED)
            counted = {name: float(value) for name, value in row.items()}
            return {**counted, "connections": float(await connection.fetchval(_CONNECTIONS))}
        finally:
            await connection.close()


@asynccontextmanager
async def fleet(where: Place, size: int) -> AsyncIterator[Fleet]:
    """That many pairs on a new database, with the same keys and the same recordings folder."""
    root, database = await ensure_root(), await where.new_database()
    wanted = Wanted("ccari-outbound", database, where.notice, cdr=False)
    kept = where.new_folder("recordings")
    async with temporary_folder() as directory, AsyncExitStack() as running:
        world = BenchWorld(root, directory)
        pbxs = [
            BenchPbx(wanted, root, directory / str(number), world, where.host_folders)
            for number in range(size)
        ]
        world.pbx_sip_port = pbxs[0].sip_port
        for asterisk in (*pbxs, world):
            running.push_async_callback(asterisk.stop)
        # one after the other: two on one machine that start in the same millisecond would pass for one
        for asterisk in (*pbxs, world):
            await asterisk.start()
        services = [_service(where, each, database, kept, number) for number, each in enumerate(pbxs)]
        first, *others = services
        for arguments in (("policy", "apply", str(POLICY)), ("keys", "init")):
            done = await first.ccari(*arguments)
            if done.code:
                raise RuntimeError(f"ccari {' '.join(arguments)}: {done.err}")
        for each in others:
            shutil.copytree(_keys(first), _keys(each))
        for each in services:
            await each.spawn()
            running.push_async_callback(each.stop)
            await each.logged("asterisk_connected", within=START_SECONDS)
        yield Fleet(where, database, world, pbxs, services, kept)


def _service(where: Place, pbx: Pbx, database: str, kept: Path, number: int) -> Service:
    data = where.new_folder(f"node-{number}")
    return Service(
        {
            "CCARI_DATA_DIR": str(data),
            "CCARI_DATABASE__URL": database,
            "CCARI_ASTERISK__URL": pbx.ari_url,
            "CCARI_ASTERISK__USERNAME": pbx.ari_user,
            "CCARI_ASTERISK__PASSWORD_FILE": str(pbx.ari_password_file),
            "CCARI_ASTERISK__SPOOL": str(pbx.spool),
            "CCARI_RECORDINGS__DIR": str(kept),
            "CCARI_SOUNDS__DIR": str(where.sounds),
            "CCARI_CALLS__DRAIN_SECONDS": "0",
            "CCARI_AGI__LISTEN": f"127.0.0.1:{pbx.agi_port}",
            "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
        },
        data / "ccari.log",
        data / "ccari.err",
        afresh=True,
    )


def _keys(service: Service) -> Path:
    return Path(service.environment["CCARI_DATA_DIR"], "keys")


async def measured(running: Fleet, calls: int, rate: float) -> dict[str, float]:
    """The cost of a call, whichever node makes it."""
    numbers = (f"+48600{serial:06}" for serial in count())
    await _placed(running, numbers, WARMING, WARMING_RATE)
    before, counted = running.used(), await running.counted()
    good = await _placed(running, numbers, calls, rate)
    after, at_end = running.used(), await running.counted()
    found = {name: (after[name] - before[name]) / calls for name in GROUPS}
    found |= {name: (at_end[name] - counted[name]) / calls for name in at_end if name != "connections"}
    return {
        **found, "sum": sum(found[name] for name in GROUPS), "good": good / calls,
        "connections_of_a_node": at_end["connections"] / len(running.services),
    }  # fmt: skip


async def idle(running: Fleet) -> dict[str, float]:
    """What one node uses in a second while nobody calls: milliseconds of processor time, and transactions."""
    before, counted = running.used(), await running.counted()
    await asyncio.sleep(IDLE_SECONDS)
    after, at_end = running.used(), await running.counted()
    seconds = IDLE_SECONDS * len(running.services)
    return {
        "idle_transactions": (at_end["transactions"] - counted["transactions"]) / seconds,
        **{f"idle_{name}": (after[name] - before[name]) / seconds for name in GROUPS},
    }


async def _placed(running: Fleet, numbers: Iterator[str], calls: int, rate: float) -> int:
    """Place calls at an even rate, on the nodes in turn, and wait for the last recording; returns how many were
    answered.
    """
    loop, kept, done = asyncio.get_running_loop(), running.stored(), list[bool]()
    began, pbxs = loop.time(), cycle(running.pbxs)

    async def one(number: str, pbx: Pbx) -> None:
        try:
            call = await running.world.dial(number, pbx=pbx)
            await call.ended()
            done.append(call.answered_at is not None)
        except LabError:
            done.append(False)

    async with asyncio.TaskGroup() as group:
        for index in range(calls):
            await asyncio.sleep(began + index / rate - loop.time())
            group.create_task(one(next(numbers), next(pbxs)))
    try:
        await until(lambda: running.stored() >= kept + calls, within=SETTLE_SECONDS)
    except TimeoutError:
        print(f"{running.stored() - kept} of {calls} recordings were kept", file=sys.stderr)
    return sum(done)


def table(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    cases = list(found)
    names = list(found[cases[0]][0])
    medians = [
        {name: median(each[name] for each in runs if name in each) for name in names}
        for runs in found.values()
    ]
    head = [f"| | {' | '.join(cases)} |", f"|{' --- |' * (len(cases) + 1)}"]
    return "\n".join(
        [*head, *(f"| {name} | {' | '.join(f'{each[name]:.2f}' for each in medians)} |" for name in names)]
    )


async def main(asked: argparse.Namespace) -> int:
    found: dict[str, list[dict[str, float]]] = {each: [] for each in asked.cases}
    with home() as folder:
        async with place(folder) as where:
            for run in range(asked.runs):
                # not always the same one first
                for case in asked.cases if run % 2 == 0 else reversed(asked.cases):
                    size, times = CASES[case]
                    async with fleet(where, size) as running:
                        told = await measured(running, asked.calls * times, asked.rate * times)
                        found[case].append(told | (await idle(running) if run == 0 else {}))
                    words = ", ".join(f"{name} {told[name]:.1f}" for name in (*GROUPS, "sum", "good"))
                    print(f"run {run + 1} of {asked.runs}, {case}: {words}", file=sys.stderr, flush=True)
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / "fleet.json").write_text(json.dumps(found, indent=1) + "\n")
    print(
        f"\nmedians of {asked.runs} runs of {asked.calls} calls at {asked.rate:g}/s; processor in ms a call\n\n{table(found)}"
    )
    return int(any(each["good"] < 1 for runs in found.values() for each in runs))


if __name__ == "__main__":
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--calls", type=int, default=60, help="of one pair in each run")
    options.add_argument("--runs", type=int, default=5, help="of each case")
    options.add_argument("--rate", type=float, default=2.0, help="calls/s of one pair")
    options.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options.add_argument("--folder", type=Path, default=Path("build/bench"))
    sys.exit(ending.run(main(options.parse_args())))
