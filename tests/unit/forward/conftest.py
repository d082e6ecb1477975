"""A controller's end of the forwarding, and the store's database to forward from."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.forward.receiver import Receiver, receiving
from tests.unit.store.conftest import database, dsn, reachable, server, store

__all__ = ["database", "dsn", "reachable", "receiver", "server", "store"]


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running
