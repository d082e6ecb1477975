"""The embedded server: shared by processes, and usable after any of them was killed."""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from ccari import tasks
from ccari.errors import StoreError
from ccari.store.database import COMMAND_SECONDS
from ccari.store.embedded import embedded_postgres, locks, programs, sharing, users
from ccari.store.embedded.server import Server
from ccari.store.migrating import open_database
from tests.lab.waiting import until
from tests.unit.recordings.disks import mounted
from tests.unit.store.server import connected

START_SECONDS = 60.0
#: The test is to catch a call that waits without end.
ROOM_SECONDS = 20.0
GONE_SECONDS = 30.0
#: From prctl(2): orphans fall to this process, as they do to the first one of a container.
PR_SET_CHILD_SUBREAPER = 36
#: Joins the server, says so, and leaves it when its standard input ends.
USER = """
import asyncio, signal, sys
from pathlib import Path
from ccari.store.embedded import embedded_postgres
# whoever runs the tests in the background has it ignored, also here
signal.signal(signal.SIGINT, signal.default_int_handler)
async def main():
    async with embedded_postgres(Path(sys.argv[1])):
        print("joined", flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def home(quick: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="embedded-", dir=quick))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@asynccontextmanager
async def user(home: Path, *, joined: bool = True) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that uses the server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", USER, str(home), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if joined:
            async with asyncio.timeout(START_SECONDS):
                assert await process.stdout.readline() == b"joined\n"
        yield process
    finally:
        if process.returncode is None:
            process.stdin.close()
        async with asyncio.timeout(START_SECONDS):
            await process.wait()


def opens(pid: int, path: Path) -> bool:
    """Whether a process has the file open."""
    with contextlib.suppress(OSError):
        return any(each.readlink() == path for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


def server_pid(home: Path) -> int | None:
    """The running server's process, by its own pid file."""
    try:
        pid = int((home / "postgresql/cluster/postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, 0)
    except (OSError, IndexError, ValueError):
        return None
    return pid


def children_of(pid: int) -> list[Path]:
    """What /proc says of each."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # behind the name, which may have blanks and brackets in it: the state, and the parent
            if int(each.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(each.parent)
    return found


def buried(orphans: set[Path]) -> bool:
    """Whether all processes that have fallen to this one have ended, and were waited for."""
    for each in orphans:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(int(each.name), os.WNOHANG)
    return not any(each.exists() for each in orphans)


def started_again(logged: Sequence[Mapping[str, Any]]) -> bool:
    """A try before that may fail, while the last processes of the former server end."""
    return any(each["event"] == "own_database_started" for each in logged)


def programmes_in(home: Path) -> list[bytes]:
    """The command lines of all programs at work there."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(each.read_bytes())
    return [each for each in found if bytes(home) in each]


async def answers(dsn: str) -> bool:
    async with connected(dsn) as connection:
        return bool(await connection.fetchval("SELECT true"))


async def test_one_that_leaves_stops_the_server_under_another(home: Path) -> None:
    async with user(home), embedded_postgres(home) as dsn:
        async with user(home):
            pass
        assert await answers(dsn)
    assert server_pid(home) is None


async def test_one_that_was_killed_leaves_the_server_unusable_or_running_for_ever(home: Path) -> None:
    async with user(home) as other:
        other.kill()
    assert server_pid(home) is not None
    async with embedded_postgres(home) as dsn:
        assert await answers(dsn)
    assert server_pid(home) is None


async def test_a_server_that_was_killed_does_not_start_again(home: Path) -> None:
    async with embedded_postgres(home):
        pid = server_pid(home)
        assert pid is not None
        children = children_of(pid)
        assert children
        os.kill(pid, signal.SIGKILL)
        # those that are left end by themselves, and until then hold the memory that the next server is not to share
        # with them
        await until(
            lambda: not any(each.exists() for each in (*children, Path(f"/proc/{pid}"))), within=GONE_SECONDS
        )
    async with embedded_postgres(home) as dsn:
        assert await answers(dsn)


@pytest.mark.usefixtures("bounded")
async def test_a_stopped_server_holds_a_call_without_end(home: Path) -> None:
    """SIGSTOP to each of its processes: it accepts connections and says nothing."""
    async with embedded_postgres(home) as dsn, open_database(dsn) as database:
        async with database.connection() as connection:
            pids = [server_pid(home), await connection.fetchval("SELECT pg_backend_pid()")]
        for pid in filter(None, pids):
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            with pytest.raises(StoreError, match="did not answer in time"):
                async with database.transaction() as connection:
                    await connection.execute("SELECT 1")
        finally:
            took = time.monotonic() - began
            for pid in filter(None, pids):
                os.kill(pid, signal.SIGCONT)
        assert took < COMMAND_SECONDS + ROOM_SECONDS
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_one_killed_while_it_makes_the_server_leaves_half_a_one(home: Path) -> None:
    fresh = home / "fresh"
    async with user(fresh, joined=False) as other:
        await until(lambda: bool(list(fresh.rglob("PG_VERSION"))), within=START_SECONDS)
        other.kill()
    async with embedded_postgres(fresh) as dsn:
        assert await answers(dsn)


async def test_one_that_is_cancelled_while_it_makes_the_server_leaves_programs_to_themselves(
    home: Path,
) -> None:
    """They would go on when another process has the locks."""
    fresh = home / "cancelled"
    joining = asyncio.create_task(embedded_postgres(fresh).__aenter__())
    await until(lambda: bool(list(fresh.rglob("PG_VERSION"))), within=START_SECONDS)
    joining.cancel()
    await asyncio.wait([joining])
    assert joining.cancelled()
    assert programmes_in(fresh) == []


async def test_one_that_waits_while_another_starts_the_server_goes_on_waiting_when_it_is_to_stop(
    home: Path,
) -> None:
    async with user(home):
        pass
    control = home / "postgresql" / locks.CONTROL
    with control.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        async with user(home, joined=False) as process:
            await until(lambda: opens(process.pid, control), within=START_SECONDS)
            process.send_signal(signal.SIGINT)
            try:
                async with asyncio.timeout(GONE_SECONDS):
                    await process.wait()
            finally:
                held.close()


async def test_a_place_that_cannot_be_written_ends_in_a_traceback(home: Path) -> None:
    (home / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write in .*file: .*: check data_dir"):
        async with embedded_postgres(home / "file"):
            pass


async def test_a_server_that_does_not_start_leaves_nobody_knowing_where_it_says_why(home: Path) -> None:
    data, server = home / "unfit", home / "unfit" / "postgresql"
    async with embedded_postgres(data):
        pass
    with (server / "cluster" / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = on\n")
    with pytest.raises(StoreError, match=f"pg_ctl failed: see {server / 'server.log'}$"):
        async with embedded_postgres(data):
            pass
    assert "no_such_setting" in (server / "server.log").read_text()


async def test_a_server_that_dies_is_away_until_a_person_starts_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed for want of memory, for example, or ended by a full disk; a service went on without it, and called nobody."""
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.1)
    data, settings = home / "dying", home / "dying" / "postgresql" / "cluster" / "postgresql.conf"

    async def is_back() -> bool:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            return await answers(dsn)
        return False

    async with embedded_postgres(data, revived=True) as dsn:
        whole = settings.read_text()
        settings.write_text(f"{whole}no_such_setting = on\n")
        with capture_logs() as logged:
            os.kill(int((settings.parent / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            await until(
                lambda: any(each["event"] == "own_database_not_started" for each in logged),
                within=GONE_SECONDS,
            )
            settings.write_text(whole)
            await until(is_back, within=GONE_SECONDS)
            await until(lambda: logged[-1]["event"] == "own_database_started", within=GONE_SECONDS)
        # reported once, though it is tried again and again
        reasons = [each["reason"] for each in logged[:-1]]
        assert len(reasons) == len(set(reasons))
        assert any("pg_ctl failed: see " in each for each in reasons)
    assert programmes_in(data) == []


async def test_a_server_that_dies_is_away_for_ever_in_a_container(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the service is the first process, to which orphans fall: nobody else asks how they ended, and until then
    they count as running.
    """
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.1)
    data, libc, others = home / "contained", ctypes.CDLL(None), {*children_of(os.getpid())}
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        async with embedded_postgres(data, revived=True) as dsn:
            pid = server_pid(data)
            assert pid in [int(each.name) for each in children_of(os.getpid())]
            with capture_logs() as logged:
                os.kill(pid, signal.SIGKILL)
                await until(lambda: started_again(logged), within=GONE_SECONDS)
            assert await answers(dsn)
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        orphans = {*children_of(os.getpid())} - others
        await until(lambda: buried(orphans), within=GONE_SECONDS)


async def test_a_server_that_somebody_told_to_end_lets_nobody_in_while_a_service_is_connected(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SIGTERM, as pkill does: it waits for those who are connected, and refuses all others, for as long as the
    service runs.
    """
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.1)
    data = home / "told"
    async with embedded_postgres(data, revived=True) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            with capture_logs() as logged:
                first = server_pid(data)
                assert first is not None
                os.kill(first, signal.SIGTERM)
                await until(lambda: started_again(logged), within=GONE_SECONDS)
            assert await answers(dsn)
            assert server_pid(data) != first
        finally:
            connection.terminate()
    assert programmes_in(data) == []


async def test_a_server_that_another_process_has_started_again_is_ended_once_more(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen that it was told to end, and get to it one after the other. Each end cuts the calls off from the database."""
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.1)
    data, controlling, listens = home / "contested", locks.controlling, Server.listens
    by_another: list[int | None] = []
    looked = asyncio.Event()

    @asynccontextmanager
    async def after_another(folder: Path) -> AsyncIterator[None]:
        async with controlling(folder):
            if not by_another:
                await another.stop()
                await another.start()
                by_another.append(server_pid(data))
            yield

    async def and_told(server: Server) -> bool:
        answered = await listens(server)
        if by_another:
            looked.set()
        return answered

    async with embedded_postgres(data, revived=True) as dsn:
        connection = await asyncpg.connect(dsn)
        folder = data / "postgresql"
        another = Server(folder, users.server_user(folder / "cluster"))
        await another.ensure_running()
        monkeypatch.setattr(sharing, "controlling", after_another)
        monkeypatch.setattr(Server, "listens", and_told)
        try:
            first = server_pid(data)
            assert first is not None
            os.kill(first, signal.SIGTERM)
            async with asyncio.timeout(GONE_SECONDS):
                await looked.wait()
            assert by_another == [server_pid(data)]
        finally:
            connection.terminate()


async def test_another_process_with_the_number_of_a_server_that_a_power_failure_ended_is_taken_for_it_and_interrupted(
    home: Path,
) -> None:
    """At each boot, services get similar numbers. It was never started again, and nothing said so."""
    data = home / "reborn"
    async with embedded_postgres(data):
        record = data / "postgresql" / "cluster" / "postmaster.pid"
        lines = record.read_text().splitlines()
    owner = record.parent.stat()
    # pg_ctl takes no other user's process for the server
    other = await asyncio.create_subprocess_exec("sleep", "600", cwd="/", user=owner.st_uid)
    try:

        def crash() -> None:
            record.write_text("\n".join([str(other.pid), *lines[1:]]))
            os.chown(record, owner.st_uid, owner.st_gid)

        crash()
        async with embedded_postgres(data) as dsn:
            assert await answers(dsn)
            pid = server_pid(data)
        assert pid != other.pid
        crash()
        await Server(data / "postgresql", users.server_user(record.parent)).stop()
        assert not record.exists()
    finally:
        other.kill()
        assert await other.wait() == -signal.SIGKILL


async def test_a_server_that_dies_stays_away_after_one_look_that_failed_unforeseen(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has no thread to spare kills servers too. The watch ended with its first such failure, and said nothing."""
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(tasks, "TASK_AGAIN_SECONDS", 0.1)
    listens, data = Server.listens, home / "unwatched"

    async def listens_once_there_is_a_thread(server: Server) -> bool:
        monkeypatch.setattr(Server, "listens", listens)
        raise RuntimeError("can't start new thread")

    async with embedded_postgres(data, revived=True):
        with capture_logs() as logged:
            monkeypatch.setattr(Server, "listens", listens_once_there_is_a_thread)
            await until(lambda: "task_failed" in [each["event"] for each in logged], within=GONE_SECONDS)
            pid = (data / "postgresql" / "cluster" / "postmaster.pid").read_text().split()[0]
            os.kill(int(pid), signal.SIGKILL)
            await until(lambda: logged[-1]["event"] == "own_database_started", within=GONE_SECONDS)


async def test_a_server_of_another_major_version_is_told_of_by_its_log_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example once an update of ccari brings another version."""
    data = home / "older"
    monkeypatch.setattr(programs, "_INSTALLATION", "pginstall")
    monkeypatch.setattr(programs, "MAJOR", "16")
    async with embedded_postgres(data) as dsn:
        assert await answers(dsn)
    monkeypatch.undo()
    with pytest.raises(
        StoreError,
        match=r"was made by PostgreSQL 16, and this ccari brings 18; nothing was changed: .*docs/operations.md",
    ):
        async with embedded_postgres(data):
            pass
    # nothing of it was touched
    monkeypatch.setattr(programs, "_INSTALLATION", "pginstall")
    monkeypatch.setattr(programs, "MAJOR", "16")
    async with embedded_postgres(data) as dsn:
        assert await answers(dsn)


async def test_a_copy_of_the_server_outlives_the_update_that_mends_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It matters where the server's user cannot reach the package, as below /root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, whose folders another user may not enter")
    closed, data = home / "closed", home / "updated"
    programs.copy_package(programs.shipped_binaries().parents[1], closed)
    (package,) = closed.glob("*/*/bin")
    closed.chmod(0o700)
    monkeypatch.setattr(programs, "shipped_binaries", lambda: package)
    (data / "postgresql" / "server").mkdir(parents=True)  # as made by a ccari that knew only one copy
    monkeypatch.setattr(programs, "shipped_version", lambda: "0.5.0-18")
    async with embedded_postgres(data) as dsn:
        monkeypatch.setattr(programs, "shipped_version", lambda: "0.6.0-18")
        async with embedded_postgres(data):
            # nobody takes it away from under the running server
            assert await answers(dsn)
            assert (data / "postgresql" / "server-0.5.0-18").exists()
    async with embedded_postgres(data) as dsn:
        assert await answers(dsn)
    kept = [each.name for each in (data / "postgresql").glob("server*") if each.is_dir()]
    assert kept == ["server-0.6.0-18"]


async def test_a_full_disk_is_not_told_of_by_a_server_that_has_no_room_for_its_log(home: Path) -> None:
    with mounted(home / "small", "size=100m,mode=711") as small:
        async with embedded_postgres(small / "server"):
            pass
        with contextlib.suppress(OSError), (small / "fill").open("wb", buffering=0) as fill:
            while fill.write(b"." * 4096):
                pass
        with pytest.raises(StoreError, match="pg_ctl failed, and the disk is full: see "):
            async with embedded_postgres(small / "server"):
                pass


async def test_a_disk_that_is_full_while_the_server_is_made_is_told_of_by_what_is_taken_away_again(
    home: Path,
) -> None:
    # if the checkout is closed to the server's user, as below /root, this is the copy that would not fit there
    programs.copy_package(programs.shipped_binaries().parents[1], home / "copy")
    with mounted(home / "tiny", "size=8m,mode=711") as tiny:
        (tiny / "server" / "postgresql").mkdir(parents=True)
        copy = tiny / "server" / "postgresql" / f"server-{programs.shipped_version()}"
        copy.symlink_to(home / "copy")
        with pytest.raises(StoreError, match=r"initdb failed.*: could not .*No space left on device$"):
            async with embedded_postgres(tiny / "server"):
                pass


@pytest.mark.parametrize("options", ["size=8m", "nr_inodes=4"])
def test_a_disk_on_which_a_copy_of_the_server_does_not_fit_ends_in_a_list_of_all_its_files(
    home: Path, options: str
) -> None:
    with mounted(home / "narrow", options) as narrow:
        with pytest.raises(
            StoreError, match=r"cannot be copied .*: \[Errno 28\] No space left on device$"
        ) as raised:
            programs.copy_package(programs.shipped_binaries().parents[1], narrow / "server")
        assert len(str(raised.value)) < 400
        assert list(narrow.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [("ro", "the file system of data_dir is read-only"), ("nr_inodes=1", "No space left on device")],
    ids=["read-only", "full"],
)
async def test_a_file_that_no_user_could_write_is_said_to_be_its_owners(
    home: Path, options: str, words: str
) -> None:
    with mounted(home / "unwritten", options) as folder, pytest.raises(StoreError) as raised:
        locks.lock_file(folder / locks.USERS)
    assert str(raised.value) == f"cannot write {folder / locks.USERS}: {words}"


async def test_a_path_that_no_socket_fits_in_is_told_in_a_traceback(home: Path) -> None:
    with pytest.raises(StoreError, match="too long for a unix socket: choose a shorter data_dir"):
        async with embedded_postgres(home / ("x" * 90)):
            pass
    assert not (home / ("x" * 90)).exists()


async def test_a_path_with_signs_that_mean_something_in_a_url_or_a_shell_leads_nowhere(home: Path) -> None:
    async with embedded_postgres(home / "a+b c#%41&d'e;f") as dsn:
        assert await answers(dsn)


@pytest.mark.parametrize("sign", list(',"$`'))
async def test_a_path_that_postgresql_reads_in_another_way_is_told_of_as_a_server_that_does_not_start(
    home: Path, sign: str
) -> None:
    with pytest.raises(StoreError, match=r"cannot use the path .*: choose a data_dir without"):
        async with embedded_postgres(home / f"a{sign}b"):
            pass
    assert not (home / f"a{sign}b").exists()


async def test_root_without_a_user_for_the_server_is_not_told_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(users, "_SYSTEM_USERS", ("no-such-user",))
    with pytest.raises(StoreError, match=r"does not run as root: make a user .*useradd --system ccari"):
        async with embedded_postgres(home / "none"):
            pass


async def test_the_servers_own_user_cannot_take_over_what_root_began(home: Path) -> None:
    """The service runs as that user, the commands beside it as root: both need the lock files."""
    if os.geteuid() != 0:
        pytest.skip("needs root, whose files another user may not open")
    async with embedded_postgres(home):
        # the copy of the programs, made if that user cannot reach the package, is only root's to change
        made = (path for path in (home / "postgresql").iterdir() if not path.name.startswith("server-"))
        owners = {path.name: path.stat().st_uid for path in made}
    assert set(owners.values()) == {owners["cluster"]}, owners


@pytest.mark.parametrize("name", [pytest.param("", id="folder"), locks.USERS, locks.CONTROL, "run"])
async def test_root_gives_the_servers_user_whatever_that_user_has_laid_a_link_to(
    tmp_path: Path, name: str
) -> None:
    """Such as /etc/shadow, with the next command that root runs."""
    if os.geteuid() != 0:
        pytest.skip("needs root, who may give files away")
    folder, roots, user = (
        tmp_path / "postgresql",
        tmp_path / "roots",
        users.server_user(tmp_path / "none"),
    )
    assert user is not None
    os.chown(tmp_path, user.uid, user.gid)
    if name in {locks.USERS, locks.CONTROL}:
        roots.touch(mode=0o640)
    else:
        roots.mkdir(mode=0o750)
    if name:
        folder.mkdir()
    (folder / name).symlink_to(roots)
    os.chown(folder / name, user.uid, user.gid, follow_symlinks=False)
    before = roots.stat()
    server = Server(folder, user)
    with contextlib.suppress(StoreError):
        server.make_folders()
        for each in (locks.USERS, locks.CONTROL):
            with locks.lock_file(folder / each):
                pass
        await server._make_usable()
    after = roots.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)


async def test_a_folder_that_root_has_put_on_another_disk_is_not_given_to_the_servers_user(
    tmp_path: Path,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, who may give files away")
    user, disk = users.server_user(tmp_path / "none"), tmp_path / "disk"
    assert user is not None
    disk.mkdir()
    (tmp_path / "postgresql").symlink_to(disk)
    server = Server(tmp_path / "postgresql", user)
    server.make_folders()
    for each in (locks.USERS, locks.CONTROL):
        (disk / each).touch()
    await server._make_usable()
    assert {each.stat().st_uid for each in (disk, *disk.glob("*.lock"), disk / "run")} == {user.uid}


async def test_a_machine_without_a_folder_for_passing_files_ends_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container with a read-only file system and no /tmp."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    code, words = await programs.Programs(tmp_path, None)._spawn("postgres", "--version")
    assert code != 0
    assert words.startswith("cannot be run as this user: No such file")


async def test_any_user_of_the_machine_can_lock_what_all_commands_wait_for(home: Path) -> None:
    """Also in a folder that an earlier version has made."""
    before = os.umask(0)
    try:
        for each in (locks.USERS, locks.CONTROL):
            (home / "postgresql" / each).chmod(0o644)
        async with embedded_postgres(home):
            pass
        made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home / "postgresql").glob("*.lock")}
        assert made == {locks.USERS: 0o600, locks.CONTROL: 0o600}
        for each in made:
            (home / "postgresql" / each).unlink()
        async with embedded_postgres(home):
            pass
        assert {stat.S_IMODE(path.stat().st_mode) for path in (home / "postgresql").glob("*.lock")} == {0o600}
    finally:
        os.umask(before)
