"""Sharing the embedded server: the first process to join starts it, the last to leave stops it, and a service restarts it if it dies."""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import IO

import structlog

from ccari.errors import StoreError
from ccari.store.embedded.locks import USERS, controlling, lock_file
from ccari.store.embedded.server import Server
from ccari.store.embedded.users import server_user
from ccari.tasks import beside

_log = structlog.get_logger()

#: How often a user of the server checks that it is still running.
LOOK_SECONDS = 5.0


@contextlib.asynccontextmanager
async def embedded_postgres(data_dir: Path, *, revived: bool = False) -> AsyncIterator[str]:
    """Start, or join, the server in ``data_dir/postgresql`` and yield its DSN. ``revived``: restart it if it dies or is shut down.

    Raises
    ------
    StoreError
        If the server cannot be set up or started there.
    """
    folder = data_dir / "postgresql"
    server = Server(folder, server_user(folder / "cluster"))
    server.make_folders()
    with lock_file(server.folder / USERS) as users:
        async with controlling(server.folder):
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
            async with controlling(server.folder):
                await _leave(server, users)


async def _keep_running(server: Server) -> None:
    """Restart the server if it has died or was shut down: nothing else would, and without it no one is called."""
    reported = ""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            if not await asyncio.to_thread(server.is_ending) and await server.listens():
                reported = ""
                continue
            async with controlling(server.folder):
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


async def _leave(server: Server, users: IO[str]) -> None:
    """Stop the server, unless another process uses it."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        await server.stop()
