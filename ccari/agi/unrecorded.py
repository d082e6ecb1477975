"""Refused calls whose rows the database did not take: they are written when it does."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from ccari.errors import RefusedError, StoreError
from ccari.gating.journal import CLOSE_RETRY_SECONDS
from ccari.log import Flood

_log = structlog.get_logger()

#: The most that wait behind the one that is being written, a few kilobytes each: a dialplan may try on and on while the database is away.
MOST_WAITING = 5000


class Unrecorded:
    """They are written one after the other, the oldest first: a database that has just come back has calls to answer."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[UUID, Callable[[], Awaitable[None]]]] = asyncio.Queue(MOST_WAITING)
        self._left_out = Flood(lambda times: _log.error("refusals_not_recorded", times=times))

    def add(self, call: UUID, write: Callable[[], Awaitable[None]]) -> None:
        """Have ``write`` put the call on record. It raises StoreError if the database is away, and is then tried again."""
        try:
            self._waiting.put_nowait((call, write))
        except asyncio.QueueFull:
            self._left_out.add()

    async def run(self) -> None:
        """Write them until cancelled. Those that wait then are lost, and the log says how many."""
        written = True
        try:
            while True:
                call, write = await self._waiting.get()
                written = False
                await _write(call, write)
                written = True
        except asyncio.CancelledError:
            if lost := self._waiting.qsize() + (not written):
                _log.error("refusals_not_recorded", times=lost)
            raise


async def _write(call: UUID, write: Callable[[], Awaitable[None]]) -> None:
    """Write one, again and again while the database is away. What fails otherwise is not tried again."""
    while True:
        try:
            await write()
        except RefusedError as error:
            _log.error("call_not_closed", call_id=str(call), reason=str(error))
        except StoreError:
            await asyncio.sleep(CLOSE_RETRY_SECONDS)
            continue
        return
