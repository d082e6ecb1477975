"""One laboratory, one database server and one service for all the calls of a run."""

import contextlib
import fcntl
import hashlib
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from ccari.policy.declaration import read
from ccari.store import database as databases
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from tests.folders import open_folder
from tests.integration import studio
from tests.integration.databases import new_database
from tests.integration.ground import Ground
from tests.integration.service import Service
from tests.lab import Lab, laboratory
from tests.lab.ports import free_port
from tests.postgres import quick_postgres

POLICY = Path(__file__).parent / "policy.toml"
#: The sources of contacts, by controller.
SOURCES = {"acme": ["targi 2026"]}
#: Time for a process that listens to recordings to read an answer of the database.
ANSWER_SECONDS = 30.0


@pytest.fixture(scope="session")
def policy_file() -> Path:
    """The policy that the service under test applies."""
    return POLICY


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that the database server's own user can reach; pytest's folders are closed to it."""
    with open_folder("test") as made:
        yield made


@pytest.fixture(scope="session")
def sounds(folder: Path, policy_file: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The prompts of the test's policy, as tones; the first worker of a run that needs them makes them."""
    own = tmp_path_factory.getbasetemp()
    run = own if worker_id == "master" else own.parent
    policy = policy_file.read_text()
    with (run / f"tones-{hashlib.sha256(policy.encode()).hexdigest()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Path(lock.name).with_suffix("")
        if not made.exists():
            studio.build_tones(Path(tempfile.mkdtemp(dir=run)), read(policy), SOURCES).rename(made)
    return shutil.copytree(made, folder / "sounds")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def dsn(folder: Path) -> AsyncIterator[str]:
    async with quick_postgres(folder / "data") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lab(sounds: Path) -> AsyncIterator[Lab]:
    async with laboratory(host_folders=[sounds]) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(
    lab: Lab, folder: Path, sounds: Path, dsn: str, policy_file: Path
) -> AsyncIterator[Service]:
    """The service under test, driving the lab's pbx with the database in ``data_dir``."""
    made = Service(
        {
            "CCARI_DATA_DIR": str(folder / "data"),
            "CCARI_ASTERISK__URL": lab.pbx.ari_url,
            "CCARI_ASTERISK__USERNAME": lab.pbx.ari_user,
            "CCARI_ASTERISK__PASSWORD_FILE": str(lab.pbx.ari_password_file),
            "CCARI_ASTERISK__SPOOL": str(lab.pbx.spool),
            "CCARI_SOUNDS__DIR": str(sounds),
            "CCARI_CALLS__DRAIN_SECONDS": "0",
            "CCARI_AGI__LISTEN": f"127.0.0.1:{lab.pbx.agi_port}",
            "CCARI_HTTP__LISTEN": f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}",
        },
        folder / "ccari.log",
        folder / "ccari.err",
    )
    for arguments in (("policy", "apply", str(policy_file)), ("keys", "init")):
        await made.succeeds(*arguments)
    await made.start()
    async with contextlib.AsyncExitStack() as opened:
        with pytest.MonkeyPatch.context() as patient:
            patient.setattr(databases, "COMMAND_SECONDS", ANSWER_SECONDS)
            made.store = Store(dsn, await opened.enter_async_context(open_database(dsn)))
        yield made
    status = await made.stop()
    assert status == 0, made.errors.read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ground(folder: Path, sounds: Path, dsn: str, policy_file: Path) -> AsyncIterator[Ground]:
    home = Path(tempfile.mkdtemp(dir=folder, prefix="ground-"))
    async with laboratory(host_folders=[sounds]) as lab:
        made = Ground(lab, home, sounds, await new_database(dsn, home.name.replace("-", "_")))
        for arguments in (("policy", "apply", str(policy_file)), ("keys", "init")):
            await made.service().succeeds(*arguments)
        yield made
