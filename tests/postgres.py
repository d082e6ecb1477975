"""The PostgreSQL that holds the tests' databases: the embedded one, or that of another version whose programs ``POSTGRES`` names
(CONTRIBUTING.md). Tests of the embedded server itself do not use this module.
"""

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest

from ccari.store.embedded import embedded_postgres, programs
from ccari.store.embedded.server import Server
from ccari.store.embedded.users import User

T = TypeVar("T")

#: Tests kill processes, never the machine, so the server need not wait for its disk: one that others use as well has taken longer than the
#: two seconds within which a call wants an answer. And ccari's first statement on each connection is in PL/pgSQL, which each of the server's
#: processes would load for itself.
_QUICK = {"fsync": "off", "shared_preload_libraries": "plpgsql"}


def named() -> Path | None:
    """The folder that ``POSTGRES`` names."""
    told = os.environ.get("POSTGRES")
    return Path(told) if told else None


def programmes() -> Path:
    """The folder of the server's own programs, pg_dump among them."""
    return named() or programs.shipped_binaries()


@cache
def major() -> int:
    """The server's major version."""
    done = subprocess.run(
        [programmes() / "postgres", "--version"], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[2].partition(".")[0])


def since(version: int, why: str) -> pytest.MarkDecorator:
    """Marks what there is from that major version on."""
    return pytest.mark.skipif(major() < version, reason=f"before PostgreSQL {version}: {why}")


@contextlib.contextmanager
def chosen() -> Iterator[None]:
    """Servers that are made or started within it are of that version."""
    folder = programmes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "shipped_binaries", lambda: folder)
        patch.setattr(programs, "MAJOR", str(major()))
        yield


@contextlib.asynccontextmanager
async def on_it(begun: contextlib.AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter ``begun``; a server that it starts is of that version."""
    async with contextlib.AsyncExitStack() as running:
        with chosen():
            entered = await running.enter_async_context(begun)
        yield entered


def postgres(folder: Path) -> contextlib.AbstractAsyncContextManager[str]:
    """Run a server in ``folder``, which its own user must be able to reach; yields its DSN."""
    return on_it(embedded_postgres(folder))


@contextlib.asynccontextmanager
async def quick_postgres(folder: Path, **settings: str) -> AsyncIterator[str]:
    """Like :func:`postgres`, with ``settings``, for tests that are not about its own durability."""
    async with postgres(folder) as dsn:
        connection = await asyncpg.connect(dsn)
        for name, value in {**_QUICK, **settings}.items():
            await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await connection.close()
    # which reads some of them at its start only
    async with postgres(folder) as dsn:
        yield dsn


def server(folder: Path, user: User | None) -> Server:
    """Like :class:`Server`."""
    with chosen():
        return Server(folder, user)


async def start(made: Server) -> None:
    """Start it again."""
    with chosen():
        await made.start()
