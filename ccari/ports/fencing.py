"""One holder at a time."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Fence(Protocol):
    def hold(self, name: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Be the only holder of ``name``; the event is set when another is. Raise UnsuitableError if another holds it."""
        ...
