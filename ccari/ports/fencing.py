"""A fence: only one service at a time drives an Asterisk."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Fence(Protocol):
    @property
    def database(self) -> str:
        """A name, without spaces, of the database that has the lock that is held; empty if the server does not tell. A standby and a copy
        of the database's files have the same.
        """
        ...

    def hold(self, run: str, filed_as: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Be the only service that drives this ``run`` of an Asterisk, and the only one that files its calls
        under ``filed_as``.

        The event is set if another service has taken over. Raises RivalError if another service holds either.
        """
        ...
