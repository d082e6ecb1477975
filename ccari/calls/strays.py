"""Channels in the application that are no call's: given back, or hung up, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from ccari.errors import AsteriskError

_log = structlog.get_logger()

#: Asked for at once. They are most when Asterisk, or this service, is busy already: calls under way go first.
AT_ONCE = 16


class Strays:
    """No more of them can wait than there are channels in Asterisk, for one that is gone is forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[str, Callable[[], Awaitable[object]]] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def add(self, channel: str, request: Callable[[], Awaitable[object]]) -> None:
        """Have ``request`` made of Asterisk, in its turn; that it is refused is no fault."""
        self._waiting[channel] = request
        if len(self.tasks) < AT_ONCE:
            task = asyncio.create_task(self._see_to_them())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def abandon(self) -> None:
        """Ask nothing more: whoever is connected next finds them again."""
        self._waiting.clear()
        for task in self.tasks:
            task.cancel()

    def forget(self, channel: str) -> None:
        """It is gone, or with the dialplan again: nothing has to be asked of it any more."""
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
