"""PostgreSQL as seen through a relay that may fall silent, or hold up what it is given."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

_CHUNK = 65536


def socket_in(folder: Path) -> Path:
    """The name that PostgreSQL gives it."""
    return folder / ".s.PGSQL.5432"


def socket_of(dsn: str) -> Path:
    """The server's own socket."""
    (host,) = parse_qs(urlsplit(dsn).query)["host"]
    return socket_in(Path(host))


class Relay:
    """``asked``: set when something was asked, and not cleared here; ``questions``: how often, if one is asked at a
    time; ``answered``: to how many the answers come at most, None for all; ``withheld``: set once an answer is held up.
    """

    def __init__(self, target: Path) -> None:
        self.asked = asyncio.Event()
        self.questions = 0
        self.answered: int | None = None
        self.withheld = asyncio.Event()
        self._target = target
        self._answers = asyncio.Event()
        self._answers.set()
        self._admits = asyncio.Event()
        self._admits.set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def fall_silent(self) -> None:
        """Nothing comes any more through the existing connections, not even their ends; new ones wait for :meth:`let_in`."""
        self._silent |= self._writers
        self._admits.clear()

    def lead_to(self, target: Path) -> None:
        """New connections lead to another server; the existing ones stay."""
        self._target = target

    def let_in(self) -> None:
        self._admits.set()

    def hold_up(self) -> None:
        """No answer comes until :meth:`go_on`."""
        self._answers.clear()

    def go_on(self) -> None:
        self._answers.set()

    def cut(self) -> None:
        """Every existing connection breaks off, with what is held up in it; new ones are let in."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._writers.add(back)
        await self._admits.wait()
        far, on = await asyncio.open_unix_connection(self._target)
        self._writers.add(on)
        for source, sink in ((near, on), (far, back)):
            task = asyncio.create_task(self._pass(source, sink, answers=sink is back))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_CHUNK):
                if answers:
                    if not self._answers.is_set():
                        self.withheld.set()
                    await self._answers.wait()
                else:
                    self.asked.set()
                    self.questions += 1
                    if self.answered is not None and self.questions > self.answered:
                        self.hold_up()
                if sink not in self._silent:
                    sink.write(data)
                    await sink.drain()
        if sink not in self._silent:
            sink.close()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()


class Between(Protocol):
    """What stands between ccari and PostgreSQL."""

    async def accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None: ...

    async def close(self) -> None: ...


_Between = TypeVar("_Between", bound=Between)


@contextlib.asynccontextmanager
async def behind(dsn: str, made: Callable[[Path], _Between]) -> AsyncIterator[tuple[str, _Between]]:
    """The database behind somebody, while the context lasts, and its URL there. ``made``: given PostgreSQL's own socket."""
    target = socket_of(dsn)
    # the path of a socket must be short
    folder = Path(tempfile.mkdtemp(prefix="ccari-behind-"))
    between = made(target)
    server = await asyncio.start_unix_server(between.accept, socket_in(folder))
    try:
        yield dsn.replace(str(target.parent), str(folder)), between
    finally:
        server.close()
        await between.close()
        await server.wait_closed()
        shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def relayed(dsn: str) -> AsyncIterator[tuple[str, Relay]]:
    """The database behind a relay."""
    async with behind(dsn, Relay) as url_and_relay:
        yield url_and_relay
