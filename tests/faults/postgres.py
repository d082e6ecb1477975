"""A PostgreSQL of a test's own, which may be killed, stopped and restarted."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from ccari.store.embedded.users import User
from tests.lab.waiting import until
from tests.postgres import quick_postgres, server, start

GONE_SECONDS = 30.0


class OwnPostgres:
    """``dsn`` stays the same over restarts."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.dsn = dsn
        cluster = folder / "postgresql" / "cluster"
        owner = cluster.stat()
        user = User(owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None
        self._server = server(folder / "postgresql", user)
        self._pid_file = cluster / "postmaster.pid"

    async def kill(self) -> None:
        """Send SIGKILL to the server and all of its processes; returns when they are gone."""
        processes = self._processes()
        self._signal(signal.SIGKILL)
        # pg_ctl takes a zombie for a running server
        await until(
            lambda: not any(Path("/proc", str(each)).exists() for each in processes), within=GONE_SECONDS
        )

    async def start(self) -> None:
        await self._server.programs.are_runnable()
        await start(self._server)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Send SIGSTOP to the server and all of its processes: queries wait."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, signum: signal.Signals) -> None:
        for each in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signum)

    def _processes(self) -> list[int]:
        """The postmaster, which starts the others, comes first."""
        postmaster = int(self._pid_file.read_text().splitlines()[0])
        children = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
        return [postmaster, *(each for each in children if _parent(each) == postmaster)]


def _parent(process: int) -> int | None:
    """The parent's id; None if the process is gone."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    # after the name, which may contain spaces and brackets: the state, and the parent
    return int(stat.rpartition(")")[2].split()[1])


@contextlib.asynccontextmanager
async def own_postgres(folder: Path) -> AsyncIterator[OwnPostgres]:
    """A new server in ``folder``, which its own user must be able to reach."""
    async with quick_postgres(folder) as dsn:
        yield OwnPostgres(folder, dsn)
