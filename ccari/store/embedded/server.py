"""The embedded server itself: its folder, its cluster, its start and its end. Whoever calls these holds the locks of ``locks``."""

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ccari.errors import StoreError, why
from ccari.store.embedded import programs
from ccari.store.embedded.locks import CONTROL, USERS
from ccari.store.embedded.programs import START_SECONDS, STOP_SECONDS, Programs, in_thread
from ccari.store.embedded.users import User

#: sockaddr_un holds 108 bytes with its terminating zero; the socket's name takes 17.
_LONGEST_SOCKET_FOLDER = 90
_DATABASE = "ccari"
#: The name of PostgreSQL's socket on its default port.
_SOCKET = ".s.PGSQL.5432"
#: It splits a list of sockets' folders at commas, as asyncpg does, and ``pg_ctl`` puts paths between a shell's double quotes.
_UNUSABLE = re.compile(r'[,"$`]')
_UNFINISHED = "initdb-"


class Server:
    """The server in one folder. ``user``: the system user that runs its programs; None means this process's own user."""

    def __init__(self, folder: Path, user: User | None) -> None:
        self.folder = folder.absolute()
        self.cluster = self.folder / "cluster"
        self.sockets = self.folder / "run"
        self._user = user
        self.programs = Programs(self.folder, user)

    def make_folders(self) -> None:
        """Make the server's folder, if it is not there. Raises StoreError, also if PostgreSQL could not use its path."""
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
        """Make the server and the database if they do not exist, and start it if it does not run. Raises StoreError."""
        await self._make_usable()
        if not (self.cluster / "PG_VERSION").exists():
            await self._make_cluster()
        if await self.start():
            await self.programs.remove_former_copies()
        # it fails if the database exists already, which is fine
        await self.programs.call("createdb", "--username=postgres", f"--host={self.sockets}", _DATABASE)

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
        if await self.programs.call("pg_ctl", "status", f"--pgdata={self.cluster}") == 0:
            return False
        # pg_ctl would report the files as corrupt
        if (maker := await asyncio.to_thread(self._made_by)) != programs.MAJOR:
            raise StoreError(
                f"the embedded PostgreSQL in {self.folder} was made by PostgreSQL {maker}, and this ccari brings {programs.MAJOR}; "
                "nothing was changed: restore a dump of it into a new one (docs/operations.md, Another major version)"
            )
        # terse: the server's own log quotes no refused row. Nothing rotates that log, so it has no checkpoint lines. wal_recycle off: no
        # old segment of the write-ahead log stays behind with erased data
        options = (
            "-c log_error_verbosity=terse -c log_checkpoints=off -c wal_recycle=off -c listen_addresses='' "
            f"-c {shlex.quote(f'unix_socket_directories={self.sockets}')} -c unix_socket_permissions=0700"
        )
        await self.programs.run(
            "pg_ctl", "start", "--wait", f"--timeout={START_SECONDS:.0f}", f"--pgdata={self.cluster}",
            f"--log={self.programs.log}", f"--options={options}",
        )  # fmt: skip
        return True

    def _made_by(self) -> str:
        """The major version of PostgreSQL that made the cluster."""
        try:
            return (self.cluster / "PG_VERSION").read_text(errors="replace").strip()
        except OSError as error:
            raise StoreError(f"cannot read {self.cluster / 'PG_VERSION'}: {why(error)}") from None

    def _bury(self) -> None:
        """Reap a killed server: if this process is PID 1 of a container, it inherits the server, which counts as running until it is
        waited for. After a power failure, another process may have its number: ``pg_ctl`` would count that as running, and signal it.
        """
        record = self.cluster / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            number = int(record.read_text().split()[0])
            with contextlib.suppress(ChildProcessError):
                os.waitpid(number, os.WNOHANG)
            # PostgreSQL works in its cluster's folder
            if not Path(f"/proc/{number}/cwd").samefile(self.cluster):
                record.unlink()

    async def stop(self) -> None:
        await asyncio.to_thread(self._bury)
        await self.programs.call(
            "pg_ctl", "stop", "--wait", "--mode=fast", f"--timeout={STOP_SECONDS:.0f}", f"--pgdata={self.cluster}"
        )  # fmt: skip

    async def _make_cluster(self) -> None:
        """Run initdb in a separate folder, and rename the folder once it is complete: initdb runs on if ccari is killed."""
        for left_over in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.folder))
        if self._user is not None:
            os.chown(part, self._user.uid, -1, follow_symlinks=False)
        await self.programs.run(
            "initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
            "--no-instructions", f"--pgdata={part}",
        )  # fmt: skip
        await in_thread(part.rename, self.cluster)

    async def _make_usable(self) -> None:
        """Give the server's user access to its folders and programs. Raises StoreError."""
        if self._user is None:
            return
        with self._opened() as handle:
            os.fchmod(handle, 0o711)
            os.fchown(handle, self._user.uid, -1)
            # lock files too: the service may run as that user, and its commands as root
            for each in (self.sockets.name, USERS, CONTROL):
                os.chown(each, self._user.uid, -1, dir_fd=handle, follow_symlinks=False)
        await self.programs.ensure_runnable()

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
