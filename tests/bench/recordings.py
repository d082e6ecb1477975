"""How much talk the archive takes a minute of processor time, and what the calls' loop feels of it meanwhile.

``make bench-recordings``: see docs/recordings.md for the figures. Beside it a process that does nothing has its loop watched
too: what both feel is the machine's.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyrage
import uvloop

from ccari.recordings.archive import FileArchive
from ccari.recordings.encoding import FORMATS
from ccari.recordings.spool import SharedSpool
from tests.unit.recordings.made import TAG, record

RATE = 8000
#: How often the loop is checked: as often as a few calls send packets of 20 ms.
TICK_SECONDS = 0.002
PARTS = (0.5, 0.99, 1.0)


@dataclass(frozen=True)
class Cost:
    """Seconds; ``cpu``: processor time of the service and of what it starts."""

    cpu: float
    wall: float
    lags: Sequence[float]
    beside: Sequence[float]


def talk(seconds: float, seed: int) -> bytes:
    """Two voices as on the telephone: noise with the spectrum of a vocal tract, in syllables, with pauses."""
    made = np.random.default_rng(seed)
    count = int(seconds * RATE)
    noise = np.convolve(made.normal(size=count), np.hanning(12), "same")
    voiced = np.sin(2 * np.pi * 140 * np.arange(count) / RATE) ** 3
    syllables = np.clip(np.sin(2 * np.pi * 4 * np.arange(count) / RATE), 0, 1)
    pauses = np.repeat(made.random(count // RATE + 1) > 0.4, RATE)[:count]
    sound = (0.4 * noise + 2 * voiced) * syllables * pauses + 0.01 * made.normal(size=count)
    return bytes((sound / np.abs(sound).max() * 12000).astype("<i2").tobytes())


async def bring(
    spool: Path, folder: Path, form: str, recipients: Sequence[str], sounds: Sequence[bytes]
) -> Cost:
    """Store all of them as fast as possible, while the loop is watched."""
    names = [uuid4() for _ in sounds]
    for name, sound in zip(names, sounds, strict=True):
        record(spool / f"{name}.wav", sound)
    archive = FileArchive(SharedSpool(spool), folder, form, lambda: recipients)
    async with watched() as (lags, beside):
        began, cpu = time.perf_counter(), spent()
        await asyncio.gather(*(archive.keep(replace(TAG, recording_id=name)) for name in names))
        cost = Cost(spent() - cpu, time.perf_counter() - began, lags, beside)
    for name in names:
        await archive.discard(name)
    return cost


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[tuple[list[float], list[float]]]:
    """The lags of this loop and, at the end, the :data:`PARTS` in milliseconds of a loop beside it."""
    control = started_beside()
    assert control.stdin
    assert control.stdout
    await asyncio.to_thread(control.stdout.readline)
    lags: list[float] = []
    beside: list[float] = []
    watching = asyncio.create_task(watch(lags))
    yield lags, beside
    watching.cancel()
    told, _ = await asyncio.to_thread(control.communicate)
    beside += json.loads(told)


def started_beside() -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", "tests.bench.recordings", "--beside")
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def stand_beside() -> None:
    lags: list[float] = []
    watching = asyncio.create_task(watch(lags))
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    watching.cancel()
    print(json.dumps(quantiles(lags)))


async def watch(lags: list[float]) -> None:
    """How much later than asked for the loop resumes."""
    while True:
        due = time.perf_counter() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        lags.append(time.perf_counter() - due)


def quantiles(lags: Sequence[float]) -> list[float]:
    """In milliseconds."""
    return [float(each) * 1000 for each in np.quantile(lags, PARTS)]


def spent() -> float:
    """The processor time of child processes, and of our threads except this one, which watches itself."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used) - time.thread_time()


def tell(what: str, cost: Cost, hours: float) -> None:
    lags = "".join(f"{each:9.2f}" for each in (*quantiles(cost.lags), *cost.beside))
    print(f"{what:24}{hours / (cost.cpu / 60):10.1f}{hours * 3600 / cost.wall:8.0f}{lags}", flush=True)


async def run(files: int, seconds: float, long_minutes: float, folder: Path) -> None:
    recipients = (str(pyrage.x25519.Identity.generate().to_public()),)
    (spool := folder / "spool").mkdir()
    sounds = [talk(seconds, seed) for seed in range(min(files, 8))]
    sounds = [sounds[index % len(sounds)] for index in range(files)]
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{files} recordings of {seconds:.0f} s, {os.cpu_count()} cores, load {load}")
    heads = "".join(f"{each:>9}" for each in ("p50 ms", "p99 ms", "max ms"))
    print(f"{'':24}{'h/CPU-min':>10}{'x real':>8}{heads}{heads}  (beside)")
    for form in FORMATS:
        cost = await bring(spool, folder / form, form, recipients, sounds)
        tell(f"{form}, encrypted", cost, files * seconds / 3600)
    long = [talk(60, 99) * int(long_minutes)]
    for form in FORMATS:
        cost = await bring(spool, folder / f"long-{form}", form, recipients, long)
        tell(f"{form}, one of {long_minutes:.0f} min", cost, long_minutes / 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--long", type=float, default=120, help="minutes of one long recording")
    parser.add_argument("--beside", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.beside:
        uvloop.run(stand_beside())
        return
    with tempfile.TemporaryDirectory(prefix="ccari-bench-") as folder:
        uvloop.run(run(told.files, told.seconds, told.long, Path(folder)))


if __name__ == "__main__":
    main()
