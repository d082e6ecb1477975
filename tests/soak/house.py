"""Everything that a run drives: two Asterisks, a PostgreSQL, the links between them, and the service's own folders."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ccari.policy.declaration import read
from tests.folders import open_folder
from tests.integration import studio
from tests.integration.service import Service
from tests.lab import Lab, laboratory
from tests.lab.ports import free_port
from tests.lab.root import ensure_root
from tests.soak.database import SOCKET, Postgres, postgres
from tests.soak.links import Link, link

POLICY = Path(__file__).parent / "policy.toml"
#: Debian's libfaketime, where it is installed.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
#: Room for a run's recordings, and small enough to be filled at once.
DATA_SIZE, SPOOL_SIZE = "256m", "64m"
#: How long a service that is told to stop lets talks go on.
DRAIN_SECONDS = 6


@dataclass(frozen=True)
class House:
    """``clock``: a file with the error of the service's clock; None if its clock cannot be changed."""

    folder: Path
    lab: Lab
    database: Postgres
    service: Service
    to_asterisk: Link
    to_database: Link
    clock: Path | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def keys(self) -> Path:
        return self.data / "keys"

    @property
    def recordings(self) -> Path:
        return self.data / "recordings"

    @property
    def logs(self) -> tuple[Path, ...]:
        return self.service.log, self.service.errors, self.database.log


@asynccontextmanager
async def open_house() -> AsyncIterator[House]:
    """Build it, with the policy applied and keys created; the service is not started yet."""
    await ensure_root()
    with open_folder("soak") as folder:
        sounds = await asyncio.to_thread(studio.build_tones, folder, read(POLICY.read_text("utf-8")))
        with _small_disk(folder / "data", DATA_SIZE):
            async with contextlib.AsyncExitStack() as stack:
                database = await stack.enter_async_context(postgres(folder / "postgresql"))
                lab = await stack.enter_async_context(laboratory(host_folders=[sounds]))
                # mounted before Asterisk starts: it would not see a later mount below its folder
                await lab.pbx.stop()
                stack.enter_context(_small_disk(lab.pbx.home / "spool", SPOOL_SIZE))
                await lab.pbx.start()
                port, sockets = free_port(socket.SOCK_STREAM, "127.0.0.1"), folder / "link"
                sockets.mkdir()
                to_asterisk = await stack.enter_async_context(
                    link(("127.0.0.1", lab.pbx.http_port), ("127.0.0.1", port))
                )
                to_database = await stack.enter_async_context(link(database.socket, sockets / SOCKET))
                clock = _clock(folder)
                where = _settings(lab, folder, sounds) | {
                    "CCARI_ASTERISK__URL": f"http://127.0.0.1:{port}",
                    "CCARI_DATABASE__URL": database.through(sockets),
                }
                service = Service(
                    where | _wrong_clock(clock), folder / "ccari.log", folder / "ccari.err", afresh=True
                )
                house = House(folder, lab, database, service, to_asterisk, to_database, clock)
                await _prepare(house)
                yield house
                # Asterisk uses its disk until it ends
                await lab.pbx.stop()


def _settings(lab: Lab, folder: Path, sounds: Path) -> dict[str, str]:
    return {
        "CCARI_DATA_DIR": str(folder / "data"),
        "CCARI_ASTERISK__USERNAME": lab.pbx.ari_user,
        "CCARI_ASTERISK__PASSWORD_FILE": str(lab.pbx.ari_password_file),
        "CCARI_ASTERISK__SPOOL": str(lab.pbx.spool),
        "CCARI_SOUNDS__DIR": str(sounds),
        "CCARI_AGI__LISTEN": "off",
        # shorter than some talks, longer than others
        "CCARI_CALLS__DRAIN_SECONDS": str(DRAIN_SECONDS),
        "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
    }


async def _prepare(house: House) -> None:
    for arguments in (("policy", "apply", str(POLICY)), ("keys", "init")):
        done = await house.service.ccari(*arguments)
        if done.code:
            raise RuntimeError(f"ccari {' '.join(arguments)}: {done.err}")


def _clock(folder: Path) -> Path | None:
    if FAKETIME is None:
        return None
    path = folder / "clock"
    path.write_text("+0\n")
    return path


def _wrong_clock(clock: Path | None) -> dict[str, str]:
    """Only the service has a clock that can be stepped: its monotonic one, and everybody else's, stay right."""
    if clock is None:
        return {}
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


@contextmanager
def _small_disk(at: Path, size: str) -> Iterator[None]:
    at.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "soak", str(at)], check=True)
    try:
        yield
    finally:
        # lazily: a process being killed may still use it
        subprocess.run(["umount", "--lazy", str(at)], check=False)
