"""A PostgreSQL of the soak's own, which can be killed and stopped: the server from ccari's wheel."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ccari.errors import StoreError
from ccari.store.embedded.locks import CONTROL, USERS
from ccari.store.embedded.server import Server
from ccari.store.embedded.users import server_user
from tests.lab.waiting import until

SOCKET = ".s.PGSQL.5432"
GONE_SECONDS = 10.0
#: When a row became visible to others, which now() and clock_timestamp() do not say.
_SETTINGS = "track_commit_timestamp = on\n"


class Postgres:
    """``dsn`` leads past every link; a service is given :meth:`through`."""

    def __init__(self, folder: Path) -> None:
        self._server = Server(folder, server_user(folder / "cluster"))
        self._stopped: list[int] = []

    @property
    def dsn(self) -> str:
        return self._server.dsn

    @property
    def socket(self) -> Path:
        return self._server.sockets / SOCKET

    @property
    def log(self) -> Path:
        return self._server.folder / "server.log"

    def through(self, folder: Path) -> str:
        """The DSN of the same database behind a link that listens in ``folder``."""
        return f"postgresql://postgres@/ccari?host={folder}"

    @property
    def running(self) -> bool:
        """Whether the postmaster exists, even if it is suspended."""
        return bool(self._pids())

    async def make(self) -> None:
        self._server.make_folders()
        for lock in (USERS, CONTROL):
            (self._server.folder / lock).touch()
        await self._server.ensure_running()
        await self._server.stop()
        with (self._server.cluster / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        await self._server.start()

    def kill(self) -> None:
        """Send SIGKILL to all of its processes at once, as the kernel does when it runs out of memory."""
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def revive(self) -> None:
        """Start it once every process of the killed one is gone; does nothing if it runs. Raises StoreError."""
        await until(lambda: not _half_dead(self._pids()), within=GONE_SECONDS)
        await self._server.start()

    def stop(self) -> None:
        """Send SIGSTOP to all of its processes."""
        self._stopped = self._pids()
        for pid in self._stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for pid in self._stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped = []

    async def end(self) -> None:
        self.go_on()
        await self._server.stop()

    def _pids(self) -> list[int]:
        """The postmaster, first, and its children."""
        try:
            first = int((self._server.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return []
        if not _is_postgres(first):
            return []
        return [first, *_children(first)]


@asynccontextmanager
async def postgres(folder: Path) -> AsyncIterator[Postgres]:
    made = Postgres(folder)
    try:
        await made.make()
        yield made
    finally:
        with contextlib.suppress(StoreError):
            await made.end()


def _half_dead(pids: list[int]) -> bool:
    return any(_state(each) in {"Z", "X"} for each in pids)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found


def _is_postgres(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    return False


def _state(pid: int) -> str:
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "X"
