"""The connections that calls share: those that nobody needs are kept at hand, and there are never more than so many."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

import asyncpg

#: So long one stays open that nobody needs, as in asyncpg's own pool.
IDLE_SECONDS = 300.0
_LOOK_SECONDS = 60.0
#: What the server keeps for a connection grows with what it was asked; asyncpg's own pool ends one after 50,000 questions.
OLDEST_SECONDS = 3600.0


class Pool:
    """asyncpg's own gives a connection back by a task, which takes longer than the question that was asked.

    ``size``: how many there may be. ``patience``: how long one is waited for, and the end of all of them, in seconds.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int, patience: float
    ) -> None:
        self._connect = connect
        self._size = size
        self._patience = patience
        #: With when they were opened.
        self._open: dict[asyncpg.Connection, float] = {}
        #: With when they were given back; the last one is taken first.
        self._free: list[tuple[asyncpg.Connection, float]] = []
        #: Turns: who has one has a connection, or is opening it.
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._look: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def connections(self) -> tuple[int, int, int]:
        """Those in use, those that wait for somebody, and how many there may be."""
        free = sum(not each.is_closed() for each, _ in self._free)
        return len(self._open) - len(self._free), free, self._size

    async def begin(self) -> None:
        """Open the first, so that what is wrong is known at once."""
        self._keep(await self._opened())
        self._close_idle()

    async def take(self) -> asyncpg.Connection:
        """One that is nobody else's until it is given back; whoever has waited the longest is the next.

        Raises
        ------
        TimeoutError
            If there was none in time.
        asyncpg.InterfaceError
            If the pool is closed. What comes of connecting is raised as it is.
        """
        if self._closing:
            raise asyncpg.InterfaceError("the pool is closed")
        waits = self._taken >= self._size
        if not waits:
            self._taken += 1
            found = self._found()
            if found is not None:
                return found
        async with asyncio.timeout(self._patience):
            if waits:
                await self._turn()
            try:
                return self._found() or await self._opened()
            except BaseException:
                self._pass_on()
                raise

    def give_back(self, connection: asyncpg.Connection) -> None:
        """Let the next have it, as it is; but one that is closed nobody gets any more."""
        self._keep(connection)
        self._pass_on()

    async def close(self) -> None:
        """End them once they are given back; those that are not in time are cut off."""
        self._closing = True
        if self._look is not None:
            self._look.cancel()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    while self._taken:
                        await self._turn()
                        self._taken -= 1
                    await asyncio.gather(*(each.close() for each in self._open), return_exceptions=True)
        finally:
            for each in self._open:
                each.terminate()

    async def _turn(self) -> None:
        turn = self._loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # it came just as nobody wanted it any more
                self._pass_on()
            turn.cancel()
            raise

    def _pass_on(self) -> None:
        """Who has waited the longest has the turn now; those that have given up are still in the line."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1

    async def _opened(self) -> asyncpg.Connection:
        made = await self._connect()
        self._open[made] = self._loop.time()
        return made

    def _found(self) -> asyncpg.Connection | None:
        """One that waits; those that the server has closed meanwhile are done with."""
        while self._free:
            found, _ = self._free.pop()
            if not found.is_closed():
                return found
            self._end(found)
        return None

    def _keep(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed() or self._loop.time() - self._open[connection] > OLDEST_SECONDS:
            self._end(connection)
        else:
            self._free.append((connection, self._loop.time()))

    def _end(self, connection: asyncpg.Connection) -> None:
        self._open.pop(connection, None)
        connection.terminate()

    def _close_idle(self) -> None:
        """All that nobody has needed for long, but for one; and look again."""
        while len(self._free) > 1 and self._free[0][1] <= self._loop.time() - IDLE_SECONDS:
            self._end(self._free.pop(0)[0])
        self._look = self._loop.call_later(_LOOK_SECONDS, self._close_idle)
