"""Channels in our application that belong to no call: they are given back or hung up, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from ccari.errors import AsteriskError

_log = structlog.get_logger()

#: Requests at a time. Most strays appear when Asterisk or this service is already busy, and calls go first.
AT_ONCE = 16


class Strays:
    """The queue of strays. It is bounded by the number of channels in Asterisk, since a channel that is gone is forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[str, Callable[[], Awaitable[object]]] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def add(self, channel: str, request: Callable[[], Awaitable[object]]) -> None:
        """Make ``request`` in its turn. If Asterisk refuses it, nothing more is done."""
        self._waiting[channel] = request
        # one that is being cancelled makes no further request
        if sum(not each.cancelling() for each in self.tasks) < AT_ONCE:
            task = asyncio.create_task(self._see_to_them())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def abandon(self) -> None:
        """Make no more requests: the next connection finds the channels again."""
        self._waiting.clear()
        for task in self.tasks:
            task.cancel()

    def forget(self, channel: str) -> None:
        """Drop the request of a channel that is gone or back in the dialplan."""
        self._waiting.pop(channel, None)

    async def _see_to_them(self) -> None:
        while self._waiting:
            request = self._waiting.pop(next(iter(self._waiting)))
            try:
                await request()
            except AsteriskError:
                continue
            except Exception:  # noqa: BLE001 - logged; the others wait
                _log.exception("stray_failed")
        # here rather than in a done callback, which runs later: a stray added in between needs a new task
        if (this := asyncio.current_task()) is not None:
            self.tasks.discard(this)
