"""The gate before fifty million bars: how long a decision takes, how many a core makes, and how fast a list is scrubbed.

    make bench-gate            (or: python -m tests.bench.gate --rows 1000000 --contacts 100000)

Forms that are compared alternate, some seconds each. See docs/performance.md for the figures.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
import uvloop

from ccari import log
from ccari.agi.desk import Desk
from ccari.config import KeysSection, Settings
from ccari.errors import StoreError
from ccari.gating.gatekeeper import Gatekeeper
from ccari.gating.inquiry import FactStore, Inquiry
from ccari.gating.journal import Journal
from ccari.gating.means import RequestedCall
from ccari.keyring.secrets import SecretStore
from ccari.policy.call import Direction
from ccari.ports.calls import CallStore
from ccari.sounds.prompter import open_prompter
from ccari.store.database import Database
from ccari.store.embedded import embedded_postgres
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.replaying import SpoolingCallStore
from tests.bench.callers import AT_ONCE, Caller
from tests.bench.full import fill
from tests.bench.home import ccari, home
from tests.bench.suppressions import number
from tests.lab import ending
from tests.unit.store.made import POLICY

CONTROLLER, CAMPAIGN = "acme", "renewals"
#: One in so many of the numbers asked about is barred.
BARRED_IN = 10
#: Numbers asked about: a dialler's list.
ASKED = 1_000_000
RATE = 500
HOST, HTTP_PORT, AGI_PORT = "127.0.0.1", 18090, 14573
#: Time for the service to answer.
START_SECONDS = 60.0
PARTS = (0.5, 0.99, 0.999)


@dataclass
class Spent:
    """The cost of one form: seconds for each decision, by round; the processor time of them all; and the duration."""

    times: list[list[float]] = field(default_factory=list)
    cpu: float = 0.0
    wall: float = 0.0
    allowed: int = 0
    late: int = 0


@dataclass(frozen=True)
class Bench:
    folder: Path
    settings: Settings
    seconds: float
    rounds: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ, "CCARI_DATA_DIR": str(self.settings.data_dir), "CCARI_KEYS__DIR": str(self.settings.keys_dir),
            "CCARI_HTTP__LISTEN": f"{HOST}:{HTTP_PORT}", "CCARI_AGI__LISTEN": f"{HOST}:{AGI_PORT}",
            "CCARI_HTTP__GATE_PER_MINUTE": "1000000", "CCARI_ASTERISK__PASSWORD": "none",
            "CCARI_ASTERISK__URL": "http://127.0.0.1:9",
        }  # fmt: skip

    async def prepare(self) -> None:
        """Create a policy and its keys, and bar a tenth of the dialler's list by an import, as people do."""
        barred = self.folder / "barred.csv"
        if barred.exists():
            return
        (self.folder / "policy.toml").write_text(POLICY)
        await ccari(self.environment, "policy", "apply", str(self.folder / "policy.toml"))
        await ccari(self.environment, "keys", "init")
        await ccari(self.environment, "sounds", "build")
        barred.write_text("".join(f"{number(index)}\n" for index in range(0, ASKED, BARRED_IN)))
        told, _ = await ccari(self.environment, "suppress", "import", str(barred), "--json")
        print(f"{json.loads(told)['accepted']} numbers barred by an import")

    async def decisions(self, store: Store) -> None:
        """At a steady rate, in this process, with and without reading the local journal."""
        secrets = await store.key_versions.vouch(SecretStore(self.settings.keys_dir))
        prompts, book = open_prompter(self.settings), Book(store.policies)
        await book.reload()
        waiting = LocalJournalFiles.of(self.settings)
        await asyncio.to_thread(waiting.tidy)
        kept = SpoolingCallStore(store.database, waiting, asyncio.Event())

        def check(calls: FactStore) -> Callable[[], Awaitable[bool]]:
            async def once() -> bool:
                told = await Inquiry(book, calls, secrets, prompts).answer(_any_number(), CAMPAIGN)
                return bool(told["verdict"] == "allow")

            return once

        def ask(calls: CallStore) -> Callable[[], Awaitable[bool]]:
            means = Desk("bench", calls, secrets, book, prompts)

            async def once() -> bool:
                asked = RequestedCall(Direction.OUTBOUND, _any_number(), CAMPAIGN, "anna")
                return not isinstance(await Gatekeeper(asked, means, Journal(uuid4(), "anna")).ask(), str)

            return once

        async def look() -> bool:
            return not (await waiting.unsettled()).waiting

        forms = {
            "check": check(kept), "check, no look": check(store.calls),
            "ask (with the call's row)": ask(kept), "ask, no look": ask(store.calls), "the look alone": look,
        }  # fmt: skip
        await _in_turn(
            self.rounds,
            {name: self._steadily(decide) for name, decide in forms.items()},
            f"{RATE} decisions/s",
        )

    def _steadily(self, decide: Callable[[], Awaitable[bool]]) -> Callable[[Spent], Awaitable[None]]:
        async def one(spent: Spent) -> None:
            began = time.perf_counter()
            try:
                allowed = await decide()
                spent.allowed += allowed
            except StoreError:
                # the gate fails closed if the machine cannot keep up
                spent.late += 1
            spent.times[-1].append(time.perf_counter() - began)

        async def go(spent: Spent) -> None:
            spent.times.append([])
            began, cpu = time.perf_counter(), time.process_time()
            async with asyncio.TaskGroup() as tasks:
                for place in range(int(self.seconds * RATE)):
                    if (early := began + place / RATE - time.perf_counter()) > 0:
                        await asyncio.sleep(early)
                    tasks.create_task(one(spent))
            spent.cpu += time.process_time() - cpu
            spent.wall += time.perf_counter() - began

        return go

    async def service(self, core: int) -> None:
        """Over its sockets, as fast as one core of the service answers; for comparison, requests that ask nothing."""
        token = (await ccari(self.environment, "token", "create", "--role", "dialer"))[0].split()[-1]
        async with self._served(core) as pid:
            http, agi = (Caller(HOST, port, CAMPAIGN, _any_number) for port in (HTTP_PORT, AGI_PORT))
            ways = {
                "POST /v1/gate": (http, http.http(token)), "GET /healthz": (http, http.floor()),
                "FastAGI gate": (agi, agi.fastagi()), "FastAGI alive": (agi, agi.fastagi("alive")),
            }  # fmt: skip

            def asking(
                caller: Caller, one: Callable[..., Awaitable[None]]
            ) -> Callable[[Spent], Awaitable[None]]:
                async def go(spent: Spent) -> None:
                    began, cpu = time.perf_counter(), _processor(pid)
                    asked = await caller.for_seconds(self.seconds, one)  # type: ignore[arg-type]
                    spent.cpu += _processor(pid) - cpu
                    spent.wall += time.perf_counter() - began
                    spent.times.append(asked.times)
                    spent.allowed += asked.allowed

                return go

            forms = {name: asking(*way) for name, way in ways.items()}
            await _in_turn(self.rounds, forms, f"the service on core {core}, {AT_ONCE} at once")

    @contextlib.asynccontextmanager
    async def _served(self, core: int) -> AsyncIterator[int]:
        """The process of a service on one core, without an Asterisk."""
        with (self.folder / "service.log").open("w") as logged:
            process = await asyncio.create_subprocess_exec(
                "taskset", "-c", str(core), sys.executable, "-m", "ccari", "serve",
                env=self.environment, stdout=logged, stderr=logged,
            )  # fmt: skip
            try:
                async with asyncio.timeout(START_SECONDS):
                    await _answers(AGI_PORT)
                    await _answers(HTTP_PORT)
                yield process.pid
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()

    async def scrub(self, contacts: int) -> None:
        listed, rest = self.folder / "contacts.csv", self.folder / "left.csv"
        with listed.open("w") as file:
            file.writelines(f"{number(index)}\n" for index in random.sample(range(ASKED * 4), contacts))
        began, before = time.perf_counter(), _of_children()
        told, megabytes = await ccari(
            self.environment, "contacts", "scrub", str(listed), "--campaign", CAMPAIGN, "--out", str(rest), "--json"
        )  # fmt: skip
        took, cpu, left = time.perf_counter() - began, _of_children() - before, json.loads(told)
        print(
            f"scrub: {left['lines']} contacts in {took:.1f} s, {contacts / took:.0f}/s, {left['kept']} kept; "
            f"of the command {cpu:.1f} s of the processor and {megabytes:.0f} MB"
        )


