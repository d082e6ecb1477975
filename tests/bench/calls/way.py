"""The interface of a way of making the call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from tests.bench.calls.exchange import Exchange, Wanted
from tests.bench.calls.place import Place

READY_SECONDS = 30.0
STOP_SECONDS = 10.0
#: 8 kHz, 16 bits: a recording of this call shorter than three seconds does not count.
LEAST_BYTES = 48_000


class NotHereError(Exception):
    """A way is not available on this machine; says why."""


@dataclass(frozen=True)
class Controller:
    """``pids``: the processes that control the calls; their descendants count as theirs."""

    pids: tuple[int, ...]
    recordings: Path

    def kept(self) -> int:
        """How many recordings are complete."""
        return sum(file.stat().st_size >= LEAST_BYTES for file in self.recordings.glob("*.wav"))

    def lags_ms(self) -> list[float]:
        """From the proof that the notice was heard to the bridge, as the controller reports it; most report nothing."""
        return []


class Way(Protocol):
    """``does``: what it does in addition to the call."""

    name: str
    does: str

    async def fetch(self, place: Place) -> None:
        """Fetch what it needs, once. Raises NotHereError."""

    async def wanted(self, place: Place) -> Wanted:
        """Create a database for one run, and describe the pbx that it needs."""

    def controlling(
        self, place: Place, exchange: Exchange, wanted: Wanted
    ) -> AbstractAsyncContextManager[Controller]:
        """Control calls until the context ends."""


@asynccontextmanager
async def program(*command: str, cwd: Path, complaints: BinaryIO) -> AsyncIterator[int]:
    """Run a controller, which prints ``ready`` once it can take calls; gives its pid."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=complaints
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_SECONDS):
            while (line := await process.stdout.readline()) != b"ready\n":
                if not line:
                    raise RuntimeError(f"{command[0]} did not start: see {complaints.name}")
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
