"""ccari as a process of its own, with its log in a file."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from ccari.store.database import SESSION, as_it_is
from ccari.store.opened import Store
from tests.integration.forked import Forked, Parent
from tests.lab import audio
from tests.lab.audio import Audio
from tests.lab.following import Followed
from tests.lab.waiting import until

Process = asyncio.subprocess.Process | Forked

START_SECONDS = 60.0
STOP_SECONDS = 60.0
COMMAND_SECONDS = 120.0
EVENT_SECONDS = 45.0


@dataclass
class Service:
    """``environment``: its settings; ``log``: its log file. ``afresh``: start the service as its operator does, not by
    forking, if its memory, its command line, its first moments or what was loaded before it matter.
    """

    environment: Mapping[str, str]
    log: Path
    errors: Path
    afresh: bool = False
    process: Process | None = field(default=None, repr=False)
    store: Store | None = field(default=None, repr=False)
    _lines: list[dict[str, Any]] = field(default_factory=list, init=False, repr=False)
    _followed: Followed = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._followed = Followed(self.log)

    async def start(self) -> None:
        """Start, and wait until it drives Asterisk."""
        await self.spawn()
        try:
            await self.logged("asterisk_connected", within=START_SECONDS)
        except BaseException:
            await self._kill()
            raise

    async def spawn(self) -> None:
        environment = {**os.environ, **self.environment}
        with self.log.open("ab") as log, self.errors.open("ab") as errors:
            if self.afresh:
                self.process = await asyncio.create_subprocess_exec(
                    *command("serve"), env=environment, stdout=log, stderr=errors, cwd="/"
                )
            else:
                self.process = await parent().start(("serve",), environment, log.fileno(), errors.fileno())

    async def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Stop it, if it still runs; returns its exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(with_signal)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self.process.wait()
        except TimeoutError:
            await self._kill()
            raise

    async def _kill(self) -> None:
        """Kill a service that did not come up or will not end: it would drive the next test's Asterisk at that port."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """It is stopped (SIGSTOP): the kernel still accepts connections for it, but nothing answers."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def lines(self) -> list[dict[str, Any]]:
        self._lines += [orjson.loads(line) for line in self._followed.new() if line.endswith(b"}")]
        return list(self._lines)

    async def logged(
        self,
        wanted: str | Callable[[dict[str, Any]], bool],
        *,
        within: float = EVENT_SECONDS,
        **fields: object,
    ) -> dict[str, Any]:
        """Wait for the first log line that matches: of an event with these ``fields``, or one that the predicate
        accepts.
        """
        looked_at = 0

        def is_wanted(line: dict[str, Any]) -> bool:
            if isinstance(wanted, str):
                return {"event": wanted, **fields}.items() <= line.items()
            return wanted(line)

        def ended() -> bool:
            return self.process is not None and self.process.returncode is not None

        def found() -> bool:
            nonlocal looked_at
            fresh = self.lines()[looked_at:]
            looked_at += len(fresh)
            return any(map(is_wanted, fresh)) or ended()

        try:
            await until(found, within=within)
            return next(filter(is_wanted, self.lines()))
        except (TimeoutError, StopIteration):
            raise AssertionError(
                f"not logged within {within} s:\n{self.errors.read_text()}\n{self.tail()}"
            ) from None

    def count(self, event: str) -> int:
        """How often it has logged an event."""
        return sum(line["event"] == event for line in self.lines())

    def of_call(self, call_id: str) -> list[str]:
        """The events of one call, in the order they were logged."""
        return [line["event"] for line in self.lines() if line.get("call_id") == call_id]

    async def call(self, call_id: str) -> dict[str, Any]:
        """The output of ``ccari calls show --json`` for a call, without starting a process for each question: waiting for what a
        call leaves asks again and again.
        """
        async with self._stored() as store:
            record = await store.records.show_call(UUID(call_id))
        shown = {
            **record.call,
            "events": record.events,
            "recorded": record.recorded,
            "recordings": record.recordings,
            "fault": record.fault,
        }
        told: dict[str, Any] = orjson.loads(orjson.dumps(shown, default=str))
        return told

    @contextlib.asynccontextmanager
    async def _stored(self) -> AsyncIterator[Store]:
        """The store that was opened for it, or the database of its settings, as it is and as long as a command has it."""
        if self.store is not None:
            yield self.store
            return
        url = self.environment["CCARI_DATABASE__URL"]
        async with as_it_is(url, 1, SESSION) as database:
            yield Store(url, database)

    async def ended(self, call_id: str, *, within: float = EVENT_SECONDS) -> dict[str, Any]:
        """As :meth:`call`, once its row is closed and its recordings are stored. The row is closed a moment after the
        dialplan is told; on a busy machine, storing takes longer than the end of a call waits.
        """

        async def closed() -> bool:
            told = await self.call(call_id)
            return told["ended_at"] is not None and all(
                each["state"] != "finished" for each in told["recordings"]
            )

        await until(closed, within=within)
        return await self.call(call_id)

    @property
    def recordings(self) -> Path:
        return Path(self.environment["CCARI_DATA_DIR"], "recordings")

    def recorded(self, row: Mapping[str, Any], channel: int | None = None) -> Audio:
        """The sound of a stored recording, or of one side of it."""
        identity = Path(self.environment["CCARI_DATA_DIR"], "keys", "recordings.identity")
        return audio.recorded(self.recordings / row["file"], identity, channel)

    async def consented(self, number: str) -> None:
        """Enter the number's consent to marketing by telephone."""
        file = self.log.with_name("consents.csv")
        file.write_text(f"number,purpose,channel,given,proof\n{number},marketing,phone,2020-01-01,form 17\n")
        await self.succeeds("consents", "import", str(file))

    def tail(self) -> str:
        return "\n".join(map(str, self.lines()[-30:]))

    async def ccari(
        self, *arguments: str, environment: Mapping[str, str] | None = None, folder: str = "/"
    ) -> "Done":
        """Run one command beside the service, in ``folder``."""
        async with asyncio.timeout(COMMAND_SECONDS):
            code, out, err = await parent().run(
                arguments, {**os.environ, **self.environment, **(environment or {})}, folder
            )
        return Done(code, out.decode(), err.decode())

    async def succeeds(self, *arguments: str) -> "Done":
        """As :meth:`ccari`, for a command that must not fail."""
        done = await self.ccari(*arguments)
        assert done.code == 0, done.err
        return done

    async def json(self, *arguments: str) -> Any:
        """The output of a command with ``--json``, which must succeed."""
        return json.loads((await self.succeeds(*arguments, "--json")).out)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


#: As in pyproject.toml: warnings are errors, except those of pydub on import.
_WARNINGS = (
    "-W", "error", "-W", "ignore:'audioop' is deprecated:DeprecationWarning", "-W", "ignore::SyntaxWarning",
)  # fmt: skip


def command(*arguments: str) -> tuple[str, ...]:
    """The command line that runs ``ccari`` with these arguments."""
    return (sys.executable, *_WARNINGS, "-m", "ccari", *arguments)


@functools.cache
def parent() -> Parent:
    """The process that all commands and services of this process's tests are forked from."""
    return Parent((sys.executable, *_WARNINGS))
