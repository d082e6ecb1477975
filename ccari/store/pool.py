"""The pool of connections that calls share: idle connections stay open for a while, and their number is bounded."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

import asyncpg

#: How long an idle connection stays open; the same as in asyncpg's own pool.
IDLE_SECONDS = 300.0
_CLOSE_IDLE_EVERY_SECONDS = 60.0
#: The maximum age of a connection: the server's memory for it grows with each new statement. asyncpg's own pool replaces a connection
#: after 50,000 queries.
OLDEST_SECONDS = 3600.0


class Pool:
    """Lends connections. asyncpg's own pool starts a task to take a connection back, which takes longer than a call's query.

    ``size``: the maximum number of connections. ``patience``: how many seconds :meth:`take` waits for a connection, and :meth:`close` for
    those that are lent.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int, patience: float
    ) -> None:
        self._connect = connect
        self._size = size
        self._patience = patience
        #: All open connections, each with when it was opened, by the loop's clock.
        self._open: dict[asyncpg.Connection, float] = {}
        #: The idle connections, each with when it was given back; the last one is lent first.
        self._idle: list[tuple[asyncpg.Connection, float]] = []
        #: Turns taken. The holder of a turn has a connection, or is opening one.
        self._turns_taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._loop = asyncio.get_running_loop()
        #: When each lent connection was lent.
        self._lent: dict[asyncpg.Connection, float] = {}
        #: A connection being opened that nobody waits for any more.
        self._left: asyncio.Task[asyncpg.Connection] | None = None
        self._next_check: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def connections(self) -> tuple[int, int, int]:
        """How many are in use, how many are idle, and how many there may be."""
        idle = sum(not each.is_closed() for each, _ in self._idle)
        return len(self._open) - len(self._idle), idle, self._size

    async def begin(self) -> None:
        """Open the first connection, so that any fault shows at once."""
        self._keep(await self._open_new())
        self._close_idle()

    async def take(self) -> asyncpg.Connection:
        """A connection for the caller alone until it is given back. Callers are served in order. If the server has no room for another
        connection, the caller waits for an open one.

        Raises
        ------
        TimeoutError
            If there was none in time.
        asyncpg.InterfaceError
            If the pool is closed. Other errors of connecting are raised as they are.
        """
        if self._closing:
            raise asyncpg.InterfaceError("the pool is closed")
        waits = self._turns_taken >= self._size
        if not waits:
            self._turns_taken += 1
            connection = self._take_idle()
            if connection is not None:
                return connection
        full: asyncpg.TooManyConnectionsError | None = None
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    if waits:
                        await self._wait_for_turn()
                    try:
                        return await self._use_turn()
                    except asyncpg.TooManyConnectionsError as refused:
                        if not self._open:
                            raise
                        waits, full = True, refused
        except TimeoutError:
            if full is not None:
                raise full from None
            raise

    async def _use_turn(self) -> asyncpg.Connection:
        """A connection for the holder of a turn. On failure the turn is released, unless an abandoned opening still uses it."""
        if (idle := self._take_idle()) is not None:
            return idle
        opening = asyncio.create_task(self._open_new())
        try:
            await asyncio.wait([opening])
        except BaseException:
            self._leave(opening)
            raise
        try:
            return opening.result()
        except asyncpg.TooManyConnectionsError:
            if (given_back := self._take_idle()) is not None:
                return given_back
            if self._open:
                # do not pass the turn on: the next caller would be refused as well, in an endless circle
                self._turns_taken -= 1
            else:
                self._pass_on_turn()
            raise
        except BaseException:
            self._pass_on_turn()
            raise

    def _leave(self, opening: asyncio.Task[asyncpg.Connection]) -> None:
        """The caller has given up on this opening. One such opening goes on, with its turn, for the next caller: connecting to a distant
        server may take longer than any caller waits, and then none would ever succeed.
        """
        if self._left is None and not self._closing:
            self._left = opening
        else:
            opening.cancel()
        opening.add_done_callback(self._take_left)

    def _take_left(self, opening: asyncio.Task[asyncpg.Connection]) -> None:
        if self._left is opening:
            self._left = None
        if not opening.cancelled() and opening.exception() is None:
            self._keep(opening.result())
        self._pass_on_turn()

    def give_back(self, connection: asyncpg.Connection, *, spent: bool = False) -> None:
        """Take a connection back for the next caller, as it is. A closed one is dropped.

        ``spent``: it brought no answer, or none that counts. Then idle connections that have brought no answer since it was lent are dropped
        too. If a firewall has forgotten them, or the server has lost its power or was replaced, each of them would cost another call.
        """
        if spent:
            self._close_unused_since(self._lent[connection])
        self._keep(connection)
        self._pass_on_turn()

    async def close(self) -> None:
        """Close the connections as they are given back; terminate those not given back in time."""
        self._closing = True
        if self._next_check is not None:
            self._next_check.cancel()
        if self._left is not None:
            self._left.cancel()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    while self._turns_taken:
                        await self._wait_for_turn()
                        self._turns_taken -= 1
                    await asyncio.gather(*(each.close() for each in self._open), return_exceptions=True)
        finally:
            for each in self._open:
                each.terminate()

    async def _wait_for_turn(self) -> None:
        turn = self._loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # the turn came just as its waiter was cancelled
                self._pass_on_turn()
            turn.cancel()
            raise

    def _pass_on_turn(self) -> None:
        """Give the turn to the first waiter in the queue. Waiters that have given up are still queued, and are skipped."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._turns_taken -= 1

    async def _open_new(self) -> asyncpg.Connection:
        connection = await self._connect()
        self._open[connection] = self._lent[connection] = self._loop.time()
        return connection

    def _take_idle(self) -> asyncpg.Connection | None:
        """An idle connection, if any; those that the server has closed are dropped."""
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                self._lent[connection] = self._loop.time()
                return connection
            self._end(connection)
        return None

    def _keep(self, connection: asyncpg.Connection) -> None:
        del self._lent[connection]
        if connection.is_closed() or self._loop.time() - self._open[connection] > OLDEST_SECONDS:
            self._end(connection)
        else:
            self._idle.append((connection, self._loop.time()))

    def _end(self, connection: asyncpg.Connection) -> None:
        self._open.pop(connection, None)
        connection.terminate()

    def _close_idle(self) -> None:
        """Every minute, close connections that have been idle for long, except one."""
        self._close_unused_since(self._loop.time() - IDLE_SECONDS, but=1)
        self._next_check = self._loop.call_later(_CLOSE_IDLE_EVERY_SECONDS, self._close_idle)

    def _close_unused_since(self, then: float, but: int = 0) -> None:
        """Close connections idle since then, except for that many of the last used."""
        while len(self._idle) > but and self._idle[0][1] <= then:
            self._end(self._idle.pop(0)[0])
