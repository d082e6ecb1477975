"""One holder at a time."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Fence(Protocol):
    def hold(self, run: str, filed_as: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Be the only one who drives an Asterisk's ``run``, and whose calls are ``filed_as`` that; the event is set when another
        is. Raise UnsuitableError if another holds one of the two.
        """
        ...
