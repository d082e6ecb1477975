"""A call's recording, by a service that is killed before its n-th step: see ``Crashing``, and test_crashes.py.

Run as a program, it is what ``Crashing`` forks services from: it reads lines of JSON, and answers each with how many steps there
were, or ``killed``.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import asyncpg.transaction

from ccari.calls.ari import Ari
from ccari.calls.desk import Desk
from ccari.calls.events import Ids
from ccari.calls.recorder import Recorder
from ccari.gating.journal import Journal
from ccari.gating.terms import Terms
from ccari.policy.call import Direction
from ccari.policy.declaration import read
from ccari.ports.recordings import Channels
from ccari.recordings.archive import FileArchive
from ccari.recordings.backlog import Caretaker
from ccari.recordings.spool import SharedSpool
from ccari.store.database import Database
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from tests.unit.recordings.made import SECOND, record
from tests.unit.store import made
from tests.unit.store.server import patiently

#: Longer than the machine may take between the starts of a call's two recorders.
SOUND = 20 * SECOND

#: What changes a disk, or is about to; of the files that are opened, only those in our folders count.
_STEPS = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link", "os.symlink", "shutil.move", "shutil.copyfile",
     "shutil.rmtree", "subprocess.Popen", "tempfile.mkdtemp", "database.ask", "database.asked", "database.commit"}
)  # fmt: skip


@dataclass
class Asterisk:
    """An Asterisk as far as a recorder knows it. Its own files are no steps of ours."""

    spool: Path
    tell: Callable[[Mapping[str, Any]], object] | None = None
    busy: bool = False
    stopped: list[str] = field(default_factory=list)

    async def snoop(self, channel: str, snoop: str, spy: str) -> None:
        assert self.tell is not None
        self.tell({"type": "StasisStart", "channel": {"id": snoop}})

    async def record(self, channel: str, name: str) -> None:
        self.busy = True
        record(self.spool / f"{name}.wav", SOUND)
        assert self.tell is not None
        self.tell({"type": "RecordingStarted", "recording": {"name": name}})
        self.busy = False

    async def stop_recording(self, name: str, *, keep: bool) -> bool:
        return True

    async def recorded(self, name: str) -> bool:
        return (self.spool / f"{name}.wav").exists()

    async def hang_up(self, channel: str) -> None: ...

    async def own_channels(self) -> list[str]:
        return []

    async def bridges(self) -> list[str]:
        return []


@dataclass
class Service:
    """What a service has to do with recordings, over ``dsn``."""

    asterisk: Asterisk
    store: Store
    archive: FileArchive
    caretaker: Caretaker
    desk: Desk

    async def record_call(self, call: str) -> None:
        """From the tag's commit to the end."""
        policy = read(made.POLICY)
        opened = made.call()
        terms = Terms(
            policy.controllers[0],
            policy.campaigns[0],
            (),
            made.NUMBER,
            opened,
            {},
            "pl",
            (),
            heard_version="v1",
        )
        ids = Ids(UUID(call), Direction.OUTBOUND, "agent")
        journal = Journal(ids.call, "anna")
        journal.opened()
        recorder = Recorder(ids, self.desk, journal)
        self.asterisk.tell = recorder.take_note
        await recorder.tag(terms)
        await recorder.start()
        await recorder.started(datetime.now(UTC))
        await recorder.stop(keep=True, binding=False)
        await recorder.detach()
        await recorder.settle()


@contextlib.asynccontextmanager
async def service(dsn: str, spool: Path, folder: Path, recipient: str) -> AsyncIterator[Service]:
    async with contextlib.AsyncExitStack() as opened:
        with patiently():
            database = await opened.enter_async_context(open_database(dsn))
        store, shared, asterisk = Store(dsn, database), SharedSpool(spool), Asterisk(spool)
        archive = FileArchive(shared, folder, "flac", lambda: (recipient,), folder.with_name("bench"))
        nothing = cast("Any", None)
        desk = Desk(
            made.ASTERISK, store.calls, nothing, nothing, nothing, cast("Ari", asterisk), nothing, store.recordings,
            archive, nothing, nothing, Channels.STEREO,
        )  # fmt: skip
        yield Service(asterisk, store, archive, Caretaker(shared, archive, store.recordings), desk)


class Crashing:
    """Services that are killed, each forked from one process that has everything loaded."""

    def __init__(self, dsn: str, spool: Path, folder: Path, recipient: str) -> None:
        self._told = {"dsn": dsn, "spool": str(spool), "folder": str(folder), "recipient": recipient}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    async def run(self, what: str, step: int, path: str | None = None) -> int | None:
        """Do ``what``: ``tend``, or record the call of that id; gives how many steps it took, or None if it was killed."""
        return await asyncio.to_thread(
            self._run, json.dumps({**self._told, "what": what, "step": step, "path": path})
        )

    def _run(self, told: str) -> int | None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(told + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        return None if answer == "killed" else int(answer)

    def close(self) -> None:
        self._process.communicate()


def _count(folders: tuple[str, str], last: int, steps: Iterator[int], asterisk: Asterisk) -> list[int]:
    """Die before the ``last`` step."""
    counted = [0]

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        ours = event in _STEPS or (event == "open" and str(arguments[0]).startswith(folders))
        if ours and not asterisk.busy:
            counted[0] = next(steps)
            if counted[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(on_event)
    return counted


def _watch_database() -> None:
    """Each commit, and each answer of the database, is a step too."""
    connection, commit = Database.connection, asyncpg.transaction.Transaction.commit

    @contextlib.asynccontextmanager
    async def watched(self: Database) -> AsyncIterator[Any]:
        sys.audit("database.ask")
        async with connection(self) as opened:
            yield opened
        sys.audit("database.asked")

    async def committing(self: asyncpg.transaction.Transaction) -> None:
        sys.audit("database.commit")
        await commit(self)

    Database.connection = watched  # type: ignore[method-assign]
    asyncpg.transaction.Transaction.commit = committing  # type: ignore[method-assign]


async def _do(told: dict[str, Any]) -> int:
    spool, folder = Path(told["spool"]), Path(told["folder"])
    if told["path"]:
        os.environ["PATH"] = told["path"]
    async with service(told["dsn"], spool, folder, told["recipient"]) as running:
        counted = _count((str(spool), str(folder)), told["step"], iter(range(1, 10_000)), running.asterisk)
        if told["what"] == "tend":
            await running.caretaker.tend()
        else:
            await running.record_call(told["what"])
        return counted[0]


def _main() -> None:
    _watch_database()
    # logs go there too
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        reading, writing = os.pipe()
        if not (child := os.fork()):
            os.write(writing, str(asyncio.run(_do(json.loads(line)))).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            told = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(
            told if status == 0 else "killed" if status == -signal.SIGKILL else status,
            file=answers,
            flush=True,
        )


if __name__ == "__main__":
    _main()