def _of_children() -> float:
    """The processor seconds of ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _any_number() -> str:
    return number(random.randrange(ASKED))


async def _answers(port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return
        await asyncio.sleep(0.1)


def _processor(pid: int) -> float:
    """The processor seconds of a process."""
    told = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


async def _in_turn(rounds: int, forms: Mapping[str, Callable[[Spent], Awaitable[None]]], what: str) -> None:
    spent = {name: Spent() for name in forms}
    for go in forms.values():
        # what is created only once is created before counting begins
        await go(Spent())
    for done in range(rounds):
        for name, go in forms.items():
            await go(spent[name])
        print(f"\rround {done + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\n{what}; {os.cpu_count()} cores, load {load}")
    heads = "".join(
        f"{each:>10}"
        for each in ("p50 ms", "p99 ms", "p99.9 ms", "best p99", "CPU ms", "a second", "allowed", "late")
    )
    print(f"{'':28}{heads}   (the rounds' median)")
    for name, each in spent.items():
        rounds_ms = np.array([np.quantile(times, PARTS) for times in each.times]) * 1000
        cuts = "".join(f"{cut:10.2f}" for cut in (*np.median(rounds_ms, axis=0), rounds_ms[:, 1].min()))
        count = sum(map(len, each.times))
        print(
            f"{name:28}{cuts}{each.cpu / count * 1000:10.3f}{count / each.wall:10.0f}{each.allowed / count:10.2f}{each.late:10}",
            flush=True,
        )


_SIZES = """
SELECT 'table' AS what, pg_table_size('suppressions') AS bytes
UNION ALL SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = 'suppressions'::regclass
UNION ALL SELECT 'in all', pg_total_relation_size('suppressions')
"""


async def warm(data_dir: Path, database: Database) -> None:
    """Read everything that a look-up needs, the index, into the machine's memory, as after a day of calls."""
    (index,) = await database.rows("SELECT pg_relation_filepath('suppressions_one_each') AS path")

    def read() -> int:
        first = data_dir / "postgresql" / "cluster" / index["path"]
        return sum(len(piece) for each in first.parent.glob(f"{first.name}*") for piece in _pieces(each))

    began = time.perf_counter()
    print(
        f"{await asyncio.to_thread(read) / 1e6:.0f} MB of the index read in {time.perf_counter() - began:.0f} s"
    )


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            yield piece


