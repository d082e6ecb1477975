"""Commands that are told to end while they write: what is half written would be people's numbers in a hidden file."""

import asyncio
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy.rights import Right
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.integration.service import START_SECONDS, STOP_SECONDS, command
from tests.lab.waiting import until
from tests.unit.store import made, person
from tests.unit.store.kept import Shelf
from tests.unit.store.made import new_secret

#: As for a command in the foreground: tests that were started in the background, or by nohup, ignore one or the other.
_TAKES_SIGNALS = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
)
_IGNORES = "import signal, sys; signal.signal(signal.{}, signal.SIG_IGN); "
_RUNS = "import ccari.__main__; ccari.__main__.main()"
ENDED = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.fixture
async def environment(dsn: str, store: Store, tmp_path: Path) -> dict[str, str]:
    await store.policies.apply(made.POLICY, "test")
    new_secret(SecretStore(tmp_path / "keys"), "acme")
    (tmp_path / "keys/acme/suppression-1.key").write_text(b"acme".ljust(32, b".").hex())
    return {**os.environ, "CCARI_DATABASE__URL": dsn, "CCARI_DATA_DIR": str(tmp_path)}


@asynccontextmanager
async def running(
    environment: dict[str, str], *arguments: str, before: str = _TAKES_SIGNALS
) -> AsyncIterator[Process]:
    # the signal may come after a file is opened and before it is kept
    program = (*command()[:-2], "-W", "ignore::ResourceWarning", "-c", before + _RUNS)
    process = await asyncio.create_subprocess_exec(
        *program, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def locked(database: Database, table: str, mode: str) -> AsyncIterator[None]:
    """For as long as it takes: the service's own connections may not be idle in a transaction."""
    async with database.outside_pool(slow_reader=True) as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN {mode} MODE")
        yield


def drafts(folder: Path) -> list[Path]:
    return list(folder.glob(".*.draft"))


def unread(pipe: int) -> int:
    """How many bytes are waiting in it."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(count)


async def told(process: Process, number: signal.Signals, folder: Path) -> tuple[int | None, bytes, bytes]:
    """Send it the signal when the draft is there; how it ended, and what it said."""
    await until(lambda: bool(drafts(folder)), within=START_SECONDS)
    process.send_signal(number)
    async with asyncio.timeout(STOP_SECONDS):
        out, err = await process.stdout.read(), await process.stderr.read()  # type: ignore[union-attr]
        await process.wait()
    return process.returncode, out, err


@pytest.mark.parametrize(("number", "code"), ENDED)
async def test_a_scrub_that_is_ended_leaves_its_numbers_behind(
    environment: dict[str, str], database: Database, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    (tmp_path / "list.csv").write_text("600100001\n" * 10)
    out = tmp_path / "out.csv"
    scrub = ("contacts", "scrub", str(tmp_path / "list.csv"), "--campaign", "renewals", "--out", str(out))
    # it waits while it holds the draft
    async with locked(database, "suppressions", "ACCESS EXCLUSIVE"), running(environment, *scrub) as process:
        assert await told(process, number, tmp_path) == (code, b"", b"")
    assert (drafts(tmp_path), out.exists()) == ([], False)


async def test_an_export_that_is_ended_leaves_a_persons_data_behind(
    environment: dict[str, str], database: Database, store: Store, tmp_path: Path
) -> None:
    shelf = Shelf(store, database, tmp_path / "recordings")
    await person.known(shelf)
    reference = await person.asked(shelf, Right.ACCESS)
    out = tmp_path / "jan.zip"
    export = ("subject", "export", "600 100 001", "--request", reference, "--out", str(out))
    async with locked(database, "accesses", "SHARE"), running(environment, *export) as process:
        assert await told(process, signal.SIGTERM, tmp_path) == (143, b"", b"")
    assert (drafts(tmp_path), out.exists()) == ([], False)


async def test_a_dossier_that_is_ended_leaves_a_persons_data_behind(
    environment: dict[str, str], database: Database, store: Store, tmp_path: Path
) -> None:
    SigningKeys(tmp_path / "keys").create()
    await person.asked(Shelf(store, database, tmp_path / "recordings"), Right.ACCESS)
    out = tmp_path / "letter-7.zip"
    dossier = ("subject", "dossier", "600 100 001", "--why", "letter 7", "--out", str(out))
    # it waits for the request to be sealed
    async with locked(database, "seals", "SHARE"), running(environment, *dossier) as process:
        assert await told(process, signal.SIGTERM, tmp_path) == (143, b"", b"")
    assert (drafts(tmp_path), out.exists()) == ([], False)


async def test_a_command_that_waits_for_its_input_is_not_ended(
    environment: dict[str, str], tmp_path: Path
) -> None:
    scrub = ("contacts", "scrub", "-", "--campaign", "renewals", "--out", str(tmp_path / "out.csv"))
    async with running(environment, *scrub) as process:
        assert await told(process, signal.SIGINT, tmp_path) == (130, b"", b"")
    assert drafts(tmp_path) == []


async def test_a_command_that_waits_for_more_from_a_named_pipe_is_not_ended(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """For example from a shell's ``<(…)``: the first lines have come, and then no more."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    scrub = ("contacts", "scrub", str(pipe), "--campaign", "renewals", "--out", str(tmp_path / "out.csv"))
    async with running(environment, *scrub) as process:
        with await asyncio.to_thread(pipe.open, "wb", buffering=0) as writing:
            # the first line brings some more along; whoever has taken part of a line waits for the rest of it
            for piece in (b"600100001\n" * 1999, b"6001"):
                writing.write(piece)
                await until(lambda: unread(writing.fileno()) == 0, within=START_SECONDS)
            assert await told(process, signal.SIGHUP, tmp_path) == (129, b"", b"")
    assert drafts(tmp_path) == []


async def test_a_command_in_the_background_that_is_ended_leaves_its_draft(
    environment: dict[str, str], tmp_path: Path
) -> None:
    scrub = ("contacts", "scrub", "-", "--campaign", "renewals", "--out", str(tmp_path / "out.csv"))
    async with running(environment, *scrub, before=_IGNORES.format("SIGINT")) as process:
        assert await told(process, signal.SIGTERM, tmp_path) == (143, b"", b"")
    assert drafts(tmp_path) == []


async def test_a_command_in_the_background_waits_for_its_input_when_it_is_ended_in_the_midst_of_a_step(
    environment: dict[str, str],
) -> None:
    ends = (
        _IGNORES.format("SIGINT") + "import asyncio, os, types; from ccari.cli import context; from ccari.cli.ending import ending\n"
        "async def work(*_):\n"
        "    asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "ending.heed(); context.with_store(types.SimpleNamespace(obj=context.State(None)), work)"
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command()[:-2], "-c", ends, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            assert await process.wait() == 143
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_terminal_that_closes_ends_what_was_started_by_nohup(
    environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    scrub = ("contacts", "scrub", "-", "--campaign", "renewals", "--out", str(out))
    async with running(environment, *scrub, before=_IGNORES.format("SIGHUP")) as process:
        await until(lambda: bool(drafts(tmp_path)), within=START_SECONDS)
        process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(STOP_SECONDS):
            await process.communicate(b"600100001\n")
    assert (process.returncode, out.read_text()) == (0, "600100001\n")


@pytest.mark.parametrize(("number", "code"), ENDED)
def test_what_is_not_asynchronous_is_ended_by_the_signal_itself(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """The signal is sent when the first file of the draft is synced."""
    sends = (
        f"{_TAKES_SIGNALS}import os, pyrage; from ccari.cli import main\n"
        "pyrage.passphrase.encrypt = lambda tar, _: tar  # which takes a second\n"
        f"os.fsync = lambda _: os.kill(os.getpid(), {int(number)})\n"
        "main()"
    )
    (tmp_path / "keys").mkdir(mode=0o700)
    for name in ("keys/evidence.key", "passphrase"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text("of a test alone")
    done = subprocess.run(
        [sys.executable, "-c", sends, "keys", "backup", "--to", str(tmp_path / "keys.age"),
         "--passphrase-file", str(tmp_path / "passphrase")],
        capture_output=True, text=True, timeout=START_SECONDS, check=False,
        env={**os.environ, "CCARI_DATA_DIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert (drafts(tmp_path), (tmp_path / "keys.age").exists()) == ([], False)
