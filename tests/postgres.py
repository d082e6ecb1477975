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

import pytest

from ccari.store.embedded import embedded_postgres, programs
from ccari.store.embedded.server import Server
from ccari.store.embedded.users import User

T = TypeVar("T")


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


def server(folder: Path, user: User | None) -> Server:
    """Like :class:`Server`."""
    with chosen():
        return Server(folder, user)


async def start(made: Server) -> None:
    """Start it again."""
    with chosen():
        await made.start()
