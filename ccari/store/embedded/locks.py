"""The two lock files in the embedded server's folder: who uses the server, and who may start or stop it."""

import asyncio
import contextlib
import errno
import fcntl
import math
import os
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import IO, Any

from ccari.errors import StoreError, why

#: Locked shared by each process that uses the server.
USERS = "users.lock"
#: Locked exclusively by the process that starts or stops it.
CONTROL = "control.lock"
#: How often a process waiting for the lock of CONTROL tries again.
_ASK_AGAIN_SECONDS = 0.1


@contextlib.asynccontextmanager
async def controlling(folder: Path) -> AsyncIterator[None]:
    """Be the only process that starts or stops the server in ``folder``. Raises StoreError."""
    with lock_file(folder / CONTROL) as file:
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


def lock_file(path: Path) -> IO[str]:
    """Open the lock file, creating it if needed, for its owner only: anyone who can read the file can lock it, and block all commands.

    Follows no link: root runs commands in a folder that the service's user can write to, who must not have other files opened to them.
    Raises StoreError if the file cannot be written.
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
