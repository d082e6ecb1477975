"""PostgreSQL behind a pooler such as PgBouncer: it answers for the server, and lends its sessions to whoever asks."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from ccari.store import connecting
from tests.lab.waiting import until
from tests.unit.store.relayed import behind, socket_in, socket_of

START_SECONDS = 10.0

_READY, _KEY, _END = b"Z", b"K", b"X"
#: What ends with the server being ready again: a simple query, and the end of an extended one.
_ASKS = (b"Q", b"S")
_OUTSIDE_TRANSACTIONS = b"I"


@dataclass
class Session:
    """One of the server's sessions. ``greeting``: what the server said when it began, with the pooler's own key in
    place of the server's.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: bytes = b""
    lent: asyncio.Lock = field(default_factory=asyncio.Lock)
    states: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    client: asyncio.StreamWriter | None = None

    async def pass_on(self) -> None:
        """What the server says goes to whoever has the session."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body = await _message(self.reader)
                assert self.client is not None
                self.client.write(_framed(kind, body))
                if kind == _READY:
                    self.states.put_nowait(body)


@dataclass
class Pooler:
    """``shares``: it lends its one session for a transaction, as with ``pool_mode = transaction``; else each client has its own."""

    target: Path
    shares: bool
    sessions: list[Session] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.clients.append(back)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._serve(near, back)
        back.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = await reader.readexactly(4)
        startup = size + await reader.readexactly(int.from_bytes(size) - 4)
        if not self.sessions or not self.shares:
            self.sessions.append(await self._begun(startup))
        session = self.sessions[-1]
        writer.write(session.greeting)
        while True:
            kind, body = await _message(reader)
            if kind == _END:
                return
            async with session.lent:
                session.client = writer
                session.writer.write(_framed(kind, body))
                while kind not in _ASKS or await session.states.get() != _OUTSIDE_TRANSACTIONS:
                    kind, body = await _message(reader)
                    session.writer.write(_framed(kind, body))

    async def _begun(self, startup: bytes) -> Session:
        session = Session(*await asyncio.open_unix_connection(self.target))
        session.writer.write(startup)
        kind = b""
        while kind != _READY:
            kind, body = await _message(session.reader)
            session.greeting += _framed(kind, bytes(len(body)) if kind == _KEY else body)
        self.tasks.add(asyncio.create_task(session.pass_on()))
        return session

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for writer in (*self.clients, *(each.writer for each in self.sessions)):
            writer.transport.abort()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    return kind, await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


@contextlib.asynccontextmanager
async def pooled(dsn: str, *, shares: bool) -> AsyncIterator[str]:
    """The database behind a :class:`Pooler`, while the context lasts: yields its URL there."""
    async with behind(dsn, partial(Pooler, shares=shares)) as (url, _):
        yield url


@contextlib.asynccontextmanager
async def bounced(dsn: str, *, shares: bool) -> AsyncIterator[str]:
    """As :func:`pooled`, by PgBouncer itself, where it is installed."""
    programme = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if programme is None:
        pytest.skip("PgBouncer is not installed")
    target = socket_of(dsn)
    folder = Path(tempfile.mkdtemp(prefix="ccari-bouncer-"))
    settings = {
        "listen_addr": "", "listen_port": 5432, "unix_socket_dir": folder, "auth_type": "any",
        "pool_mode": "transaction" if shares else "session", "track_extra_parameters": "search_path",
        "ignore_startup_parameters": ", ".join(["extra_float_digits", *connecting._SETTINGS]),
    }  # fmt: skip
    if os.geteuid() == 0:
        # it refuses to run as root
        settings["user"] = target.owner()
        shutil.chown(folder, target.owner())
    ini = folder / "pgbouncer.ini"
    ini.write_text(
        f"[databases]\n* = host={target.parent} user=postgres\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    ini.chmod(0o644)
    process = await asyncio.create_subprocess_exec(programme, "-q", ini)
    try:
        await until(lambda: _listens(socket_in(folder)), within=START_SECONDS)
        yield dsn.replace(str(target.parent), str(folder))
    finally:
        process.kill()
        await process.wait()
        shutil.rmtree(folder)


async def _listens(socket: Path) -> bool:
    """The socket is there a moment before it listens."""
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    writer.close()
    return True
