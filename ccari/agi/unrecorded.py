"""Refused calls whose rows the database did not take: they are written when it does."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from ccari.errors import RefusedError, StoreError
from ccari.gating.journal import CLOSE_RETRY_SECONDS
from ccari.log import Flood

_log = structlog.get_logger()

#: The most that wait, a few kilobytes each: a dialplan may try on and on while the database is away.
MOST_WAITING = 5000


class Unrecorded:
    """They are written one after the other, the oldest first: a database that has just come back has calls to answer."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[UUID, Callable[[], Awaitable[None]]]] = deque()
        self._some = asyncio.Event()
        self._left_out = Flood(lambda times: _log.error("refusals_not_recorded", times=times))

    def add(self, call: UUID, write: Callable[[], Awaitable[None]]) -> None:
        """Have ``write`` put the call on record. It raises StoreError if the database is away, and is then tried again."""
        if len(self._waiting) >= MOST_WAITING:
            self._left_out.add()
            return
        self._waiting.append((call, write))
        self._some.set()

    async def run(self) -> None:
        """Write them until cancelled. Those that wait then are lost, and the log says how many."""
        try:
            while True:
                while not self._waiting:
                    self._some.clear()
                    await self._some.wait()
                call, write = self._waiting[0]
                try:
                    await write()
                except RefusedError as error:
                    _log.error("call_not_closed", call_id=str(call), reason=str(error))
                except StoreError:
                    await asyncio.sleep(CLOSE_RETRY_SECONDS)
                    continue
                self._waiting.popleft()
        except Exception:
            # not again and again
            self._waiting.popleft()
            raise
        except asyncio.CancelledError:
            if self._waiting:
                _log.error("refusals_not_recorded", times=len(self._waiting))
            raise
