"""The service while it starts: being told to stop is heeded then, too."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from ccari.store.embedded import embedded_postgres
from ccari.store.migrating import _MIGRATION_LOCK
from tests.integration.service import START_SECONDS, STOP_SECONDS, Service
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.unit.store.server import connected
from tests.unit.store.test_embedded import answers, server_pid

#: Objects; there are more than a hundred thousand.
LOADED = 10_000
MIGRATING = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
def home(quick: Path) -> Iterator[Path]:
    """An empty folder; the server's own user can reach it."""
    made = Path(tempfile.mkdtemp(prefix="starting-", dir=quick))
    made.chmod(0o711)
    yield made
    if (left := server_pid(made)) is not None:
        os.kill(left, signal.SIGQUIT)
    shutil.rmtree(made, ignore_errors=True)


def to_start(home: Path, tmp_path: Path, **environment: str) -> Service:
    """A service whose Asterisk is away."""
    return Service({
        "CCARI_DATA_DIR": str(home), "CCARI_ASTERISK__URL": "http://127.0.0.1:9", "CCARI_ASTERISK__PASSWORD": "x",
        "CCARI_ASTERISK__SPOOL": str(home), "CCARI_AGI__LISTEN": "off",
        "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}", "PYTHONFAULTHANDLER": "1",
        **environment,
    }, tmp_path / "log", tmp_path / "err", afresh=True)  # fmt: skip


def pid_of(service: Service) -> int:
    assert service.process is not None
    return service.process.pid


def has_loaded(service: Service, library: str) -> bool:
    return library in Path(f"/proc/{pid_of(service)}/maps").read_text()


async def begun(service: Service, ready: Callable[[], bool | Awaitable[bool]]) -> None:
    """Start it, and wait until it has got that far."""
    await service.spawn()
    process = service.process
    assert process is not None

    async def so_far() -> bool:
        assert process.returncode is None, service.errors.read_text()
        answer = ready()
        return answer if isinstance(answer, bool) else await answer

    try:
        await until(so_far, within=START_SECONDS)
    except BaseException:
        # it is nobody's any more
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        raise


async def told(service: Service, number: signal.Signals) -> None:
    """It ends in an orderly way; if it does not end, it says what it was doing."""
    assert service.process is not None
    # not by the process's own method, which may take its exit status away from whoever waits for it
    os.kill(service.process.pid, number)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            code = await service.process.wait()
    except TimeoutError:
        os.kill(service.process.pid, signal.SIGABRT)
        code = await service.process.wait()
    assert (code, service.errors.read_text()) == (0, "")


async def usable(home: Path) -> bool:
    """Whether the database that was left there can be started."""
    async with embedded_postgres(home) as dsn:
        return await answers(dsn)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_service_that_has_hardly_begun_is_ended_by_the_signal(
    home: Path, tmp_path: Path, number: signal.Signals
) -> None:
    service = to_start(home, tmp_path)
    # from then on, what only the service needs is loaded, which takes longer than everything else
    await begun(service, lambda: has_loaded(service, "/uvloop/"))
    await told(service, number)
    assert server_pid(home) is None


@pytest.mark.parametrize(
    ("made", "number"),
    [
        ("initdb-*/PG_VERSION", signal.SIGTERM),
        ("cluster/postmaster.pid", signal.SIGINT),
        ("run/.s.PGSQL.5432", signal.SIGTERM),
    ],
)
async def test_a_service_that_starts_its_postgresql_leaves_it_running_or_half_made(
    home: Path, tmp_path: Path, made: str, number: signal.Signals
) -> None:
    service = to_start(home, tmp_path)
    await begun(service, lambda: any((home / "postgresql").glob(made)))
    await told(service, number)
    assert server_pid(home) is None
    assert await usable(home)


async def test_a_service_that_waits_for_its_schema_is_cut_off(home: Path, tmp_path: Path, empty: str) -> None:
    service = to_start(home, tmp_path, CCARI_DATABASE__URL=empty)
    async with connected(empty) as migrating:
        await migrating.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
        await begun(service, lambda: migrating.fetchval(MIGRATING))
        await told(service, signal.SIGTERM)
    assert "service_started" not in service.log.read_text()


async def test_a_service_that_is_told_again_and_again_while_it_starts_is_cut_off(
    home: Path, tmp_path: Path
) -> None:
    service = to_start(home, tmp_path)
    await begun(service, lambda: any((home / "postgresql").glob("initdb-*")))
    ending = asyncio.create_task(told(service, signal.SIGTERM))
    while not ending.done():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid_of(service), signal.SIGTERM)
        await asyncio.wait([ending], timeout=0.001)
    await ending
    assert server_pid(home) is None


async def test_a_running_service_looks_through_all_that_it_has_loaded_for_garbage(
    home: Path, tmp_path: Path, empty: str
) -> None:
    """That stops every call for tens of milliseconds. The interpreter reports what it froze once the service was loaded."""
    frozen = tmp_path / "frozen"
    (tmp_path / "sitecustomize.py").write_text(
        "import gc, pathlib, sys\n"
        "freeze = gc.freeze\n"
        "def told():\n"
        "    freeze()\n"
        "    if 'ccari.app.service' in sys.modules:\n"
        f"        pathlib.Path({str(frozen)!r}).write_text(str(gc.get_freeze_count()))\n"
        "gc.freeze = told\n"
    )
    found = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    service = to_start(home, tmp_path, CCARI_DATABASE__URL=empty, PYTHONPATH=found)
    await begun(service, lambda: b'"service_started"' in service.log.read_bytes())
    # not what is frozen at the end
    counted = frozen.read_text() if frozen.exists() else "0"
    await told(service, signal.SIGTERM)
    assert int(counted) > LOADED
