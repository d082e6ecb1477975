"""A hundred thousand recordings with files, most of them due: how fast they go, what calls feel of it, and that every hold is kept.
Then two million contacts and a million consents: see :mod:`tests.bench.limits`.

    make bench-retention            (or: python -m tests.bench.retention --rows 10000 --contacts 20000 --consents 10000)

Ends with status 1 if a recording, contact or consent met another fate than the law has for it, or a journal is not whole.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID, uuid4

from ccari import log
from ccari.policy import chain
from ccari.policy.numbers import Number
from ccari.policy.rights import Level, RequestState, Right
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.requests import Clock, Handling
from ccari.recordings import housekeeping
from ccari.recordings.housekeeping import Housekeeper
from ccari.store.database import Database
from ccari.store.embedded import embedded_postgres
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from tests.bench import limits
from tests.bench.home import home
from tests.lab import ending
from tests.unit.store import made

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
#: Encrypted speech of a few seconds; unlinking a longer file takes little longer.
FILE = bytes(8192)
#: Recordings of one number, in as many calls.
OF_A_NUMBER = 5
WROTE = 5000
QUIET_SECONDS = 10.0
BETWEEN_SECONDS = 0.02
LAG_SECONDS = 0.005

#: What is special about a number, by its index in each hundred, and what happens to its recordings that are due, and to
#: those that are not. Of all others, the due ones are deleted for their time limit, and the rest stay.
SPECIAL: dict[int, tuple[str, str, str]] = {
    0: ("access asked for", "stored", "stored"),
    1: ("restriction asked for", "stored", "stored"),
    2: ("legal hold on the number", "stored", "stored"),
    3: ("legal hold on each call", "stored", "stored"),
    4: ("legal hold on each recording", "stored", "stored"),
    5: ("legal hold on a request", "stored", "stored"),
    6: ("erasure granted", "retention", "erasure"),
    7: ("consent withdrawn", "retention", "consent_withdrawn"),
    8: ("erasure granted, legal obligation", "retention", "stored"),
    9: ("erasure granted, and a legal hold", "stored", "stored"),
}
BASES = {7: "consent", 8: "legal_obligation"}
COLUMNS = ("id", "call_id", "revision", "controller", "campaign", "purpose", "legal_basis", "mode", "state", "format",
           "notice_version", "delete_at", "tagged_at", "started_at", "file", "duration_ms", "sha256", "file_sha256")  # fmt: skip
OF_CALLS = ("id", "asterisk", "revision", "controller", "campaign", "legal_basis", "agent", "digest", "key_version",
            "number_masked", "token", "opened_at", "last_link")  # fmt: skip


def number(index: int) -> Number:
    return Number(f"+48{600000000 + index}")


@dataclass
class Bench:
    store: Store
    database: Database
    folder: Path
    rows: int
    #: What must happen to each.
    fates: dict[UUID, str] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)

    async def fill(self) -> None:
        """Create rows, files with their tags, and the holds and requests that change how long they are kept."""
        calls: list[tuple[Any, ...]] = []
        rows: list[tuple[Any, ...]] = []
        for index in range(self.rows):
            whose, special = divmod(index, OF_A_NUMBER)[0], index // OF_A_NUMBER % 100
            due = index % OF_A_NUMBER < OF_A_NUMBER - 1
            call, recording = uuid4(), uuid4()
            recorded = NOW - timedelta(days=100 if due else 10, minutes=index % 1440)
            place = f"acme/{recorded:%Y-%m-%d}/{recording}.flac.age"
            calls.append(
                (
                    call, "pbx", 1, "acme", "renewals", "contract", "anna",
                    made.digests(number=number(whose)).newest, 1, "—", uuid4(), recorded, chain.start(call),
                )
            )  # fmt: skip
            basis = BASES.get(special, "legitimate_interest")
            rows.append(
                (
                    recording, call, 1, "acme", "renewals", "p", basis, "notice", "stored", "flac", "v1",
                    recorded + 90 * DAY, recorded, recorded, place, 1000, bytes(32), bytes(32),
                )
            )  # fmt: skip
            _, if_due, else_ = SPECIAL.get(special, ("", "retention", "stored"))
            self.fates[recording] = if_due if due else else_
            if special in {3, 4, 9}:
                self._holding.append(HoldOn(call_id=call) if special == 3 else HoldOn(recording_id=recording))
            if len(rows) == WROTE or index == self.rows - 1:
                await self._write(calls, rows)
                calls, rows = [], []
        for whose in range(self.rows // OF_A_NUMBER):
            await self._ask(whose, whose % 100)
        for on in self._holding:
            await self.store.holds.place(on, "bench", "bench")

    _holding: list[HoldOn] = field(default_factory=list)

    async def _write(self, calls: list[tuple[Any, ...]], rows: list[tuple[Any, ...]]) -> None:
        await asyncio.to_thread(self._write_files, [row[COLUMNS.index("file")] for row in rows])
        async with self.database.outside_pool() as connection:
            await connection.copy_records_to_table("calls", records=calls, columns=OF_CALLS)
            await connection.copy_records_to_table("recordings", records=rows, columns=COLUMNS)

    def _write_files(self, places: list[str]) -> None:
        for place in places:
            file = self.folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(FILE)
            file.with_name(file.name.replace(".flac.age", ".json")).write_bytes(b"{}")

    async def _ask(self, whose: int, special: int) -> None:
        digests = made.digests(number=number(whose))
        right = {
            0: Right.ACCESS, 1: Right.RESTRICTION, 5: Right.OBJECTION_MARKETING, 6: Right.ERASURE, 7: Right.WITHDRAW_CONSENT,
            8: Right.ERASURE, 9: Right.ERASURE,
        }.get(special)  # fmt: skip
        if special == 2:
            self._holding.append(HoldOn(subject=Subject("acme", digests)))
        if right is None:
            return
        exercise = replace(made.exercise(right), received_at=NOW, level=Level.L2)
        reference = await self.store.requests.add("acme", exercise, digests)
        if right is Right.ERASURE:
            handling = Handling("bench", Clock(NOW, {"acme": "PL"}), "")
            await self.store.requests.step(reference, RequestState.FULFILLED, handling)
        if special == 5:
            self._holding.append(HoldOn(reference=reference))

    async def gate(self, when: str) -> None:
        call = made.call(number=number(int(time.perf_counter_ns()) % (self.rows // OF_A_NUMBER)))
        began = time.perf_counter()
        await self.store.calls.open(call, made.question(call))
        self.times.setdefault(f"gate, {when}", []).append(time.perf_counter() - began)

    @contextlib.asynccontextmanager
    async def watching(self, when: str) -> AsyncIterator[None]:
        """How late the loop resumes, as a call would notice it; and the gate beside it."""

        async def lag() -> None:
            while True:
                began = time.perf_counter()
                await asyncio.sleep(LAG_SECONDS)
                late = time.perf_counter() - began - LAG_SECONDS
                self.times.setdefault(f"the loop comes late, {when}", []).append(late)

        async def look() -> None:
            while True:
                await self.gate(when)
                await asyncio.sleep(BETWEEN_SECONDS)

        going = [asyncio.create_task(lag()), asyncio.create_task(look())]
        try:
            yield
        finally:
            for each in going:
                each.cancel()
            await asyncio.wait(going)

    async def wrong(self) -> dict[str, int]:
        """How many were not treated as they should be, by kind."""
        found: Counter[str] = Counter()
        async for rows in self.database.stream(
            "SELECT r.id, r.state, r.file, coalesce(r.deletion, r.state) AS fate,"
            " (SELECT count(*) FROM call_event_fields f WHERE f.call_id = r.call_id"
            "   AND f.fields->>'recording' = r.id::text AND f.fields->>'why' = r.deletion) AS told FROM recordings r"
        ):
            for row in rows:
                wanted = self.fates[row["id"]]
                if row["fate"] != wanted:
                    found[f"{row['fate']} instead of {wanted}"] += 1
                file = self.folder / row["file"]
                there = {file.exists(), file.with_name(f"{row['id']}.json").exists()}
                if there != {row["state"] == "stored"}:
                    found[f"file of a {row['state']} one"] += 1
                if row["told"] != (row["state"] == "deleted"):
                    found["journal"] += 1
        (left,) = await self.database.rows("SELECT count(*) FROM deletions")
        return {**found, **({"left over": left["count"]} if left["count"] else {})}


async def bench(home: Path, rows: int, contacts: int, consents: int) -> int:
    async with embedded_postgres(home / "data") as dsn, open_database(dsn) as database:
        bench = Bench(Store(dsn, database), database, home / "recordings", rows)
        await bench.store.policies.apply(made.POLICY, "bench")
        began = time.perf_counter()
        await bench.fill()
        print(f"{rows} recordings with files and tags made in {time.perf_counter() - began:.0f} s")
        async with database.outside_pool() as connection:
            await connection.execute("ANALYZE")
        async with bench.watching("before"):
            await asyncio.sleep(QUIET_SECONDS)
        keeper = Housekeeper(bench.store.deletions, bench.folder, None)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        plan = await keeper.plan()
        print(f"what is due found in {time.perf_counter() - began:.1f} s: {plan.count}, and {plan.held} held")
        began, processor = time.perf_counter(), time.process_time()
        async with bench.watching("meanwhile"):
            swept = await keeper.round()
        took, processor = time.perf_counter() - began, time.process_time() - processor
        if swept is None:
            return 1
        print(
            f"{swept.count} deleted in {took:.1f} s: {swept.count / took:.0f}/s, {processor:.1f} s of the processor here; "
            f"{swept.held} due and held, {len(swept.faults)} failed"
        )
        print("by why: " + ", ".join(f"{count} {why}" for why, count in sorted(swept.deleted.items())))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(f"memory that it took beyond what there was: {grown / 1024:.0f} MB")
        began = time.perf_counter()
        again = await keeper.round()
        print(
            f"the next round, with nothing but {again.held if again else '?'} held: {time.perf_counter() - began:.1f} s"
        )
        right = await limits.bench(bench.store, database, contacts, consents, bench.watching)
        for what, times in bench.times.items():
            cuts = quantiles(times, n=100)
            print(
                f"{what}: p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms, most {max(times) * 1e3:.0f} ms of {len(times)}"
            )
        wrong = await bench.wrong()
        kept = sum(fate == "stored" for fate in bench.fates.values())
        print(f"fates checked one by one: {kept} kept, {rows - kept} deleted; wrong: {wrong or 'none'}")
        if not right:
            print("contacts or consents: others went, or were kept, than should")
        return 1 if wrong or swept.faults or again is None or again.count or not right else 0


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--contacts", type=int, default=2_000_000)
    options.add_argument("--consents", type=int, default=1_000_000)
    options.add_argument(
        "--batch", type=int, default=housekeeping.BATCH, help="decided in one transaction: up to 4096"
    )
    asked = options.parse_args()
    housekeeping.BATCH = asked.batch
    with home() as where, Path(os.devnull).open("w") as nowhere:
        # as the service logs, but to another place
        log.configure("json", "info", nowhere)
        sys.exit(ending.run(bench(where, asked.rows, asked.contacts, asked.consents)))
