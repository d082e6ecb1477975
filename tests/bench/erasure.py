"""Ten thousand people erased: how fast, what a gate feels of it, and that every hold is kept.

    make bench-erasure            (or: python -m tests.bench.erasure --people 1000)

Ends with status 1 if somebody met another fate than the law has for them, or a journal is not whole.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID, uuid4

from ccari import log
from ccari.errors import RequestError
from ccari.policy import chain
from ccari.policy.chain import Entry
from ccari.policy.erasure import ErasureTerms, pattern
from ccari.policy.numbers import Number
from ccari.policy.rights import Level, Right
from ccari.ports.holds import HoldOn, Subject
from ccari.ports.subjects import Wanted
from ccari.recordings.subject.erasing import Eraser
from ccari.store.database import Database
from ccari.store.embedded import embedded_postgres
from ccari.store.erasures import Erasures
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from tests.bench.home import home
from tests.lab import ending
from tests.unit.store import made

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
FILE = bytes(8192)
CALLS = 2
DESKS = 4
EVENTS = ("call_gated", "notice_heard", "recording_stored", "call_ended")
WROTE = 5000
BETWEEN_SECONDS = 0.02
#: What is special about some of each hundred people, by index. Their recordings are kept, and so are their calls.
HELD = {
    0: "legal hold on the number",
    1: "legal hold on each call",
    2: "legal obligation",
    3: "access asked for",
}
#: From these, nothing at all is erased.
REFUSED = frozenset({0, 3})


def number(index: int) -> Number:
    return Number(f"+48{600000000 + index}")


class Uncleared(Erasures):
    """For a program that erases many people: clear the traces once, at the end."""

    async def clear_traces(self, _erasure: int) -> Mapping[str, Any]:
        return {"left": {}}


@dataclass
class Bench:
    store: Store
    database: Database
    folder: Path
    people: int
    references: list[str] = field(default_factory=list)
    gates: dict[str, list[float]] = field(default_factory=dict)

    async def fill(self) -> None:
        tables: dict[str, list[tuple[Any, ...]]] = {}
        for index in range(self.people):
            self._person(index, tables)
            if (index + 1) % WROTE == 0 or index == self.people - 1:
                await self._write(tables)
                tables = {}
        for index in range(self.people):
            await self._ask(index)

    def _person(self, index: int, tables: dict[str, list[tuple[Any, ...]]]) -> None:
        digest, special = made.digests(number=number(index)).newest, index % 100
        basis = "legal_obligation" if special == 2 else "legitimate_interest"
        for _ in range(CALLS):
            call, recording = uuid4(), uuid4()
            at = NOW - 10 * DAY
            entries = [
                Entry(at, event, {"key": "5", "prompts": "identity,recording"}, os.urandom(16))
                for event in EVENTS
            ]
            linked = chain.follow(chain.start(call), 0, entries)
            place = f"acme/{at:%Y-%m-%d}/{recording}.flac.age"
            for name, row in (
                ("calls", (call, "pbx", 1, "acme", "renewals", "contract", "anna", digest, 1, number(index).masked, uuid4(), at, at,
                           "bridged", len(linked), linked[-1].link)),
                *(("call_events", (call, each.seq, each.at, each.event, each.commitment, each.link)) for each in linked),
                *(("call_event_fields", (call, each.seq, each.salt, json.dumps(dict(each.fields or {})))) for each in linked),
                ("recordings", (recording, call, 1, "acme", "renewals", "p", basis, "notice", "stored", "flac", "v1",
                                NOW + 80 * DAY, at, at, place, 1000, bytes(32), bytes(32))),
                ("heard_notices", ("acme", digest, 1, str(call), "renewals", call)),
            ):  # fmt: skip
                tables.setdefault(name, []).append(row)
            file = self.folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(FILE)
            file.with_name(f"{recording}.json").write_bytes(b"{}")
        tables.setdefault("contacts", []).append(
            ("acme", digest, 1, "fair", NOW.date(), "contract", "", "list")
        )
        tables.setdefault("consents", []).append(
            ("acme", digest, 1, "marketing", "phone", NOW - 20 * DAY, "form", "list")
        )

    async def _write(self, tables: Mapping[str, list[tuple[Any, ...]]]) -> None:
        async with self.database.outside_pool() as connection:
            for name, rows in tables.items():
                await connection.copy_records_to_table(name, records=rows, columns=COLUMNS[name])

    async def _ask(self, index: int) -> None:
        digests, special = made.digests(number=number(index)), index % 100
        exercise = replace(
            made.exercise(Right.ERASURE), received_at=NOW, level=Level.L2, number=number(index).e164
        )
        self.references.append(await self.store.requests.add("acme", exercise, digests))
        if special == 3:
            await self.store.requests.add("acme", replace(exercise, right=Right.ACCESS), digests)
        if special == 0:
            await self.store.holds.place(HoldOn(subject=Subject("acme", digests)), "bench", "bench")
        if special == 1:
            for row in await self.database.rows("SELECT id FROM calls WHERE digest = $1", digests.newest):
                await self.store.holds.place(HoldOn(call_id=row["id"]), "bench", "bench")

    async def wanted(self, index: int) -> Wanted:
        mandate = await self.store.subjects.mandate(self.references[index])
        of = number(index)
        return Wanted(mandate, Subject("acme", made.digests(number=of)), of.e164, pattern(of), of.masked)

    async def erase(self, eraser: Eraser, index: int) -> str:
        try:
            done = await eraser.erase(await self.wanted(index), ErasureTerms(datetime.now(UTC)))
        except RequestError:
            return "refused"
        return (
            "failed"
            if done.faults or done.report is None
            else "kept in part"
            if done.report["kept"]
            else "erased"
        )

    async def erase_all(self, eraser: Eraser) -> Counter[str]:
        """Several at the same time, as from several desks."""
        found: Counter[str] = Counter()
        left = iter(range(self.people))

        async def desk() -> None:
            for index in left:
                found[await self.erase(eraser, index)] += 1

        await asyncio.gather(*(desk() for _ in range(DESKS)))
        return found

    async def look(self, when: str) -> None:
        while True:
            call = made.call(number=Number("+48799999999"))
            began = time.perf_counter()
            await self.store.calls.open(call, made.question(call))
            self.gates.setdefault(when, []).append(time.perf_counter() - began)
            await asyncio.sleep(BETWEEN_SECONDS)

    async def wrong(self) -> dict[str, int]:
        """How many were not treated as they should be, by kind."""
        found: Counter[str] = Counter()
        rest = {"contacts": 0, "consents": 0}
        for index in range(self.people):
            special = index % 100
            rest = {name: count + (special in REFUSED) for name, count in rest.items()}
        kept = {made.digests(number=number(each)).newest for each in range(self.people) if each % 100 in HELD}
        async for rows in self.database.stream(
            "SELECT c.id, c.digest, c.number_masked, r.state, r.file, (SELECT count(*) FROM call_event_fields f"
            " WHERE f.call_id = c.id AND f.seq <= $1) AS fields FROM calls c JOIN recordings r ON r.call_id = c.id",
            len(EVENTS),
        ):
            for row in rows:
                there = (self.folder / row["file"]).exists()
                if row["digest"] is not None:
                    whole = (row["state"], there, row["fields"]) == ("stored", True, len(EVENTS))
                    found["held, and not whole"] += row["digest"] not in kept or not whole
                else:
                    gone = (row["state"], there, row["fields"], row["number_masked"]) == (
                        "deleted",
                        False,
                        0,
                        "—",
                    )
                    found["erased, and not gone"] += not gone
        (row,) = await self.database.rows(
            "SELECT count(*) FROM calls WHERE digest IS NOT NULL AND number_masked <> $1",
            Number("+48799999999").masked,
        )
        found["held"] += row["count"] != len(kept) * CALLS
        for name, count in rest.items():
            (row,) = await self.database.rows(f"SELECT count(*) FROM {name}")  # noqa: S608 - ours
            found[name] += row["count"] != count
        for row in await self.database.rows(
            "SELECT id FROM calls WHERE digest IS NULL ORDER BY id LIMIT 500"
        ):
            found["journal"] += (await self.store.records.show_call(UUID(str(row["id"])))).fault is not None
        return {what: count for what, count in found.items() if count}


COLUMNS = {
    "calls": ["id", "asterisk", "revision", "controller", "campaign", "legal_basis", "agent", "digest", "key_version",
              "number_masked", "token", "opened_at", "ended_at", "outcome", "events", "last_link"],
    "call_events": ["call_id", "seq", "at", "event", "commitment", "link"],
    "call_event_fields": ["call_id", "seq", "salt", "fields"],
    "recordings": ["id", "call_id", "revision", "controller", "campaign", "purpose", "legal_basis", "mode", "state", "format",
                   "notice_version", "delete_at", "tagged_at", "started_at", "file", "duration_ms", "sha256", "file_sha256"],
    "heard_notices": ["controller", "digest", "key_version", "information_version", "campaign", "call_id"],
    "contacts": ["controller", "digest", "key_version", "source", "obtained_on", "legal_basis", "proof", "origin"],
    "consents": ["controller", "digest", "key_version", "purpose", "channel", "given_at", "proof", "origin"],
}  # fmt: skip


async def bench(home: Path, people: int) -> int:
    async with embedded_postgres(home / "data") as dsn, open_database(dsn) as database:
        bench = Bench(Store(dsn, database), database, home / "recordings", people)
        await bench.store.policies.apply(made.POLICY, "bench")
        began = time.perf_counter()
        await bench.fill()
        print(f"{people} people with {people * CALLS} recordings made in {time.perf_counter() - began:.0f} s")
        async with database.outside_pool() as connection:
            await connection.execute("ANALYZE")
        watching = asyncio.create_task(bench.look("meanwhile"))
        eraser = Eraser(Uncleared(database), bench.store.deletions, bench.folder, None, "bench")
        began = time.perf_counter()
        found = await bench.erase_all(eraser)
        took = time.perf_counter() - began
        print(f"{people} erased from {DESKS} desks in {took:.0f} s: {people / took:.0f}/s; {dict(found)}")
        began = time.perf_counter()
        traces = await bench.store.erasures.clear_traces(1)
        print(f"traces cleared in {time.perf_counter() - began:.1f} s; left: {traces['left'] or 'none'}")
        watching.cancel()
        await asyncio.wait([watching])
        for when, times in bench.gates.items():
            cuts = quantiles(times, n=100)
            print(
                f"gate, {when}: p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms, most {max(times) * 1e3:.0f} ms"
            )
        wrong = await bench.wrong()
        held = sum(index % 100 in HELD for index in range(people))
        print(f"fates checked one by one: {held} kept, {people - held} erased; wrong: {wrong or 'none'}")
        refused = sum(index % 100 in REFUSED for index in range(people))
        expected = {"refused": refused, "kept in part": held - refused, "erased": people - held}
        return int(bool(wrong) or dict(found) != {what: count for what, count in expected.items() if count})


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--people", type=int, default=10_000)
    asked = options.parse_args()
    with home() as where, Path(os.devnull).open("w") as nowhere:
        log.configure("json", "info", nowhere)
        sys.exit(ending.run(bench(where, asked.people)))