async def sizes(database: Database, rows: int) -> None:
    for each in await database.rows(_SIZES):
        megabytes = each["bytes"] / 1e6
        print(f"{each['what']:28}{megabytes:9.0f} MB{megabytes / rows * 1e6:9.1f} MB per million")
    (buffers,) = await database.rows("SELECT current_setting('shared_buffers') AS given")
    print(f"shared_buffers {buffers['given']}")


@contextlib.contextmanager
def _at(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with home() as made:
            yield made
        return
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    yield folder


async def bench(folder: Path, options: argparse.Namespace) -> None:
    settings = Settings(data_dir=folder / "data", keys=KeysSection(dir=folder / "keys"))
    measured = Bench(folder, settings, options.seconds, options.rounds)
    await fill(settings.data_dir, CONTROLLER, options.rows)
    async with embedded_postgres(settings.data_dir) as dsn, open_database(dsn) as database:
        await measured.prepare()
        await sizes(database, options.rows + ASKED // BARRED_IN)
        await warm(settings.data_dir, database)
        if "decisions" in options.only:
            await measured.decisions(Store(dsn, database))
        if "service" in options.only:
            await measured.service(options.core)
        if "scrub" in options.only:
            await measured.scrub(options.contacts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=4, help="of each form in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=(os.cpu_count() or 1) - 1, help="the service's own")
    parser.add_argument("--home", type=Path, help="a folder that stays, and is filled once")
    parser.add_argument(
        "--only",
        nargs="+",
        default=["decisions", "service", "scrub"],
        choices=["decisions", "service", "scrub"],
    )
    options = parser.parse_args()
    with _at(options.home) as folder, Path(os.devnull).open("w") as nowhere:
        # logs of a decision are rendered, as in the service
        log.configure("json", "info", nowhere)
        ending.run(bench(folder, options), uvloop.run)


if __name__ == "__main__":
    main()
